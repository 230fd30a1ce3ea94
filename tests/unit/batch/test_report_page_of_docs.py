"""The page of the docs names every field of a report."""

from pathlib import Path

import msgspec
import pytest

from augurium.batch.cost import Cost
from augurium.batch.distributions import Class, Distribution
from augurium.batch.drift import Bar, Drift, FeatureDrift
from augurium.batch.partition import RejectedRow
from augurium.batch.report import Files, Nulls, Rejects, Report, Rows, Stage

PAGE = (Path(__file__).parents[3] / "docs/reference/batch-report.md").read_text("utf-8")
STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(Report, Rows, Files, Stage, Nulls, Rejects, RejectedRow),
    *(Distribution, Class, Drift, FeatureDrift, Bar, Cost),
)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_explained(struct: type[msgspec.Struct]) -> None:
    missing = [name for name in struct.__struct_fields__ if f"`{name}`" not in PAGE]
    assert not missing
