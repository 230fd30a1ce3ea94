"""What a zip file is, told from the names of its members; and zip files that no one should open."""

import stat
import zipfile
from typing import IO

from augurium.core.errors import Unprocessable
from augurium.runtimes import pt2_archive

MAX_MEMBERS = 100_000
MAX_RATIO = 100
RATIO_ALLOWANCE_BYTES = 1024 * 1024
# by the members that only these have
KERAS = frozenset({"config.json", "metadata.json"})
SKOPS = frozenset({"schema.json"})
TORCHSCRIPT = (
    "'{name}' is a TorchScript file; it was refused because its code may write files when it runs. "
    "Export the module instead: torch.export.save(torch.export.export(module, example_inputs), "
    "'model.pt2'), or call client.register(model=module, example_inputs=...)"
)
TORCH_PICKLE = (
    "'{name}' is a PyTorch or zipped pickle file; it was refused because loading such files runs "
    "code from the file. Export the module instead: torch.export.save(torch.export.export(module, "
    "example_inputs), 'model.pt2'), or call client.register(model=module, example_inputs=...)"
)


def recognize_zip(stream: IO[bytes], filename: str, expected: str) -> str:
    """`pt2`, `keras` or `skops`.

    Raises Unprocessable for PyTorch's pickles and TorchScript, for archives that are damaged or
    made to harm, and for all others.
    """
    members = read_members(stream, filename)
    names = {member.filename for member in members}
    if pt2_archive.is_archive(names):
        found = "pt2"
    elif any("/code/" in name for name in names):
        raise Unprocessable(TORCHSCRIPT.format(name=filename))
    elif any(name.endswith(("data.pkl", ".pickle")) for name in names):
        raise Unprocessable(TORCH_PICKLE.format(name=filename))
    elif names >= KERAS:
        found = "keras"
    elif names >= SKOPS:
        found = "skops"
    else:
        raise Unprocessable(
            f"'{filename}' is a zip archive, but not of skops, Keras or torch.export; {expected}"
        )
    _check_members(members, filename)
    return found


def read_members(stream: IO[bytes], filename: str) -> list[zipfile.ZipInfo]:
    """The table of contents. Raises Unprocessable for a damaged one."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise Unprocessable(
            f"'{filename}' is a damaged zip archive ({error}); save it again"
        ) from error


def _check_members(members: list[zipfile.ZipInfo], filename: str) -> None:
    folded = {member.filename.casefold() for member in members}
    if len(folded) != len(members):
        raise Unprocessable(f"'{filename}' holds two members of one name; save it again")
    if len(members) > MAX_MEMBERS:
        raise Unprocessable(f"'{filename}' has {len(members)} members; at most {MAX_MEMBERS}")
    for member in members:
        mode = member.external_attr >> 16
        parts = member.filename.replace("\\", "/").split("/")
        if stat.S_ISLNK(mode) or ".." in parts or parts[0] == "" or ":" in member.filename:
            raise Unprocessable(
                f"'{filename}' holds the member {member.filename[:64]!r}, a link or a path that "
                "leads out of the archive; save it again"
            )
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_RATIO * packed + RATIO_ALLOWANCE_BYTES:
        raise Unprocessable(
            f"'{filename}' unpacks from {packed} to {unpacked} bytes; at most {MAX_RATIO} times "
            "are allowed: save it without compression"
        )
