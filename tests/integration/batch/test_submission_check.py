"""A job is looked at in a process of its own before it is taken."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augurium.batch.submission import NOT_INSTALLED, SubmissionOrder, SubmissionVerdict
from augurium.control.batch_submission import CheckProcess
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import (
    Conflict,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import Artifact, Version

MODEL = Artifact("ab" * 32, 1)
WITHOUT_PYARROW, WITHOUT_RAY = (
    (
        sys.executable,
        "-c",
        f"import sys; sys.modules['{library}'] = None\n"
        "from augurium.batch.submission_check import main; main()",
    )
    for library in ("pyarrow", "ray")
)
VERSION = Version(
    model="churn",
    version=3,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    framework="onnx",
    framework_version="1",
    runtime="onnx",
    source=MODEL,
    source_name="model.onnx",
    servable=MODEL,
    signature=Signature(
        (TensorSpec("x", "FP32", (-1, 2), features=("amount", "age")),),
        (TensorSpec("score", "FP32", (-1,)),),
    ),
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    for number in range(3):
        columns = {"id": [number], "amount": [1.5], "age": [40]}
        pq.write_table(pa.table(columns), folder / f"{number}.parquet")
    return folder


def order(
    rows: Path, roots: tuple[str, ...] | None = None, home: Path | None = None, **said: Any
) -> SubmissionOrder:
    """A job over these files, or as it is said otherwise."""
    base = {
        "model": "churn",
        "input": {"paths": [str(rows)]},
        "output": {"path": str(rows.parent / "out")},
    }
    spec = msgspec.convert(base | said, BatchSpec)
    return SubmissionOrder(
        spec, VERSION, StorageSettings(), roots, str(home or rows.parent / "home")
    )


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def files_in(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


async def verdict(
    asked: SubmissionOrder, command: Sequence[str] = (), timeout_s: float = 60.0
) -> SubmissionVerdict:
    check = CheckProcess(timeout_s, command) if command else CheckProcess(timeout_s)
    return await check(asked)


async def test_a_job_that_can_be_is_told_what_it_will_read(rows: Path) -> None:
    found = await verdict(order(rows))

    assert (found.files, found.rows) == (3, 3)
    assert found.total_bytes == size_of(rows)
    # that the output can be written was tried, and nothing is left of it
    assert files_in(rows.parent) == files_in(rows)


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        ({"input": {"paths": ["{rows}/none"]}}, NotFound, "none does not exist"),
        ({"input": {"paths": ["{rows}"], "columns": {"age": "years"}}}, InvalidArgument, "years"),
        ({"input": {"paths": ["{rows}"], "where": "price >"}}, InvalidArgument, "price"),
        ({"input": {"paths": ["{rows}"], "keep": ["name"]}}, InvalidArgument, "name"),
        ({"input": {"paths": ["{rows}"], "format": "csv"}}, InvalidArgument, "0.parquet"),
        ({"output": {"path": "{rows}"}}, InvalidArgument, "choose another folder"),
        ({"output": {"path": "/out", "partition_by": ["day"]}}, InvalidArgument, "day"),
        ({"output": {"path": "/out", "outputs": ["price"]}}, InvalidArgument, "price"),
        ({"output": {"path": "{rows}/.."}}, (Conflict, InvalidArgument), "{parent}"),
        ({"explain": True}, InvalidArgument, "contributions"),
        ({"runtime": "abacus"}, InvalidArgument, "abacus"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_with_what_to_do(
    rows: Path, said: dict[str, Any], error: type[Exception], why: str
) -> None:
    places = {"{rows}": str(rows), "{parent}": str(rows.parent)}
    text = msgspec.json.encode(said).decode()
    for name, place in places.items():
        text, why = text.replace(name, place), why.replace(name, place)

    with pytest.raises(error, match=why.replace(".", r"\.")):
        await verdict(order(rows, **msgspec.json.decode(text)))


async def test_places_outside_of_the_roots_are_refused(rows: Path) -> None:
    assert (await verdict(order(rows, roots=(str(rows.parent),)))).files == 3
    with pytest.raises(PermissionDenied, match=r"outside of what batch jobs may read and write"):
        await verdict(order(rows, roots=(str(rows),)))
    (rows / "link").symlink_to("/etc")
    with pytest.raises(PermissionDenied):
        await verdict(
            order(rows, roots=(str(rows.parent),), input={"paths": [f"{rows}/link/passwd"]})
        )


async def test_files_of_the_node_itself_are_no_input(rows: Path) -> None:
    with pytest.raises(PermissionDenied, match="in the folder of the node itself"):
        await verdict(order(rows, home=rows))


async def test_a_server_without_the_libraries_says_how_to_get_them(rows: Path) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await verdict(order(rows), WITHOUT_PYARROW)

    assert str(refused.value) == NOT_INSTALLED


async def test_a_server_without_ray_says_how_to_get_it(rows: Path) -> None:
    assert (await verdict(order(rows, engine="local"), WITHOUT_RAY)).rows == 3
    with pytest.raises(InvalidArgument, match=r"pip install 'augurium\[ray\]'"):
        await verdict(order(rows, engine="ray"), WITHOUT_RAY)


async def test_a_look_that_takes_too_long_is_ended(rows: Path) -> None:
    with pytest.raises(DeadlineExceeded, match=r"batch\.check_timeout_s"):
        await verdict(order(rows), ("sleep", "4217"), timeout_s=0.1)

    words = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "4217"] not in words


async def test_a_look_that_crashes_is_a_fault_of_the_server(rows: Path) -> None:
    with pytest.raises(Internal, match="log of the node"):
        await verdict(order(rows), ("false",))
