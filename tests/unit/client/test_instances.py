"""What may be given as instances, and what it becomes in JSON."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from augurium.client.instances import plain_instances
from augurium.core.errors import InvalidArgument


def test_rows_and_objects_stay_as_they_are() -> None:
    instances = [{"age": 31, "city": "Rome", "member": True}, [1, 2.5, None]]

    assert plain_instances(instances) == instances


def test_arrays_become_rows() -> None:
    assert plain_instances(np.array([[1.0, 2.0], [3.0, 4.0]])) == [[1.0, 2.0], [3.0, 4.0]]


def test_numpy_values_inside_objects_become_plain() -> None:
    instances = ({"age": np.int64(31), "scores": np.array([0.5, 1.5], np.float32)},)

    assert plain_instances(instances) == [{"age": 31, "scores": [0.5, 1.5]}]


def test_a_data_frame_is_one_object_per_row() -> None:
    frame = pd.DataFrame({"age": [31, 40], "city": ["Rome", None]})

    assert plain_instances(frame) == [{"age": 31, "city": "Rome"}, {"age": 40, "city": None}]


@pytest.mark.parametrize(
    "instances", [[[float("nan"), 1.0]], np.array([[np.nan, 1.0]]), [[np.float32("nan"), 1.0]]]
)
def test_nan_is_a_missing_value(instances: Any) -> None:
    assert plain_instances(instances) == [[None, 1.0]]


@pytest.mark.parametrize("instances", [[[float("inf")]], np.array([[-np.inf]])])
def test_infinities_are_refused(instances: Any) -> None:
    with pytest.raises(InvalidArgument, match="infinity"):
        plain_instances(instances)


@pytest.mark.parametrize("instances", [{"age": 31}, 7, "[1]"])
def test_what_is_not_a_list_is_refused(instances: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a list"):
        plain_instances(instances)


def test_named_fields_of_an_array_are_features() -> None:
    table = np.array([(31, "Rome"), (40, "Oslo")], dtype=[("age", "i4"), ("city", "U8")])

    assert plain_instances(table) == [{"age": 31, "city": "Rome"}, {"age": 40, "city": "Oslo"}]


def test_bytes_are_wrapped_in_base64() -> None:
    wrapped = {"b64": "/9g="}
    assert plain_instances([b"\xff\xd8", {"image": b"\xff\xd8"}]) == [wrapped, {"image": wrapped}]
    assert plain_instances(np.array([b"\xff\xd8"])) == [wrapped]
