"""Arrow tables on their way: what is one, and that it arrives as it left."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from augurium.client.arrow_tables import (
    decode_table,
    encode_table,
    is_arrow,
    table_of_tensors,
)
from augurium.client.instances import sendable
from augurium.core.errors import AuguriumError, InvalidArgument

TABLE = pa.table({"age": [31, None], "city": ["Rome", "Oslo"]})


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        (TABLE, True),
        (TABLE.to_batches()[0], True),
        (TABLE.to_reader(), True),
        (TABLE.to_pandas(), False),
        ([{"age": 1}], False),
        (np.zeros((1, 1)), False),
    ],
    ids=["table", "batch", "reader", "frame", "objects", "array"],
)
def test_what_speaks_arrow_goes_as_a_table(instances: object, expected: bool) -> None:
    assert is_arrow(instances) == expected
    assert (sendable(instances).table is not None) == expected


def test_a_table_arrives_as_it_left_without_what_libraries_noted() -> None:
    noted = pa.Table.from_pandas(pd.DataFrame({"age": [1, 2]}))

    found = decode_table(encode_table(noted))

    assert found.to_pydict() == {"age": [1, 2]}
    assert found.schema.metadata is None


def test_a_table_has_plain_instances_too() -> None:
    assert sendable(TABLE).plain == [{"age": 31, "city": "Rome"}, {"age": None, "city": "Oslo"}]


@pytest.mark.parametrize("content", [b"", b"<html>", encode_table(TABLE)[:-40]])
def test_a_damaged_table_is_an_error(content: bytes) -> None:
    with pytest.raises(AuguriumError, match="not an Arrow table"):
        decode_table(content)


def test_tensors_are_columns() -> None:
    outputs = {
        "y": np.array([[1.0], [2.0]]),
        "p": np.array([[0.5, 0.5], [0.1, 0.9]]),
        "s": np.array(["a", "b"], object),
    }

    assert table_of_tensors(outputs).to_pydict() == {
        "y": [1.0, 2.0],
        "p": [[0.5, 0.5], [0.1, 0.9]],
        "s": ["a", "b"],
    }


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(InvalidArgument, match=r"augurium\[tables\]"):
        sendable(TABLE)
