"""TensorFlow on the CPU: SavedModels in one tar file.

Imports TensorFlow, therefore loaded in runners and in children of imports only.
"""

import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.tensors import Array
from augurium.runtimes.tensorflow_functions import NamedFunction, first_line, import_tensorflow

SIGNATURE = "serving_default"


class TensorflowModel:
    """The signature `serving_default` of one SavedModel. Takes no options.

    Inputs and outputs have the names of the signature.
    """

    def __init__(self, path: Path, options: Mapping[str, str], threads: int = 1) -> None:
        if options:
            raise InvalidArgument(f"tensorflow takes no options, got {dict(options)}")
        import_tensorflow(threads)
        with TemporaryDirectory() as folder:
            _unpack(path, Path(folder))
            # kept: the variables live as long as the object that holds them
            self._loaded = load_saved_model(Path(folder))
        self.function = signature_function(self._loaded)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return self.function.run(inputs, outputs)


def import_framework() -> None:
    """What all models of this runtime share."""
    import_tensorflow()


def load_saved_model(folder: Path) -> Any:
    """Loads a folder. Raises Unprocessable for what TensorFlow cannot read."""
    tensorflow = import_tensorflow()
    try:
        return tensorflow.saved_model.load(str(folder))
    except Exception as error:  # whatever is wrong with a file
        raise Unprocessable(
            f"TensorFlow {tensorflow.__version__} cannot load the SavedModel: {first_line(error)}; "
            "save it again with this version"
        ) from error


def signature_function(loaded: Any) -> NamedFunction:
    """The function behind the signature, outputs in the order of their names.

    Raises Unprocessable when there is none.
    """
    signature = loaded.signatures.get(SIGNATURE)
    if signature is None:
        raise Unprocessable(
            f"the SavedModel has no signature '{SIGNATURE}', only {sorted(loaded.signatures)}; "
            "save it with tf.saved_model.save(model, folder, signatures=model.call) or "
            "model.export(folder)"
        )
    specs = dict(sorted(signature.structured_input_signature[1].items()))
    names = sorted(signature.structured_outputs)

    def call(*tensors: Any) -> list[Any]:
        found = signature(**dict(zip(specs, tensors, strict=True)))
        return [found[name] for name in names]

    return NamedFunction(call, specs, names)


def pack(folder: Path, target: Path) -> None:
    """A SavedModel as one tar file: what `TensorflowModel` loads, the same bytes every time."""
    with tarfile.open(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                member = tarfile.TarInfo(file.relative_to(folder).as_posix())
                member.size = file.stat().st_size
                with file.open("rb") as stream:
                    archive.addfile(member, stream)


def _unpack(file: Path, folder: Path) -> None:
    """Regular files only, none outside of the folder: the importer writes no others."""
    with tarfile.open(file, "r:") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None or ".." in parts or member.name.startswith("/"):
                raise Unprocessable(f"the archive holds {member.name[:64]!r}, which is no file")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as writer:
                while chunk := stream.read(1024 * 1024):
                    writer.write(chunk)
