"""What may be in a SavedModel before TensorFlow reads it.

The graph of a SavedModel may read and write any file of the machine it runs on. Its operations are
read here as plain data.

Imports TensorFlow's messages, therefore used in child processes only.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from augurium.core.errors import Unprocessable
from augurium.runtimes.tensorflow_functions import import_tensorflow

GRAPH_FILE = "saved_model.pb"
# of the names of operations: files, other programs, Python, other machines, other libraries
FORBIDDEN = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|.*PyFunc.*|.*PyFunction.*|PrintV2|Print|Assert.*Rpc"
    r"|.*Dataset.*|.*Reader.*|.*FileSystem.*|InitializeTableFromTextFile.*|.*Summary.*"
    r"|Save|SaveSlices|Restore|RestoreSlice|.*Rpc.*|.*Socket.*|LoadLibrary|DebugIdentity.*"
    r"|XlaLaunch.*|.*BigQuery.*|.*Ffmpeg.*|AudioSummary.*|TPU.*|Send|Recv|_Send|_Recv|CollectiveG.*"
)
# how TensorFlow itself saves and restores variables; never a part of a prediction
CHECKPOINTS = frozenset(
    {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"}
)


def check_saved_model(folder: Path) -> None:
    """Reads the operations of a SavedModel.

    Raises Unprocessable for operations that read or write files or run code, for assets outside of
    the folder, and for damage.
    """
    for graph in _parsed(folder / GRAPH_FILE).meta_graphs:
        for asset in graph.asset_file_def:
            _check_asset(asset.filename)
        functions = {f.signature.name: f.node_def for f in graph.graph_def.library.function}
        _check_nodes(graph.graph_def.node, FORBIDDEN)
        for nodes in functions.values():
            _check_nodes(nodes, FORBIDDEN)
        for nodes in _of_predictions(graph, functions):
            _check_nodes(nodes, re.compile("|".join(CHECKPOINTS)))


def _parsed(file: Path) -> Any:
    import_tensorflow()
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    found = saved_model_pb2.SavedModel()
    try:
        found.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise Unprocessable(
            f"{GRAPH_FILE} cannot be read ({error}); save the model again: model.export('folder')"
        ) from error
    if not found.meta_graphs:
        raise Unprocessable(f"{GRAPH_FILE} holds no graph; save the model again")
    return found


def _check_asset(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Unprocessable(f"the SavedModel wants the file {name[:80]!r} from outside of itself")


def _check_nodes(nodes: Iterable[Any], forbidden: re.Pattern[str]) -> None:
    for node in nodes:
        if forbidden.fullmatch(node.op):
            raise Unprocessable(
                f"the SavedModel holds the operation {node.op} ('{node.name[:80]}'), which was "
                "refused because it may read or write files or run code; save the model without it"
            )


def _of_predictions(graph: Any, functions: dict[str, Any]) -> Iterator[Any]:
    """The nodes that the signatures reach, and those of all functions called from there."""
    nodes = {node.name: node for node in graph.graph_def.node}
    waiting = [
        output.name
        for name, signature in graph.signature_def.items()
        if not name.startswith("__saved_model")
        for output in signature.outputs.values()
    ]
    reached: dict[str, Any] = {}
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name in nodes and name not in reached:
            reached[name] = nodes[name]
            waiting.extend(nodes[name].input)
    yield list(reached.values())
    called, seen = _calls(reached.values()), set[str]()
    while called:
        name = called.pop()
        if name in functions and name not in seen:
            seen.add(name)
            yield functions[name]
            called |= _calls(functions[name])


def _calls(nodes: Iterable[Any]) -> set[str]:
    found = set()
    for node in nodes:
        found.add(node.op)
        for value in node.attr.values():
            found |= {value.func.name, *(func.name for func in value.list.func)}
    return found
