"""What a warm-up runs, and what it refuses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import ModelFailed
from augurium.core.settings import WarmUpSettings
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.executor import LocalExecutor, RunLost
from augurium.serving.recorded_traffic import RecordedRow, RecordedTraffic
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion
from augurium.serving.warm_up import WarmUp

X, Y = TensorSpec("x", "FP32", (-1, 2)), TensorSpec("y", "FP32", (-1,))
DESIRED = DesiredVersion("m", 1, "onnx", "", "", Signature((X,), (Y,)))
EXAMPLES = ([1.0, 2.0], [3.0, 4.0])
Answer = Callable[[Array], Array]


class Model:
    """Answers by a function of its rows; remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[list[list[float]]] = []
        self._answer = answer

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        self.asked.append(inputs["x"].tolist())
        return [self._answer(inputs["x"])]

    @property
    def sizes(self) -> list[int]:
        return [len(rows) for rows in self.asked]


def total(rows: Array) -> Array:
    return np.asarray(rows.sum(axis=1), np.float32)


def refusing(condition: Callable[[Array], bool], answer: Answer = total) -> Answer:
    """Fails on runs that meet a condition."""

    def run(rows: Array) -> Array:
        if condition(rows):
            raise ModelFailed("the model failed: unknown category")
        return answer(rows)

    return run


def traffic_of(
    *rows: list[float], sound: bool = True, sizes: Sequence[int] = ()
) -> RecordedTraffic:
    traffic = RecordedTraffic(10**6)
    for row in rows:
        traffic.add("m", RecordedRow({"x": np.array([row], np.float32)}, True, sound))
    for size in sizes:
        traffic.note_size("m", size)
    return traffic


def warm_up(
    answer: Answer,
    traffic: RecordedTraffic | None = None,
    settings: WarmUpSettings | None = None,
    clock: ManualClock | None = None,
    **fields: Any,
) -> Model:
    model = Model(answer)
    executor = LocalExecutor(model, ["x"], ["y"])
    desired = msgspec.structs.replace(DESIRED, **fields)
    now = clock.monotonic if clock else ManualClock().monotonic
    WarmUp(settings or WarmUpSettings(), traffic or traffic_of(), now).run(executor, desired)
    return model


def test_without_real_rows_zeros_run_at_the_usual_sizes() -> None:
    model = warm_up(total)
    assert set(model.sizes) == {1, 64}
    assert not np.any(model.asked[-1])


def test_example_rows_run_alone_and_together() -> None:
    model = warm_up(total, examples=EXAMPLES)
    assert model.asked[1:3] == [[[1.0, 2.0]], [[3.0, 4.0]]]
    assert model.sizes[-1] == 64
    assert model.asked[-1][:3] == [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]


def test_sizes_in_use_are_tried_and_none_is_larger_than_a_batch_may_be() -> None:
    traffic = traffic_of(sizes=[7] * 5 + [200] * 3 + [9])
    model = warm_up(total, traffic, batching=BatchingPolicy(max_batch_size=50))
    assert set(model.sizes) == {1, 7, 9, 50}


def test_zeros_may_be_refused() -> None:
    model = warm_up(refusing(lambda rows: not rows.any()))
    assert model.sizes == [1]


def test_a_model_that_fails_on_example_rows_is_refused() -> None:
    with pytest.raises(ModelFailed, match=r"on the example rows: .*unknown category"):
        warm_up(refusing(lambda rows: 3.0 in rows), examples=EXAMPLES)


def test_a_model_that_fails_on_recent_requests_is_refused() -> None:
    with pytest.raises(ModelFailed, match=r"on recent requests: .*unknown category"):
        warm_up(refusing(lambda rows: 8.0 in rows), traffic_of([8.0, 8.0]), examples=EXAMPLES)


def test_rows_that_nobody_can_send_prove_nothing() -> None:
    warm_up(total, examples=([1.0, 2.0, 3.0], ["a", "b"], *EXAMPLES))


def test_recorded_rows_of_another_signature_are_left_out() -> None:
    traffic = RecordedTraffic(10**6)
    for inputs in (
        {"x": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 2), np.float64)},
        {"z": np.zeros((1, 2), np.float32)},
    ):
        traffic.add("m", RecordedRow(inputs, True, True))
    traffic.add("m", RecordedRow({"x": np.zeros((1, 2), np.float32)}, False, True))
    assert len(warm_up(total, traffic).sizes) == 7


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: np.zeros(len(rows), np.float64), "came as float64, expected float32"),
        (lambda rows: np.zeros((len(rows), 1), np.float32), r"shape \[1, 1\], expected \[1\]"),
        (lambda rows: np.zeros(len(rows) + 1, np.float32), r"shape \[2\], expected \[1\]"),
    ],
    ids=["type", "rank", "rows"],
)
def test_answers_that_are_not_as_the_signature_says_are_refused(
    answer: Answer, message: str
) -> None:
    with pytest.raises(ModelFailed, match=f"on made-up rows: output 'y' .*{message}"):
        warm_up(answer)


def test_a_model_that_ends_its_process_is_refused_whatever_the_rows() -> None:
    def run(rows: Array) -> Array:
        raise RunLost("the model ended its runner")

    with pytest.raises(ModelFailed, match="on made-up rows: the model ended its runner"):
        warm_up(run)


def nan_where(condition: Callable[[Array], Any]) -> Answer:
    return lambda rows: np.where(condition(rows), np.nan, total(rows)).astype(np.float32)


def test_nan_to_some_example_rows_may_be_right() -> None:
    warm_up(nan_where(lambda rows: rows[:, 0] == 1.0), examples=EXAMPLES)


def test_nan_to_all_example_rows_is_not() -> None:
    with pytest.raises(ModelFailed, match="on the example rows: it answers NaN or infinity to all"):
        warm_up(nan_where(lambda rows: rows[:, 0] > 0), examples=EXAMPLES)


def test_nan_to_rows_together_that_are_answered_alone_is_not() -> None:
    with pytest.raises(ModelFailed, match=r"on the example rows: .* to 64 rows together"):
        warm_up(nan_where(lambda rows: np.full(len(rows), len(rows) > 1)), examples=EXAMPLES)


def test_nan_where_the_version_before_answered_numbers_is_not() -> None:
    answer = nan_where(lambda rows: rows[:, 0] == 8.0)
    with pytest.raises(ModelFailed, match=r"on recent requests: .* where the version before"):
        warm_up(answer, traffic_of([7.0, 7.0], [8.0, 8.0]))
    warm_up(answer, traffic_of([7.0, 7.0], [8.0, 8.0], sound=False))


def test_after_its_time_a_warm_up_tries_each_kind_and_no_more() -> None:
    clock = ManualClock()

    def slow(rows: Array) -> Array:
        clock.advance(6.0)
        return total(rows)

    settings = WarmUpSettings(timeout_s=10.0)
    model = warm_up(slow, traffic_of([7.0, 7.0]), settings, clock, examples=EXAMPLES)
    assert model.asked == [[[0.0, 0.0]], [[1.0, 2.0]], [[7.0, 7.0]]]


def test_a_row_that_takes_longer_than_the_limit_is_refused() -> None:
    clock = ManualClock()

    def slow(rows: Array) -> Array:
        clock.advance(11.0)
        return total(rows)

    with pytest.raises(ModelFailed, match=r"one row takes 11\.0 s, more than the 10 s of warm_up"):
        warm_up(slow, settings=WarmUpSettings(timeout_s=10.0), clock=clock)


def test_a_proven_version_runs_one_row() -> None:
    model = Model(total)
    WarmUp(WarmUpSettings(), traffic_of()).run_briefly(LocalExecutor(model, ["x"], ["y"]), DESIRED)
    assert model.sizes == [1]
