import hashlib
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from augurium.core.errors import NotFound, TooLarge, Unprocessable
from augurium.registry.artifacts import ArtifactStore
from augurium.registry.records import Artifact
from tests.contract.registry.conftest import ArtifactPlace

LIMIT = 1_000_000
# the same in every process: tests that run side by side are named by its digest
CONTENT = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


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
    artifacts: ArtifactStore, artifact_place: ArtifactPlace
) -> None:
    first = artifacts.put(pieces(CONTENT, 1_000), LIMIT)
    second = artifacts.put([CONTENT], LIMIT)

    assert first == second
    assert artifacts.local_path(first.digest) == artifacts.local_path(second.digest)
    assert len(artifact_place.files()) == 1


def test_twenty_threads_may_store_the_same_content_at_once(
    artifacts: ArtifactStore, artifact_place: ArtifactPlace
) -> None:
    with ThreadPoolExecutor(20) as threads:
        stored = list(
            threads.map(lambda _: artifacts.put(pieces(CONTENT, 10_000), LIMIT), range(40))
        )

    assert set(stored) == {Artifact(DIGEST, len(CONTENT))}
    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT
    assert len(artifact_place.files()) == 1


def test_a_stream_of_just_the_limit_is_stored(artifacts: ArtifactStore) -> None:
    assert artifacts.put([CONTENT], len(CONTENT)).size_bytes == len(CONTENT)


def test_a_stream_above_the_limit_is_refused_before_its_end(
    artifacts: ArtifactStore, artifact_place: ArtifactPlace
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
    assert artifact_place.files() == []


def test_a_stream_that_breaks_off_leaves_nothing(
    artifacts: ArtifactStore, artifact_place: ArtifactPlace
) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError("the sender left")

    with pytest.raises(ConnectionResetError):
        artifacts.put(broken(), LIMIT)

    assert not artifacts.contains(DIGEST)
    assert artifact_place.files() == []


@pytest.mark.parametrize(
    "digest",
    ["0" * 64, "", ".", "..", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", "é"],
)
def test_what_was_never_stored_is_not_found(artifacts: ArtifactStore, digest: str) -> None:
    artifacts.put([CONTENT], LIMIT)

    assert not artifacts.contains(digest)
    with pytest.raises(NotFound, match="not in the store"):
        artifacts.local_path(digest)


def test_a_deleted_file_is_gone_and_may_come_again(artifacts: ArtifactStore) -> None:
    artifacts.put([CONTENT], LIMIT)

    artifacts.delete(DIGEST)
    artifacts.delete(DIGEST)

    assert not artifacts.contains(DIGEST)
    with pytest.raises(NotFound, match="not in the store"):
        artifacts.local_path(DIGEST)
    artifacts.put([CONTENT], LIMIT)
    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "../../etc/passwd", "*"])
def test_deleting_what_is_not_there_is_fine(artifacts: ArtifactStore, digest: str) -> None:
    artifacts.put([CONTENT], LIMIT)

    artifacts.delete(digest)

    assert artifacts.contains(DIGEST)


def test_everything_stored_is_listed_with_its_size_and_the_time_it_was_stored(
    artifacts: ArtifactStore,
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    stored = [artifacts.put([content], LIMIT) for content in (CONTENT, b"", b"x" * 1000)]

    found = list(artifacts.stored())

    assert {(entry.digest, entry.size_bytes) for entry in found} == {
        (artifact.digest, artifact.size_bytes) for artifact in stored
    }
    after = datetime.now(UTC) + timedelta(seconds=2)
    assert all(before <= entry.modified_at <= after for entry in found)


def test_an_empty_store_lists_nothing(artifacts: ArtifactStore) -> None:
    assert list(artifacts.stored()) == []


def test_storing_a_file_tells_how_far_it_is(artifacts: ArtifactStore, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(9_000_000))
    seen: list[float] = []

    artifacts.put_file(file, lambda stage, share: seen.append(share))

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_leased_file_has_its_content(artifacts: ArtifactStore) -> None:
    artifacts.put([CONTENT], LIMIT)

    with artifacts.lease(DIGEST) as path:
        assert path.read_bytes() == CONTENT


def test_there_is_no_lease_on_what_was_never_stored(artifacts: ArtifactStore) -> None:
    with pytest.raises(NotFound, match="not in the store"), artifacts.lease("0" * 64):
        pass


def test_pinned_files_stay_usable(artifacts: ArtifactStore) -> None:
    artifacts.put([CONTENT], LIMIT)

    artifacts.pin([DIGEST, "0" * 64])

    assert artifacts.local_path(DIGEST).read_bytes() == CONTENT


def test_a_copy_that_is_damaged_is_mended_or_refused(artifacts: ArtifactStore) -> None:
    artifacts.put([CONTENT], LIMIT)
    path = artifacts.local_path(DIGEST)
    found = path.stat()
    path.chmod(0o600)
    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    try:
        mended = artifacts.mended(DIGEST)
    except Unprocessable as error:
        # a folder has no other copy
        assert "is damaged" in str(error)  # noqa: PT017 - the other outcome is as good
    else:
        assert mended.read_bytes() == CONTENT


def test_a_whole_copy_needs_no_mending(artifacts: ArtifactStore) -> None:
    artifacts.put([CONTENT], LIMIT)

    assert artifacts.mended(DIGEST).read_bytes() == CONTENT
    with pytest.raises(NotFound, match="not in the store"):
        artifacts.mended("0" * 64)
