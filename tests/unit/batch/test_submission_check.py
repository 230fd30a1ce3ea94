"""What is refused before a job is taken."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augurium.batch.submission import SubmissionOrder
from augurium.batch.submission_check import checked
from augurium.core.batch_job import BatchSpec, InputSpec, OutputSpec
from augurium.core.errors import Conflict, InvalidArgument
from augurium.core.settings import StorageSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import Artifact, Version, VersionDraft, numbered
from tests.support.batch_inputs import numbers

SIGNATURE = Signature(
    (numbers("a", "b"),),
    (TensorSpec("label", "INT64", (-1,)), TensorSpec("scores", "FP32", (-1, 3))),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The place of a test, with an input of three rows."""
    (tmp_path / "in").mkdir()
    columns = {"id": [1, 2, 3], "label": ["x", "y", "z"], "tags": [[1], [], [2]]}
    table = pa.table(columns | {"a": [0.5, 1.0, 2.0], "b": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "in/rows.parquet")
    return tmp_path


def order(folder: Path, keep: tuple[str, ...] = ("id",), **output: Any) -> SubmissionOrder:
    spec = BatchSpec(
        model="fraud",
        input=InputSpec(paths=(f"{folder}/in",), keep=keep),
        output=OutputSpec(**{"path": f"{folder}/out"} | output),
    )
    return SubmissionOrder(spec, version(), StorageSettings(), None, f"{folder}/home")


def version() -> Version:
    draft = VersionDraft(
        framework="sklearn",
        framework_version="1.7.2",
        runtime="onnx",
        source=Artifact("a" * 64, 2048),
        source_name="fraud.skops",
        servable=Artifact("b" * 64, 1024),
        signature=SIGNATURE,
    )
    return numbered(draft, "fraud", 3, datetime.now(UTC))


def test_a_job_that_can_be_is_told_with_what_it_will_read(folder: Path) -> None:
    verdict = checked(order(folder))
    assert (verdict.files, verdict.rows, verdict.refusal) == (1, 3, None)
    assert not [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "in"]


@pytest.mark.parametrize(
    ("keep", "output", "reason"),
    [
        (("id", "label"), {}, "two columns of the output would be called 'label'"),
        (("id",), {"partition_by": ("day",)}, r"cannot be partitioned by \['day'\]"),
        (("id", "tags"), {"partition_by": ("tags",)}, "folders cannot be named by values"),
        (("id",), {"outputs": ("sore",)}, r"no output \['sore'\]"),
        (("id", "tags"), {"format": "csv"}, "CSV cannot hold column 'tags'"),
        (("id",), {"compression": "brotli"}, "cannot be compressed by 'brotli'"),
    ],
)
def test_columns_that_cannot_be_written_are_refused(
    folder: Path, keep: tuple[str, ...], output: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        checked(order(folder, keep, **output))


def test_an_output_that_is_not_empty_is_refused_or_added_to(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/part-0.parquet").write_bytes(b"1")
    with pytest.raises(Conflict, match=r"is not empty, it has 'part-0\.parquet'"):
        checked(order(folder))
    with pytest.raises(Conflict, match="which no job has written"):
        checked(order(folder, mode="overwrite"))
    assert checked(order(folder, mode="append")).rows == 3


def test_an_output_below_the_input_is_refused_if_it_would_be_read(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"has files that are read, such as .*rows\.parquet"):
        checked(order(folder, path=f"{folder}/in", mode="append"))
