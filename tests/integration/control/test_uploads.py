import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from augurium.control.uploads import Uploads
from augurium.core.errors import TooLarge
from augurium.registry.obstore_artifacts import ObstoreArtifacts


async def _half_a_model() -> AsyncIterator[bytes]:
    yield b"x" * 3_000_000
    await asyncio.Event().wait()


def _files(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.is_file()]


async def _until(root: Path, count: int) -> None:
    async with asyncio.timeout(20):
        # the store works in a thread and tells nobody
        while len(_files(root)) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_upload_that_is_given_up_leaves_no_file_and_no_busy_thread(tmp_path: Path) -> None:
    uploads = Uploads(ObstoreArtifacts(tmp_path), 10_000_000)
    stuck = [asyncio.create_task(uploads.store(_half_a_model(), None)) for _ in range(4)]
    await _until(tmp_path, 4)

    for upload in stuck:
        upload.cancel()

    await _until(tmp_path, 0)
    assert (await asyncio.wait_for(uploads.store(_model(), None), 20)).size_bytes == 5
    uploads.stop()


async def _model() -> AsyncIterator[bytes]:
    yield b"mo"
    yield b""
    yield b"del"


async def test_an_upload_above_the_limit_leaves_no_file(tmp_path: Path) -> None:
    uploads = Uploads(ObstoreArtifacts(tmp_path), 2_000_000)

    with pytest.raises(TooLarge):
        await asyncio.wait_for(uploads.store(_half_a_model(), None), 20)

    await _until(tmp_path, 0)
    uploads.stop()
