"""Generates the protobuf modules from `protocols/proto`; with `--check`, says whether they are up
to date.
"""

import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTOCOLS = Path(__file__).parent.parent / "src/augurium/protocols"
SOURCES = sorted((PROTOCOLS / "proto").glob("*.proto"))


def generate(folder: Path) -> None:
    """Writes the modules and their type stubs into `folder`."""
    arguments = [f"-I{PROTOCOLS / 'proto'}", f"--python_out={folder}", f"--pyi_out={folder}"]
    if protoc.main(["protoc", *arguments, *map(str, SOURCES)]):
        sys.exit("protoc failed")


def check() -> None:
    """Exits with 1 when a generated file differs from what the sources give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = [file.name for file in Path(folder).iterdir()]
        _, differing, missing = filecmp.cmpfiles(
            folder, PROTOCOLS / "generated", fresh, shallow=False
        )
    if differing or missing:
        sys.exit(f"generated code is not up to date: {differing + missing}; run `make proto`")


if __name__ == "__main__":
    if "--check" in sys.argv:
        check()
    else:
        generate(PROTOCOLS / "generated")
