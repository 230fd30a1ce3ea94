"""Which engine serves, and what happens to an import while one of them fails, hangs or crashes."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from augurium.core.errors import DeadlineExceeded, InsufficientStorage, Unprocessable
from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportResult

Import = Callable[..., ImportResult]

ROWS = np.random.default_rng(8).normal(size=(300, 3)).astype(np.float32)
MODEL = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
TRUSTING = ImportSettings(allow_code=True, timeout_s=600)


class Sabotaged:
    """Is the model when it is unpickled; before that it runs a script in the same process."""

    def __init__(self, script: str) -> None:
        self.script = script

    def __reduce__(self) -> tuple[Any, ...]:
        code = (
            f"(exec({self.script!r}, {{}}), __import__('pickle').loads({pickle.dumps(MODEL)!r}))[1]"
        )
        return (eval, (code,))


def converting(does: str) -> bytes:
    """A model while whose conversion to ONNX something else happens."""
    script = (
        "import skl2onnx\n"
        "def convert(*arguments, **named):\n"
        f"    import ctypes, os, time\n    {does}\n"
        "skl2onnx.convert_sklearn = convert"
    )
    return pickle.dumps(Sabotaged(script))


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        ("ctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("os.abort()", "crashed (SIGABRT)"),
        ("time.sleep(600)", "timed out"),
        ("held = bytearray(b'x' * 900_000_000); time.sleep(600)", "out of memory"),
        ("raise MemoryError", "out of memory"),
        ("raise KeyError('so what')", "unsupported: skl2onnx 1"),
        ("os._exit(0)", "ended without a report"),
    ],
)
def test_an_engine_that_ends_the_conversion_is_recorded_and_the_next_one_serves(
    import_content: Import, does: str, outcome: str
) -> None:
    # half of its time is the conversion's; one that sleeps takes all of that
    seconds = 60 if outcome == "timed out" else 600
    limits = ImportSettings(allow_code=True, timeout_s=seconds, memory_bytes=800_000_000)
    result = import_content(converting(does), "model.pkl", limits=limits)
    assert result.runtime == "sklearn"
    assert result.allowed_code
    said = result.report["engines"]["onnx"]["outcome"]
    assert said.startswith(outcome)
    assert result.report["chosen_because"] == "sklearn passed parity; onnx, treelite did not"


def test_an_engine_that_answers_wrongly_is_recorded_and_the_next_one_serves(
    import_content: Import,
) -> None:
    wrong = (
        "import skl2onnx\n"
        "plain = skl2onnx.convert_sklearn\n"
        "def convert(model, **named):\n"
        "    model.coef_ = model.coef_ * 1.1\n"
        "    return plain(model, **named)\n"
        "skl2onnx.convert_sklearn = convert"
    )
    result = import_content(pickle.dumps(Sabotaged(wrong)), "model.pkl", limits=TRUSTING)
    assert result.runtime == "sklearn"
    said = result.report["engines"]["onnx"]["outcome"]
    assert said.startswith("mismatch: the converted model is wrong: output ")


@pytest.mark.parametrize(
    ("does", "error", "says"),
    [
        ("os.abort()", Unprocessable, r"crashed \(SIGABRT\)"),
        ("time.sleep(600)", DeadlineExceeded, r"raise importing\.timeout_s"),
        (
            "held = bytearray(b'x' * 900_000_000); time.sleep(600)",
            InsufficientStorage,
            r"raise importing\.memory_bytes",
        ),
    ],
)
def test_the_only_engine_asked_for_says_why_it_cannot_serve(
    import_content: Import, does: str, error: type[Exception], says: str
) -> None:
    seconds = 8 if error is DeadlineExceeded else 600
    limits = ImportSettings(allow_code=True, timeout_s=seconds, memory_bytes=800_000_000)
    with pytest.raises(error, match=says):
        import_content(converting(does), "model.pkl", limits=limits, engine="onnx")


def test_every_engine_that_was_tried_is_in_the_report(import_content: Import) -> None:
    result = import_content(pickle.dumps(MODEL), "model.pkl", limits=TRUSTING)
    assert result.runtime == "onnx"
    engines = result.report["engines"]
    assert list(engines) == ["onnx", "treelite", "sklearn"]
    assert engines["onnx"]["outcome"] == "ok"
    assert engines["onnx"]["parity"]["rows"] > 100
    assert engines["onnx"]["latency_ms"].keys() == {"1", "64", "1024"}
    assert engines["onnx"]["memory_bytes"] > 0
    assert engines["treelite"]["outcome"].startswith("unsupported: it takes ensembles of trees")
    assert engines["sklearn"]["outcome"].startswith("not needed: onnx is faster than")
    assert result.report["chosen"] == "onnx"


FORGERY = """
import os, msgspec
from pathlib import Path
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.importing.conversion import Candidate
from augurium.importing.job import Converted
spec = Signature((TensorSpec("x", "FP32", (-1, 3)),), (TensorSpec("y", "FP32", (-1, 3)),))
Path("reference.msgpack").write_bytes(b"")
{script}
report = Converted(
    framework="sklearn", framework_version="9", signature=spec, versions={{}}, tried=(),
    candidates=({candidates}),
)
Path("report.json").write_bytes(msgspec.json.encode(report))
os._exit(0)
"""


@pytest.mark.parametrize(
    ("script", "candidates", "says"),
    [
        ("", "Candidate(runtime='onnx', file='../job.json'),", "left no model"),
        (
            "os.symlink('/etc/hostname', 'model.onnx')",
            "Candidate(runtime='onnx', file='model.onnx'),",
            "left no model",
        ),
        (
            "Path('m').write_bytes(b'')",
            "Candidate(runtime='python', file='m'),",
            "proposes the engine python, which was not asked for",
        ),
        (
            "Path('m').write_bytes(b'')",
            "Candidate(runtime='onnx', file='m'), Candidate(runtime='onnx', file='m')",
            "proposes an engine twice",
        ),
    ],
)
def test_a_forged_report_of_candidates_is_not_believed(
    import_content: Import, script: str, candidates: str, says: str
) -> None:
    forged = Sabotaged(FORGERY.format(script=script, candidates=candidates))
    with pytest.raises(Unprocessable, match=says):
        import_content(pickle.dumps(forged), "model.pkl", limits=TRUSTING)
