"""Which rows an engine remembers, how many, and what of them a restart brings back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augurium.core.errors import AuguriumError
from augurium.core.signature import Signature
from augurium.core.tensors import BFLOAT16, TensorSpec
from augurium.serving.executor import LocalExecutor
from augurium.serving.recorded_traffic import (
    MOST_MODEL_BYTES,
    MOST_ROW_BYTES,
    MOST_ROWS,
    RecordedRow,
    RecordedTraffic,
    is_sound,
)
from augurium.serving.recorded_traffic_file import load_traffic, save_traffic

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),))


class Total:
    def run(self, inputs: Any, outputs: Any = None) -> list[Any]:
        return [inputs["x"].sum(axis=1)]


def row(value: float, width: int = 2) -> RecordedRow:
    return RecordedRow({"x": np.full((1, width), value, np.float32)}, True, True)


def values(traffic: RecordedTraffic, model: str = "m") -> list[float]:
    return [float(found.inputs["x"][0, 0]) for found in traffic.all().get(model, [])]


def test_an_executor_shows_its_runs_now_and_then() -> None:
    traffic = RecordedTraffic(10**6)
    executor = LocalExecutor(Total(), ["x"], ["y"])
    executor.run([np.ones((3, 2), np.float32)])
    assert traffic.all() == {}
    recorder = traffic.recorder("m", SIGNATURE)
    assert recorder is not None
    executor.record(recorder)
    for _ in range(50):
        executor.run([np.full((5, 2), 7, np.float32)])
    # the next one is due in a while
    assert values(traffic) == [7.0]
    assert traffic.sizes("m", 3) == [5]


def test_what_is_kept_is_a_copy_of_one_row() -> None:
    traffic = RecordedTraffic(10**6)
    recorder = traffic.recorder("m", SIGNATURE)
    assert recorder is not None
    inputs = np.full((1000, 2), 3, np.float32)
    assert recorder.ran([inputs], [inputs.sum(axis=1)], 1.0) > 1.0
    inputs[:] = 0
    (found,) = traffic.rows("m", SIGNATURE)
    assert found.inputs["x"].tolist() == [[3.0, 3.0]]
    assert found.inputs["x"].base is None


def test_nothing_is_recorded_where_nothing_may_be_kept() -> None:
    assert RecordedTraffic(0).recorder("m", SIGNATURE) is None


def test_a_model_has_so_many_rows_and_new_ones_replace_others() -> None:
    traffic = RecordedTraffic(10**6)
    for value in range(10 * MOST_ROWS):
        traffic.add("m", row(value))
    found = values(traffic)
    assert len(found) == MOST_ROWS
    assert max(found) >= MOST_ROWS


def test_a_model_has_so_many_bytes() -> None:
    traffic = RecordedTraffic(10**8)
    for value in range(100):
        traffic.add("m", row(value, width=MOST_ROW_BYTES // 4))
    assert len(values(traffic)) == MOST_MODEL_BYTES // MOST_ROW_BYTES


def test_rows_of_models_that_were_not_asked_for_long_go_first() -> None:
    traffic = RecordedTraffic(3 * 8)
    for model in ("a", "b", "c", "a", "d"):
        traffic.add(model, row(1))
    assert sorted(traffic.all()) == ["a", "d"]


def test_a_row_too_large_is_not_kept_but_its_run_counts() -> None:
    traffic = RecordedTraffic(10**8)
    wide = Signature((TensorSpec("x", "FP32", (-1, -1)),), SIGNATURE.outputs)
    recorder = traffic.recorder("m", wide)
    assert recorder is not None
    recorder.ran([np.zeros((2, MOST_ROW_BYTES), np.float32)], [np.zeros(2, np.float32)], 1.0)
    assert values(traffic) == []
    assert traffic.sizes("m", 3) == [2]


@pytest.mark.parametrize(
    ("outputs", "sound"),
    [
        ([np.array([1.0, 2.0])], True),
        ([np.array([1.0, np.nan])], False),
        ([np.array([1.0, -np.inf])], True),
        ([np.array([np.inf, -np.inf])], False),
        ([np.array([np.nan]).astype(BFLOAT16)], False),
        ([np.array([1]), np.array(["a"], object)], True),
        ([np.empty(0)], True),
        ([], True),
    ],
    ids=[
        "numbers",
        "nan",
        "one infinity",
        "only infinity",
        "bfloat16",
        "no float",
        "empty",
        "none",
    ],
)
def test_a_sound_answer_has_no_nan_and_some_number(outputs: list[Any], sound: bool) -> None:
    assert is_sound(outputs) == sound


def test_rows_come_back_after_a_restart(tmp_path: Path) -> None:
    traffic, file = RecordedTraffic(10**6), tmp_path / "engine-0.traffic"
    inputs = {
        "text": np.array([["ä", None, b"\xff"]], object),
        "half": np.array([[1.5]]).astype(BFLOAT16),
        "flag": np.array([True]),
        "none": np.empty((1, 0), np.int64),
    }
    traffic.add("m", RecordedRow(inputs, True, False))
    save_traffic(file, traffic)
    again = RecordedTraffic(10**6)
    load_traffic(file, again)
    (found,) = again.all()["m"]
    assert (found.batched, found.sound) == (True, False)
    for name, array in inputs.items():
        assert found.inputs[name].dtype == array.dtype
        assert found.inputs[name].tolist() == array.tolist()


def test_no_file_is_no_rows_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    file = tmp_path / "engine-0.traffic"
    load_traffic(file, RecordedTraffic(10**6))
    save_traffic(file, RecordedTraffic(10**6))
    for content in (
        b"",
        b"\x93",
        file.read_bytes() + b"x",
        b"\x81\xa1m\x91\x93\x81\xa1x\x93\xa4FP32\x91\x05\xc4\x01a\xc3\xc3",
    ):
        file.write_bytes(content)
        with pytest.raises(AuguriumError, match="cannot be read"):
            load_traffic(file, RecordedTraffic(10**6))
