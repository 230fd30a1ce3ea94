"""Which engine serves: the first that passed parity, unless a later one is clearly faster."""

import pytest

from augurium.importing.job import Verified
from augurium.importing.trial import OK, Trial, choose, is_beyond_reach


def passed(engine: str, one_ms: float, batch_ms: float) -> Trial:
    """An engine that agrees, and takes so long for 1 row and for 64."""
    verified = Verified(
        outputs={},
        batches=(1, 3, 64),
        rows=100,
        row_independent=True,
        latency_ms={"1": one_ms, "64": batch_ms},
        load_ms=1.0,
        memory_bytes=0,
        process_bytes=0,
        versions={},
    )
    return Trial(engine=engine, outcome=OK, verified=verified)


def failed(engine: str, outcome: str = "mismatch: wrong") -> Trial:
    return Trial(engine=engine, outcome=outcome)


@pytest.mark.parametrize(
    ("trials", "engine", "because"),
    [
        ([passed("onnx", 1, 9)], "onnx", "onnx passed parity"),
        (
            [failed("onnx"), passed("treelite", 1, 9), passed("xgboost", 1, 9)],
            "treelite",
            "treelite passed parity; onnx did not",
        ),
        (
            [failed("onnx"), failed("treelite"), passed("xgboost", 1, 9)],
            "xgboost",
            "xgboost passed parity; onnx, treelite did not",
        ),
        # half the time at 64 rows, with 0.15 ms for the way to its process, and no slower for one
        (
            [passed("onnx", 1.0, 9.0), passed("sklearn", 0.5, 4.0)],
            "sklearn",
            "sklearn answers 64 rows in 4.15 ms where onnx takes 9.00 ms",
        ),
        (
            [passed("onnx", 1.0, 9.0), passed("sklearn", 0.5, 4.4)],
            "onnx",
            "onnx passed parity, and no other engine is clearly faster",
        ),
        (
            [passed("onnx", 1.0, 9.0), passed("sklearn", 0.9, 1.0)],
            "onnx",
            "onnx passed parity, and no other engine is clearly faster",
        ),
        # both are in a process of their own
        (
            [failed("onnx"), passed("treelite", 0.3, 2.0), passed("lightgbm", 0.3, 0.7)],
            "lightgbm",
            "lightgbm answers 64 rows in 0.85 ms where treelite takes 2.15 ms",
        ),
    ],
)
def test_the_first_that_passed_serves_unless_a_later_one_is_clearly_faster(
    trials: list[Trial], engine: str, because: str
) -> None:
    choice = choose(trials, None)
    assert choice is not None
    assert (choice.trial.engine, choice.because) == (engine, because)


def test_the_engine_asked_for_serves_if_it_passed() -> None:
    choice = choose([passed("treelite", 1, 9)], "treelite")
    assert choice is not None
    assert choice.because == "engine treelite was asked for"
    assert choose([failed("treelite")], "treelite") is None


@pytest.mark.parametrize(
    ("trial", "beyond"),
    [
        (passed("onnx", 0.15, 9.0), True),
        (passed("onnx", 0.2, 0.3), True),
        (passed("onnx", 0.2, 0.4), False),
        (passed("treelite", 0.01, 0.01), False),
    ],
)
def test_others_are_not_tried_where_the_way_to_their_process_takes_longer(
    trial: Trial, beyond: bool
) -> None:
    assert is_beyond_reach(trial) is beyond
