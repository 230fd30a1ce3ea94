"""House rule: every transform and each of its fields stands in the reference page."""

from pathlib import Path

import pytest

from augurium.preprocessing import Column
from augurium.preprocessing.transforms import AnyTransform

PAGE = (Path(__file__).parents[3] / "docs/reference/transforms.md").read_text("utf-8")
ROWS = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}


@pytest.mark.parametrize("transform", AnyTransform.__args__)
def test_every_transform_stands_in_the_page_with_its_fields(transform: type) -> None:
    row = ROWS[transform.__struct_config__.tag]  # type: ignore[attr-defined]

    for field in transform.__struct_fields__:  # type: ignore[attr-defined]
        assert field == "columns" or f"`{field}`" in row


def test_every_field_of_a_column_stands_in_the_page() -> None:
    assert set(Column.__struct_fields__) <= set(ROWS)
