"""Imports that end badly: each with the right error and a text that helps."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from augurium.core.errors import (
    DeadlineExceeded,
    InsufficientStorage,
    InvalidArgument,
    Unprocessable,
)
from augurium.core.settings import ImportSettings
from augurium.importing.importer import check_installed, import_model
from augurium.importing.job import Confinement, VerifyJob
from augurium.importing.reference import pack, read_reference, write_reference
from augurium.importing.result import ImportRequest, ImportResult
from augurium.importing.verify import verify

Import = Callable[..., ImportResult]

ROWS = np.random.default_rng(6).normal(size=(300, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int)
TRUSTING = ImportSettings(allow_code=True, timeout_s=600)


class Runs:
    """Runs a script when it is unpickled, as hostile files do."""

    def __init__(self, script: str) -> None:
        self.script = script

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (self.script,))


def hostile(script: str) -> bytes:
    return pickle.dumps(Runs(script))


def saved(model: Any) -> bytes:
    content: bytes = skops.io.dumps(model)
    return content


def test_a_pickle_is_refused_and_its_code_never_runs(
    import_content: Import, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(Unprocessable, match="runs code"):
        import_content(hostile(f"open({str(canary)!r}, 'w')"), "model.pkl")
    assert not canary.exists()


def test_a_caller_cannot_allow_code_that_the_server_does_not(import_content: Import) -> None:
    closed = msgspec.structs.replace(TRUSTING, allow_code=False)
    with pytest.raises(Unprocessable, match="runs code"):
        import_content(pickle.dumps(LogisticRegression().fit(ROWS, LABELS)), limits=closed)


def test_a_pickled_model_is_imported_where_code_is_allowed(import_content: Import) -> None:
    content = pickle.dumps(LogisticRegression().fit(ROWS, LABELS))
    assert import_content(content, "model.pkl", limits=TRUSTING).framework == "sklearn"


def test_a_model_that_hangs_is_stopped(import_content: Import) -> None:
    limits = msgspec.structs.replace(TRUSTING, timeout_s=4)
    with pytest.raises(DeadlineExceeded, match=r"within 4 s.*raise importing\.timeout_s"):
        import_content(hostile("import time; time.sleep(600)"), limits=limits)


def test_a_model_that_takes_too_much_memory_is_stopped(import_content: Import) -> None:
    limits = msgspec.structs.replace(TRUSTING, memory_bytes=700_000_000)
    script = "import time; held = bytearray(b'x' * 900_000_000); time.sleep(600)"
    with pytest.raises(InsufficientStorage, match=r"more than 700000000 bytes.*memory_bytes"):
        import_content(hostile(script), limits=limits)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import ctypes; ctypes.string_at(0)", r"crashed \(SIGSEGV\)"),
        ("import os; os.abort()", r"crashed \(SIGABRT\)"),
        ("import os; print('goodbye', flush=True); os._exit(0)", "without a report.*goodbye"),
        (
            "import os; open('report.json', 'wb').write(os.urandom(999)); os._exit(0)",
            "report that cannot be read",
        ),
        (
            "import os; open('report.json', 'w').write('{\"type\": \"verified\"}'); os._exit(0)",
            "report that cannot be read",
        ),
        ("import os; os.mkfifo('report.json'); os._exit(0)", "not a regular file"),
        (
            "import os; os.symlink('../../table.json', 'report.json'); os._exit(0)",
            "report that cannot be read",
        ),
        ("raise RuntimeError('no such luck')", "cannot be loaded: RuntimeError: no such luck"),
        ("pass", "a NoneType cannot be served"),
    ],
)
def test_a_model_that_ends_its_process_is_refused(
    import_content: Import, script: str, says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        import_content(hostile(script), limits=TRUSTING)


LIE = """
import os
from pathlib import Path
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.importing.conversion import Candidate
from augurium.importing.job import Converted
import msgspec
spec = Signature((TensorSpec("x", "FP32", (-1, 3)),), (TensorSpec("y", "FP32", (-1, 3)),))
report = Converted(
    framework="sklearn", framework_version="9", signature=spec, versions={}, tried=(),
    candidates=(Candidate(runtime="onnx", file="model.onnx"),),
)
Path("report.json").write_bytes(msgspec.json.encode(report))
"""


def test_a_report_of_success_without_a_model_is_not_believed(import_content: Import) -> None:
    with pytest.raises(Unprocessable, match="claims success but left no model"):
        import_content(hostile(LIE + "os._exit(0)"), limits=TRUSTING)


def test_a_report_of_success_with_a_false_model_is_not_believed(import_content: Import) -> None:
    forged = (
        "Path('model.onnx').write_bytes(b'nothing'); Path('reference.msgpack').write_bytes(b'')"
    )
    with pytest.raises(Unprocessable, match="no engine can serve this model: onnx: failed"):
        import_content(hostile(f"{LIE}{forged}; os._exit(0)"), limits=TRUSTING)


def doctored(result: ImportResult, output: str, answers: Any) -> VerifyJob:
    """The check of an imported model again, with other answers for its reference."""
    file = result.servable.parent / "reference.msgpack"
    reference = read_reference(file)
    outputs = {**(reference.outputs or {}), output: pack(answers)}
    write_reference(file, msgspec.structs.replace(reference, outputs=outputs))
    return VerifyJob(
        model=str(result.servable),
        reference=str(file),
        runtime=result.runtime,
        options=result.options,
        signature=result.signature,
        confinement=Confinement(file_bytes=0, cpu_s=1),
    )


def test_a_conversion_that_answers_otherwise_than_the_framework_is_refused(
    import_content: Import,
) -> None:
    result = import_content(saved(LogisticRegression().fit(ROWS, LABELS)))
    other = LogisticRegression().fit(ROWS, ROWS[:, 1] > 0)
    reference = read_reference(result.servable.parent / "reference.msgpack")
    inputs = np.frombuffer(reference.inputs["features"].content, np.float32).reshape(-1, 3)
    wrong = other.predict_proba(inputs).astype(np.float32)
    with pytest.raises(Unprocessable, match=r"'probabilities' differs from sklearn .* rows") as why:
        verify(doctored(result, "probabilities", wrong))
    assert "first for features=" in str(why.value)


def test_a_single_differing_label_is_enough_to_refuse(import_content: Import) -> None:
    result = import_content(saved(LogisticRegression().fit(ROWS, LABELS)))
    reference = read_reference(result.servable.parent / "reference.msgpack")
    assert reference.outputs is not None
    labels = np.frombuffer(reference.outputs["label"].content, np.int64).copy()
    labels[5] = 1 - labels[5]
    with pytest.raises(Unprocessable, match=r"'label' differs from sklearn .* in 1 of"):
        verify(doctored(result, "label", labels))


def own_function(rows: Any) -> Any:
    return rows


def several_outputs() -> Any:
    return RandomForestClassifier(3).fit(ROWS, np.column_stack([LABELS, 1 - LABELS]))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            make_pipeline(FunctionTransformer(own_function), LogisticRegression()).fit(
                ROWS, LABELS
            ),
            r"types that are not on the list.*own_function",
        ),
        (StandardScaler().fit(ROWS), "a StandardScaler cannot be served"),
        (KMeans(2, n_init=1).fit(ROWS), "a KMeans cannot be served"),
        (LogisticRegression(), "not fitted"),
        (several_outputs(), "several outputs"),
    ],
)
def test_models_that_cannot_be_served_are_refused_with_the_reason(
    import_content: Import, model: Any, says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        import_content(saved(model), "model.skops")


def test_a_forged_tree_is_refused_before_it_is_walked(import_content: Import) -> None:
    model = RandomForestClassifier(2).fit(ROWS, LABELS)
    model.estimators_[1].tree_.children_left[0] = 1_000_000
    with pytest.raises(Unprocessable, match="outside of itself"):
        import_content(saved(model))


def test_a_damaged_skops_file_is_refused(import_content: Import) -> None:
    content = saved(LogisticRegression().fit(ROWS, LABELS))
    with pytest.raises(Unprocessable, match=r"damaged zip|cannot be loaded"):
        import_content(content[: len(content) // 2])


def test_a_declared_framework_must_be_that_of_the_file(import_content: Import) -> None:
    with pytest.raises(Unprocessable, match="declared to be xgboost"):
        import_content(saved(LogisticRegression().fit(ROWS, LABELS)), framework="xgboost")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b'{"columns": [{"name": "a", "values": [1]}]}', "1 columns and the model.*takes 3"),
        (b'{"columns": 7}', "table of training rows cannot be read"),
    ],
)
def test_a_table_that_does_not_fit_is_an_invalid_argument(
    import_content: Import, table: bytes, says: str
) -> None:
    with pytest.raises(InvalidArgument, match=says):
        import_content(saved(LogisticRegression().fit(ROWS, LABELS)), table=table)


def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(Unprocessable, match=r"lacks no_such_module.*'augurium\[sklearn\]'"):
        check_installed("sklearn", ("json", "no_such_module"))


def test_progress_goes_up_and_speaks(tmp_path: Path) -> None:
    file, seen = tmp_path / "m.skops", list[tuple[str, float]]()
    file.write_bytes(saved(LogisticRegression().fit(ROWS, LABELS)))
    (tmp_path / "work").mkdir()
    request = ImportRequest(file=file, filename=file.name)
    import_model(request, tmp_path / "work", TRUSTING, lambda *step: seen.append(step))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(stage for stage, _ in seen)
