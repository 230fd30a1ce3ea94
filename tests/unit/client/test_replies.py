"""Predictions in the forms people go on with."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from augurium.client.replies import Predictions, PredictionTable

OBJECTS = [{"label": "yes", "p": 0.5}, {"label": "no", "p": None}]
TABLE = pa.table({"label": ["yes", "no"], "p": [0.5, None]})


@pytest.mark.parametrize(
    "reply", [Predictions(predictions=OBJECTS), PredictionTable(table=TABLE)], ids=["json", "arrow"]
)
def test_several_outputs_are_columns_by_name(reply: Predictions | PredictionTable) -> None:
    arrays = reply.to_numpy()

    assert reply.predictions == OBJECTS
    assert arrays["label"].tolist() == ["yes", "no"]
    assert arrays["p"][0] == 0.5
    assert np.isnan(arrays["p"][1])
    assert list(reply.to_pandas().columns) == ["label", "p"]
    assert reply.to_pandas()["label"].tolist() == ["yes", "no"]
    assert reply.to_arrow().equals(TABLE)


def test_a_single_output_is_called_prediction_where_it_has_no_name() -> None:
    reply = Predictions(predictions=[1, 2])

    assert reply.to_numpy()["prediction"].tolist() == [1, 2]
    pd.testing.assert_frame_equal(reply.to_pandas(), pd.DataFrame({"prediction": [1, 2]}))
    assert reply.to_arrow().column_names == ["prediction"]


def test_a_single_output_of_a_table_is_its_values() -> None:
    assert PredictionTable(table=pa.table({"y": [1, 2]})).predictions == [1, 2]


@pytest.mark.parametrize(
    ("rows", "shape"), [([[1.0, 2.0], [3.0, 4.0]], (2, 2)), ([[1.0], [2.0, 3.0]], (2,)), ([], (0,))]
)
def test_rows_of_any_form_are_arrays(rows: list[Any], shape: tuple[int, ...]) -> None:
    table = pa.table({"y": pa.array(rows, pa.list_(pa.float64()))})

    for reply in (Predictions(predictions=rows), PredictionTable(table=table)):
        (array,) = reply.to_numpy().values()
        assert array.shape == shape
        assert array.tolist() == rows
