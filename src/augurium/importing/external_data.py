"""External data: the weights of an ONNX model that lie in files beside it.

They are checked by our own rules, because a model's word for where its weights lie is a stranger's,
and end up in one file that is called after the SHA-256 of its content: so it can be served from the
artifact store without a link, and be mapped into memory by every process that serves it.

Source: ONNX, "External Data"; imports onnx, therefore used in child processes only.
"""

import hashlib
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import onnx

from augurium.core.errors import Unprocessable

KEYS = frozenset({"location", "offset", "length", "checksum"})
# mapping a tensor begins at a page
ALIGNMENT = 4096
CHUNK_BYTES = 1024**2
MAX_DEPTH = 32
MAX_LOCATION_BYTES = 1024
HALF_BYTES = frozenset({onnx.TensorProto.INT4, onnx.TensorProto.UINT4})
TEMPORARY = "weights.part"
# smaller values are read while the graph is optimised, and a page for each would be waste
LEAST_APART_BYTES = 4096


class Weights(NamedTuple):
    """The one file of weights, in the current folder."""

    name: str
    size_bytes: int


class Region(NamedTuple):
    """Where the values of a tensor lie."""

    location: str
    offset: int
    length: int


def has_external_data(model: Any) -> bool:
    """Whether some values of a model lie in other files."""
    return any(_is_external(tensor) for tensor in _tensors(model))


def consolidate(model: Any, folder: Path) -> Weights:
    """Writes all external values into one file in the current folder and makes the model say so.

    `folder` holds the files the model speaks of. Raises Unprocessable for a place that is not a
    plain file beside the model, or that has other bytes than the tensor needs.
    """
    tensors = [tensor for tensor in _tensors(model) if _is_external(tensor)]
    regions = [_region(tensor) for tensor in tensors]
    _check_total(set(regions), folder)
    placed: dict[Region, int] = {}
    digest = hashlib.sha256()
    with Path(TEMPORARY).open("xb") as target:
        for region in dict.fromkeys(regions):
            _write(target, digest, bytes(-target.tell() % ALIGNMENT))
            placed[region] = target.tell()
            for chunk in _content(folder, region):
                _write(target, digest, chunk)
        size_bytes = target.tell()
    name = digest.hexdigest()
    Path(TEMPORARY).rename(name)
    for tensor, region in zip(tensors, regions, strict=True):
        _point(tensor, Region(name, placed[region], region.length))
    return Weights(name, size_bytes)


def set_apart(model: Any) -> Weights:
    """Writes the large values that a model holds itself into one file in the current folder, and
    makes it say so.
    """
    tensors = [
        tensor for tensor in model.graph.initializer if len(tensor.raw_data) >= LEAST_APART_BYTES
    ]
    digest = hashlib.sha256()
    placed: list[tuple[int, int]] = []
    with Path(TEMPORARY).open("xb") as target:
        for tensor in tensors:
            _write(target, digest, bytes(-target.tell() % ALIGNMENT))
            placed.append((target.tell(), len(tensor.raw_data)))
            _write(target, digest, tensor.raw_data)
            # one copy of them is enough
            tensor.ClearField("raw_data")
        size_bytes = target.tell()
    name = digest.hexdigest()
    Path(TEMPORARY).rename(name)
    for tensor, (offset, length) in zip(tensors, placed, strict=True):
        _point(tensor, Region(name, offset, length))
    return Weights(name, size_bytes)


def _tensors(model: Any) -> Iterator[Any]:
    yield from _in_graph(model.graph, 0)
    for function in model.functions:
        yield from _in_nodes(function.node, 0)
    for training in model.training_info:
        yield from _in_graph(training.initialization, 0)
        yield from _in_graph(training.algorithm, 0)


def _in_graph(graph: Any, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        raise Unprocessable(f"the graph nests deeper than {MAX_DEPTH} levels")
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _in_nodes(graph.node, depth)


def _in_nodes(nodes: Any, depth: int) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _in_graph(graph, depth + 1)


def _is_external(tensor: Any) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data))


def _region(tensor: Any) -> Region:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) != len(tensor.external_data) or not set(entries) <= KEYS:
        raise _refused(
            tensor, f"is described by {sorted(entries)}, expected some of {sorted(KEYS)}"
        )
    location = entries.get("location", "")
    if not _is_plain(location):
        raise _refused(
            tensor,
            f"lies at {location[:100]!r}, expected the plain relative name of a file beside the"
            " model",
        )
    needed = _needed_bytes(tensor)
    offset = _number(tensor, entries.get("offset", "0"))
    length = _number(tensor, entries.get("length", str(needed)))
    if length != needed:
        raise _refused(tensor, f"takes {needed} bytes, but {length} are said to hold it")
    return Region(location, offset, length)


def _is_plain(location: str) -> bool:
    parts = location.split("/")
    return (
        len(location.encode("utf-8", "surrogatepass")) <= MAX_LOCATION_BYTES
        and location.isprintable()
        and not set(location) & set("\\:")
        and all(part not in ("", ".", "..") for part in parts)
    )


def _number(tensor: Any, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise _refused(tensor, f"has the offset or length {digits[:32]!r}, expected digits")
    return int(digits)


def _needed_bytes(tensor: Any) -> int:
    if any(extent < 0 for extent in tensor.dims):
        raise _refused(tensor, f"has the shape {list(tensor.dims)}")
    count = math.prod(tensor.dims)
    kind = tensor.data_type
    if kind in HALF_BYTES:
        return int(count + 1) // 2
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    except KeyError:
        raise _refused(tensor, f"has the unknown type {kind}") from None
    if dtype.hasobject:
        raise _refused(tensor, "holds texts, which cannot lie in another file")
    return int(count * dtype.itemsize)


def _content(folder: Path, region: Region) -> Iterator[bytes]:
    with _opened(folder, region.location) as stream:
        size = os.fstat(stream.fileno()).st_size
        if region.offset + region.length > size:
            raise Unprocessable(
                f"file '{region.location[:100]}' of the model's weights has {size} bytes, but"
                f" {region.length} at {region.offset} are used; upload all of the model's files"
            )
        stream.seek(region.offset)
        remaining = region.length
        while remaining:
            chunk = stream.read(min(remaining, CHUNK_BYTES))
            if not chunk:
                raise Unprocessable(f"file '{region.location[:100]}' changed while it was read")
            remaining -= len(chunk)
            yield chunk


def _opened(folder: Path, location: str) -> BinaryIO:
    """Opens a file below `folder`, going through no link on the way."""
    *folders, name = location.split("/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
    except OSError as error:
        raise Unprocessable(
            f"file '{location[:100]}' of the model's weights cannot be opened ({error.strerror});"
            " upload the model and its weights together, as a folder"
        ) from error
    finally:
        os.close(descriptor)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        raise Unprocessable(
            f"'{location[:100]}' of the model's weights is not a regular file with one name"
        )
    return os.fdopen(file, "rb")


def _check_total(regions: set[Region], folder: Path) -> None:
    """Regions that overlap without being the same could fill the disk."""
    used: dict[str, int] = {}
    for region in regions:
        used[region.location] = used.get(region.location, 0) + region.length
    for location, count in used.items():
        with _opened(folder, location) as stream:
            size = os.fstat(stream.fileno()).st_size
        if count > size:
            raise Unprocessable(
                f"file '{location[:100]}' of the model's weights has {size} bytes, but {count} are"
                " used; upload all of the model's files, as they were exported"
            )


def _write(target: BinaryIO, digest: Any, content: bytes) -> None:
    digest.update(content)
    target.write(content)


def _point(tensor: Any, region: Region) -> None:
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in zip(("location", "offset", "length"), region, strict=True):
        tensor.external_data.add(key=key, value=str(value))


def _refused(tensor: Any, why: str) -> Unprocessable:
    return Unprocessable(f"weight '{tensor.name[:100]}' of the model {why}; export the model again")
