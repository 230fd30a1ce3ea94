"""Fills the disk under an artifact store and a registry; prints what they say then and afterwards.

Arguments: an empty folder; the largest file it may hold, if it is not a small disk of its own.
"""

import contextlib
import itertools
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError
from augurium.core.files import sha256_of_file
from augurium.core.signature import Signature
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.sql_registry import SqlRegistry

MIB = 1024 * 1024


@contextlib.contextmanager
def no_room(folder: Path, max_file_bytes: int | None) -> Iterator[None]:
    """Takes all the room there is, or allows no file to grow; gives it back at the end."""
    if max_file_bytes is None:
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            for size in (64 * 1024, 1):
                while stream.write(b"x" * size):
                    pass
        yield
        filler.unlink()
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refusal(work: Callable[[], Any]) -> str | None:
    """The kind and the text of the error that `work` raises."""
    try:
        work()
    except AuguriumError as error:
        return f"{error.kind}: {error}"
    return None


def endless() -> Iterator[bytes]:
    return itertools.repeat(os.urandom(10_000))


def use_artifacts(folder: Path, max_file_bytes: int | None) -> dict[str, Any]:
    artifacts = ObstoreArtifacts(folder / "artifacts")
    small = artifacts.put([b"small"], MIB)
    with no_room(folder, max_file_bytes):
        refused = refusal(lambda: artifacts.put(endless(), 1024 * MIB))
        readable = sha256_of_file(artifacts.local_path(small.digest)) == small.digest
    files = [path for path in (folder / "artifacts").rglob("*") if path.is_file()]
    again = artifacts.put([b"y" * 100_000], MIB)
    return {
        "refused": refused,
        "readable": readable,
        "files": len(files),
        "works_again": sha256_of_file(artifacts.local_path(again.digest)) == again.digest,
    }


def use_registry(folder: Path, max_file_bytes: int | None) -> dict[str, Any]:
    registry = SqlRegistry(open_database(sqlite_url(folder / "registry.db")), SystemClock())
    artifact = Artifact("a" * 64, 1)
    draft = VersionDraft(
        framework="onnx",
        framework_version="1.21",
        runtime="onnx",
        source=artifact,
        source_name="model.onnx",
        servable=artifact,
        signature=Signature(inputs=(), outputs=()),
        description="x" * 50_000,
    )
    registry.register("fraud", draft, "ann")
    accepted, refused = 1, None
    with no_room(folder, max_file_bytes):
        while refused is None and accepted < 1000:
            refused = refusal(lambda: registry.register("fraud", draft, "ann"))
            accepted += refused is None
        kept = [version.version for version in registry.versions("fraud")]
        revision = registry.revision()
    report = {"refused": refused, "accepted": accepted, "kept": kept, "revision": revision}
    report["next"] = registry.register("fraud", draft, "ann").version
    registry.close()
    return report


def main(folder: Path, max_file_bytes: int | None) -> None:
    reports = {
        "artifacts": use_artifacts(folder, max_file_bytes),
        "registry": use_registry(folder, max_file_bytes),
    }
    sys.stdout.write(json.dumps(reports))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
