import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augurium.core.errors import NotFound, TooLarge
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact

LIMIT = 1_000_000
CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_stored_stream_is_found_by_its_digest(artifacts: ArtifactStore) -> None:
    artifact = artifacts.put(pieces(CONTENT, 7_001), LIMIT)

    assert artifact == Artifact(DIGEST, len(CONTENT))
    assert artifacts.contains(DIGEST)
    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT


def test_a_stored_file_is_a_copy(artifacts: ArtifactStore, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(CONTENT)

    artifact = artifacts.put_file(file)
    file.write_bytes(b"changed")

    assert artifact == Artifact(DIGEST, len(CONTENT))
    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT


def test_a_missing_file_is_not_found(artifacts: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"ghost\.onnx"):
        artifacts.put_file(tmp_path / "ghost.onnx")


def test_an_empty_stream_is_an_empty_file(artifacts: ArtifactStore) -> None:
    artifact = artifacts.put([], LIMIT)

    assert artifact.size_bytes == 0
    assert artifacts.local_path(artifact.digest).read_bytes() == b""


def test_the_same_content_twice_is_one_copy(
    artifacts: ArtifactStore, artifacts_folder: Path
) -> None:
    first = artifacts.put(pieces(CONTENT, 1_000), LIMIT)
    second = artifacts.put([CONTENT], LIMIT)

    assert first == second
    assert artifacts.local_path(first.digest) == artifacts.local_path(second.digest)
    assert len(files_in(artifacts_folder)) == 1


def test_twenty_threads_may_store_the_same_content_at_once(
    artifacts: ArtifactStore, artifacts_folder: Path
) -> None:
    with ThreadPoolExecutor(20) as threads:
        stored = list(
            threads.map(lambda _: artifacts.put(pieces(CONTENT, 10_000), LIMIT), range(40))
        )

    assert set(stored) == {Artifact(DIGEST, len(CONTENT))}
    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT
    assert len(files_in(artifacts_folder)) == 1


def test_a_stream_of_just_the_limit_is_stored(artifacts: ArtifactStore) -> None:
    assert artifacts.put([CONTENT], len(CONTENT)).size_bytes == len(CONTENT)


def test_a_stream_above_the_limit_is_refused_before_its_end(
    artifacts: ArtifactStore, artifacts_folder: Path
) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1_000

    with pytest.raises(TooLarge, match="more than 10000 bytes"):
        artifacts.put(endless(), 10_000)

    assert taken == 11
    assert files_in(artifacts_folder) == []


def test_a_stream_that_breaks_off_leaves_nothing(
    artifacts: ArtifactStore, artifacts_folder: Path
) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError("the sender left")

    with pytest.raises(ConnectionResetError):
        artifacts.put(broken(), LIMIT)

    assert not artifacts.contains(DIGEST)
    assert files_in(artifacts_folder) == []


@pytest.mark.parametrize(
    "digest",
    ["0" * 64, "", ".", "..", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", "é"],
)
def test_what_was_never_stored_is_not_found(artifacts: ArtifactStore, digest: str) -> None:
    artifacts.put([CONTENT], LIMIT)

    assert not artifacts.contains(digest)
    with pytest.raises(NotFound, match="not in the store"):
        artifacts.local_path(digest)
