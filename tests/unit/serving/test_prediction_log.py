"""What ended requests leave in the log of an engine: bounded, sampled by id, without views."""

import json
from typing import Any

import numpy as np
import pytest

from augurium.core.identifiers import ModelRef
from augurium.core.inference import (
    Answer,
    BatchOutputs,
    InferenceRequest,
    InferenceResponse,
    Instances,
)
from augurium.core.rollout_settings import PredictionLogSettings
from augurium.core.serving_policy import LogPolicy
from augurium.core.signature import Signature
from augurium.core.tensors import Array, TensorSpec
from augurium.serving.logged_prediction import LoggedPrediction, decode_predictions
from augurium.serving.prediction_log import PredictionLog, VersionLog

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),))
ALL = PredictionLogSettings(sample=1.0)
NOBODY = ("", "")


def log_of(
    settings: PredictionLogSettings = ALL, policy: LogPolicy | None = None
) -> tuple[PredictionLog, VersionLog]:
    log = PredictionLog(settings, lambda: 1000.0)
    found = log.of("m", 1, policy or LogPolicy(), SIGNATURE)
    assert found is not None
    return log, found


def request(inputs: dict[str, Array] | Instances | None = None, **of: Any) -> InferenceRequest:
    values = {"x": np.ones((1, 2), np.float32)} if inputs is None else inputs
    return InferenceRequest(ModelRef("m"), values, 0.0, **of)


def response(*values: Any, run: int = 1, dtype: Any = np.float32) -> InferenceResponse:
    array = np.array(values * run, dtype)
    answer = Answer(BatchOutputs([array]), 0, len(values))
    return InferenceResponse("m", 1, "", SIGNATURE.outputs, [0], answer)


def taken(log: PredictionLog) -> list[LoggedPrediction]:
    return decode_predictions(log.encoded(log.take(1000)))


def test_a_sampled_request_leaves_its_values() -> None:
    log, version = log_of()

    version.ended(request(id="r1"), response(0.5), "ok", 0.25, ("b", "user-7"))

    (row,) = taken(log)
    assert row == LoggedPrediction(
        1000.0, "r1", "m", 1, "b", "user-7", 0.5, 0.25, "ok", True, row.inputs, row.outputs
    )
    assert json.loads(row.inputs or "") == {"x": [[1.0, 1.0]]}
    assert json.loads(row.outputs or "") == {"y": [0.5]}


def test_nothing_is_logged_of_a_model_that_is_left_out() -> None:
    log = PredictionLog(ALL)
    assert log.of("m", 1, LogPolicy(sample=0.0), SIGNATURE) is None
    assert (
        PredictionLog(PredictionLogSettings(enabled=False)).of(
            "m", 1, LogPolicy(sample=1.0, exposures=True), SIGNATURE
        )
        is None
    )


def test_the_same_ids_are_sampled_everywhere_about_as_many_as_wanted() -> None:
    settings = PredictionLogSettings(sample=0.1)
    sampled = []
    for _ in range(2):
        log, version = log_of(settings)
        for number in range(10_000):
            version.ended(request(id=f"2f1e0a74-{number:x}"), response(0.5), "ok", 0.1, NOBODY)
        rows = decode_predictions(log.encoded(log.take(10_000)))
        sampled.append({row.prediction_id for row in rows})

    assert sampled[0] == sampled[1]
    assert 800 < len(sampled[0]) < 1200


def test_exposures_have_no_values() -> None:
    log, version = log_of(policy=LogPolicy(sample=0.0, exposures=True))

    version.ended(request(id="r1"), response(0.5), "ok", 0.1, ("a", "u"))

    (row,) = taken(log)
    assert (row.sampled, row.inputs, row.outputs, row.score) == (False, None, None, 0.5)
    assert (row.variant, row.unit) == ("a", "u")


def test_a_request_without_an_id_is_given_one() -> None:
    log, version = log_of()
    answers = [response(0.5), response(0.5)]

    for answer in answers:
        version.ended(request(), answer, "ok", 0.1, NOBODY)

    ids = [row.prediction_id for row in taken(log)]
    assert ids == [answer.prediction_id for answer in answers]
    assert len(set(ids)) == 2
    assert all(ids)


@pytest.mark.parametrize(
    ("said", "id_"), [("from-metadata", "from-metadata"), ("not\nprintable", "r1"), (None, "r1")]
)
def test_an_id_in_the_metadata_comes_first(said: str | None, id_: str) -> None:
    log, version = log_of()

    version.ended(request(id="r1", header=lambda name: said), response(0.5), "ok", 0.1, NOBODY)

    assert [row.prediction_id for row in taken(log)] == [id_]


def test_a_failed_request_has_no_outputs() -> None:
    log, version = log_of()

    version.ended(request(id="r1"), None, "model_failed", 0.1, NOBODY)

    (row,) = taken(log)
    assert (row.outcome, row.score, row.outputs) == ("model_failed", None, None)
    assert row.inputs is not None


def test_what_there_is_no_room_for_is_dropped_and_counted() -> None:
    log, version = log_of(PredictionLogSettings(sample=1.0, ring_records=3))

    for number in range(5):
        version.ended(request(id=f"r{number}"), response(0.5), "ok", 0.1, NOBODY)

    assert [row.prediction_id for row in taken(log)] == ["r0", "r1", "r2"]
    assert log.dropped == 2
    version.ended(request(id="later"), response(0.5), "ok", 0.1, NOBODY)
    assert log.waiting == 1


def test_bytes_are_bounded_too() -> None:
    log, version = log_of(PredictionLogSettings(sample=1.0, ring_bytes=20_000))
    large = {"x": np.ones((500, 2), np.float32)}

    for number in range(50):
        version.ended(request(large, id=f"r{number}"), response(0.5), "ok", 0.1, NOBODY)

    assert 0 < log.waiting <= 4
    assert log.dropped == 50 - log.waiting
    log.take(1000)
    version.ended(request(large, id="again"), response(0.5), "ok", 0.1, NOBODY)
    assert log.waiting == 1


def test_what_is_kept_is_no_view_of_a_request_or_a_run() -> None:
    log, version = log_of()
    sent = np.ones((1, 2), np.float32)
    answered = response(0.5, run=100)
    version.ended(request({"x": sent}, id="r1"), answered, "ok", 0.1, NOBODY)

    sent[:] = 7
    answered.answer.array(0)[:] = 7

    (row,) = taken(log)
    assert json.loads(row.inputs or "") == {"x": [[1.0, 1.0]]}
    assert json.loads(row.outputs or "") == {"y": [0.5]}


def test_long_values_are_cut_to_whole_rows_and_marked() -> None:
    settings = PredictionLogSettings(sample=1.0, record_bytes=1024)
    log, version = log_of(settings)
    rows = {"x": np.full((10_000, 2), 1 / 3, np.float64)}

    version.ended(request(rows, id="r1"), response(*range(10_000)), "ok", 0.1, NOBODY)

    (row,) = taken(log)
    for text, name in ((row.inputs, "x"), (row.outputs, "y")):
        assert text is not None
        assert len(text) <= 1024
        found = json.loads(text)
        assert found["augurium-truncated"] is True
        assert 1 <= len(found[name]) < 10_000


@pytest.mark.parametrize(
    "inputs",
    [
        Instances([{"x": [1.0] * 100_000}]),
        Instances([{"x": "y" * 1_000_000}]),
        {"x": np.ones((1, 1_000_000), np.float32)},
        {"x": np.array([b"y" * 1_000_000], object)},
    ],
)
def test_a_row_that_is_too_large_leaves_a_mark_alone(inputs: Any) -> None:
    log, version = log_of()

    version.ended(request(inputs, id="r1"), response(0.5), "ok", 0.1, NOBODY)

    (row,) = taken(log)
    found = json.loads(row.inputs or "")
    assert found.pop("augurium-truncated") is True
    assert not any(found.values())


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        (np.array([b"a", b"\xff"], object), ["a", "\ufffd"]),
        (np.array(["\ud800"], object), ["?"]),
        (np.array([None, b"b"], object), [None, "b"]),
        (np.array([np.nan, 1.5]), [None, 1.5]),
        (np.array([True, False]), [True, False]),
        (np.array([2**62], np.int64), [2**62]),
        (np.array(5.0), 5.0),
        (np.empty((0, 2), np.float32), []),
    ],
)
def test_values_of_every_kind_become_json(array: Array, shown: Any) -> None:
    log, version = log_of()

    version.ended(request({"x": array}, id="r1"), response(0.5), "ok", 0.1, NOBODY)

    (row,) = taken(log)
    assert json.loads(row.inputs or "") == {"x": shown}


def test_a_text_is_no_score() -> None:
    log, version = log_of()

    version.ended(request(id="r1"), response(b"yes", dtype=object), "ok", 0.1, NOBODY)

    (row,) = taken(log)
    assert row.score is None
    assert json.loads(row.outputs or "") == {"y": ["yes"]}


def test_the_score_is_the_first_number_of_the_first_row_of_the_answer() -> None:
    log, version = log_of(policy=LogPolicy(exposures=True))
    run = BatchOutputs([np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])])
    for start, stop in ((0, 1), (1, 3), (2, 2), (0, None)):
        answer = Answer(run, start, stop)
        found = InferenceResponse("m", 1, "", SIGNATURE.outputs, [0], answer)
        version.ended(request(id="r"), found, "ok", 0.1, NOBODY)

    assert [row.score for row in taken(log)] == [1.0, 3.0, None, 1.0]


def test_an_output_that_is_hidden_gives_no_score() -> None:
    log, version = log_of(policy=LogPolicy(redact=("y",), exposures=True))

    version.ended(request(id="r1"), response(0.5), "ok", 0.1, NOBODY)

    (row,) = taken(log)
    assert row.score is None
    assert json.loads(row.outputs or "") == {}
