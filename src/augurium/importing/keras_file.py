"""What may be in a .keras file before Keras reads it.

Keras makes whatever class its configuration names. Safe mode keeps most of that out; here only
Keras' own layers, operations and their parts are let in, and weights that lie in the file itself.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augurium.core.errors import Unprocessable

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MAX_CONFIG_BYTES = 64 * 1024 * 1024
MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies"
    r"|quantizers|losses|metrics|optimizers|optimizers\.schedules|random|ops(\.\w+)*"
    r"|src\.models\.(functional|sequential)|src\.(ops|layers)(\.\w+)*))?"
)
# what is not a class: tensors of a graph, tuples, dtypes, slices
PLAIN = frozenset(
    {"__keras_tensor__", "__tuple__", "__typespec__", "__ellipsis__", "slice", "__slice__"}
)
# they run code of the file, load further files, or hold pickles
FORBIDDEN = {
    "Lambda": "runs Python code from the file; write a layer of Keras operations instead",
    "__lambda__": "runs Python code from the file; use a named activation of Keras",
    "TFSMLayer": "loads another SavedModel; export the whole model as one: model.export('folder')",
    "TorchModuleWrapper": "holds a pickled PyTorch module; register the module itself",
    "FlaxLayer": "runs Python code from the file; export the model to ONNX",
    "JaxLayer": "runs Python code from the file; export the model to ONNX",
    "function": "calls a function of your own; use layers and operations of Keras",
}
LOOKUPS = re.compile(r"(String|Integer|Index)Lookup|TextVectorization")


def check_keras_file(file: Path) -> None:
    """Reads the configuration and the structure of the weights.

    Raises Unprocessable for layers that run code or read files, for classes that are not Keras'
    own, and for damage.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
                raise Unprocessable(
                    f"{CONFIG} of the .keras file is larger than {MAX_CONFIG_BYTES} bytes"
                )
            config = json.loads(archive.read(CONFIG), object_pairs_hook=_unique)
            for item in _objects(config):
                _check_class(item)
                _check_vocabulary(item)
            if WEIGHTS in archive.namelist():
                with archive.open(WEIGHTS) as weights:
                    _check_weights(weights)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, KeyError) as error:
        raise Unprocessable(
            f"the .keras file is damaged ({error}); save it again: model.save('model.keras')"
        ) from error
    except RecursionError as error:
        raise Unprocessable("the configuration of the .keras file nests too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key of the configuration occurs twice")
    return found


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)


def _check_class(item: dict[str, Any]) -> None:
    name = item.get("class_name")
    if name is None:
        return
    said = FORBIDDEN.get(str(name))
    if said:
        raise Unprocessable(f"the Keras model holds a {name}, which {said}")
    module = item.get("module")
    known = name in PLAIN or (module is not None and MODULES.fullmatch(str(module)))
    if not known:
        raise Unprocessable(
            f"the Keras model holds the class {str(item.get('registered_name') or name)[:80]!r}, "
            "which is not one of Keras' own; its code is not in the file. Export the model instead "
            "of saving it: model.export('folder')"
        )


def _check_vocabulary(item: dict[str, Any]) -> None:
    """A vocabulary by path would be read from the disk of the server."""
    settings = item.get("config")
    if not LOOKUPS.fullmatch(str(item.get("class_name"))) or not isinstance(settings, dict):
        return
    for key in ("vocabulary", "idf_weights"):
        if isinstance(settings.get(key), str):
            raise Unprocessable(
                f"the {item['class_name']} layer takes its {key} from a file; give it a list and "
                "save the model again"
            )


def _check_weights(stream: Any) -> None:
    """No links to other files and no data that lies in them."""
    import h5py

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise Unprocessable(f"the weights '{name[:80]}' lie in another file; save them again")

    with h5py.File(stream, "r") as weights:
        _check_links(weights)
        weights.visititems(check)


def _check_links(group: Any) -> None:
    import h5py

    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink | h5py.SoftLink):
            raise Unprocessable(
                f"the weights '{name[:80]}' are a link to somewhere else; save the model again"
            )
        if isinstance(group[name], h5py.Group):
            _check_links(group[name])
