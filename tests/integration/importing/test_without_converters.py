"""Serving needs no converter: an engine loads none, and no runtime misses one that is not there."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest
import torch
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from augurium.core.settings import ImportSettings
from augurium.importing.result import ImportResult
from augurium.runtimes.runtime import RUNTIMES
from tests.support import keras_models as km
from tests.support.torch_models import ByRow, exported, made

Import = Callable[..., ImportResult]
Make = Callable[[Path], tuple[bytes, str]]

ROWS = np.random.default_rng(12).normal(size=(300, 3)).astype(np.float32)
TARGET = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
ALLOWING = ImportSettings(allow_code=True, timeout_s=600)

CONVERTERS = (
    *("skl2onnx", "onnxmltools", "onnxconverter_common", "tf2onnx", "onnxscript", "onnx_ir"),
    "onnx",
)
FRAMEWORKS = (
    *("sklearn", "skops", "pandas", "xgboost", "lightgbm", "treelite", "torch", "tensorflow"),
    *("keras", "mlflow", "cloudpickle"),
)
ENGINE_PROCESSES = (*("augurium.node.engine", "augurium.node.supervisor", "augurium.control.app"),)
# in a process where a converter cannot be imported, loads a servable file and asks it everything
SERVE = """
import json, sys
from pathlib import Path

order = json.load(sys.stdin)

# as if it were not installed
sys.modules.update(dict.fromkeys(order["absent"]))
import numpy as np
from augurium.importing.reference import read_reference, unpack_all
from augurium.runtimes.runtime import load

reference = read_reference(Path(order["reference"]))
model = load(order["runtime"], Path(order["file"]), order["options"])
inputs = unpack_all(reference.inputs)
outputs = model.run(inputs, order["outputs"])
for name, found in zip(order["outputs"], outputs):
    expected = unpack_all(reference.outputs or {}).get(name, found)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert found.shape == expected.shape
print(len(next(iter(inputs.values()))))
"""


def pickled(model: Any) -> tuple[bytes, str]:
    return pickle.dumps(model), "model.pkl"


def linear(_: Path) -> tuple[bytes, str]:
    return pickled(LogisticRegression().fit(ROWS, TARGET > 0))


def unknown_step(_: Path) -> tuple[bytes, str]:
    steps = FunctionTransformer(np.tanh), LogisticRegression()
    return pickled(make_pipeline(*steps).fit(ROWS, TARGET > 0))


def dart(_: Path) -> tuple[bytes, str]:
    model = xgboost.XGBRegressor(n_estimators=5, booster="dart").fit(ROWS, TARGET)
    return bytes(model.get_booster().save_raw("ubj")), "model.ubj"


def gblinear(_: Path) -> tuple[bytes, str]:
    model = xgboost.XGBRegressor(n_estimators=5, booster="gblinear").fit(ROWS, TARGET)
    return bytes(model.get_booster().save_raw("ubj")), "model.ubj"


def linear_trees(_: Path) -> tuple[bytes, str]:
    model = lightgbm.LGBMRegressor(n_estimators=5, linear_tree=True, verbose=-1).fit(ROWS, TARGET)
    return model.booster_.model_to_string().encode(), "model.txt"


def by_row(_: Path) -> tuple[bytes, str]:
    return exported(made(ByRow), (torch.randn(4, 8),)), "model.pt2"


def of_texts(folder: Path) -> tuple[bytes, str]:
    return km.saved(km.of_texts(), folder), "model.keras"


def of_texts_saved(folder: Path) -> tuple[bytes, str]:
    return km.packed(km.exported(km.of_texts(), folder)), "model.tar"


NATIVE: dict[str, Make] = {
    "onnx": linear,
    "treelite": dart,
    "xgboost": gblinear,
    "lightgbm": linear_trees,
    "sklearn": unknown_step,
    "torch": by_row,
    "keras": of_texts,
    "tensorflow": of_texts_saved,
}


@pytest.mark.parametrize("runtime", NATIVE)
def test_a_servable_file_answers_where_no_converter_can_be_imported(
    import_content: Import, tmp_path: Path, runtime: str
) -> None:
    result = import_content(*NATIVE[runtime](tmp_path), limits=ALLOWING, engine=runtime)
    absent = CONVERTERS + (FRAMEWORKS if runtime == "onnx" else ())
    order = {
        "absent": absent,
        "reference": str(result.servable.parent / "reference.msgpack"),
        "runtime": result.runtime,
        "file": str(result.servable),
        "options": result.options,
        "outputs": [spec.name for spec in result.signature.outputs],
    }
    served = subprocess.run(
        [sys.executable, "-c", SERVE], input=msgspec.json.encode(order), capture_output=True
    )
    assert served.returncode == 0, served.stderr.decode()
    assert int(served.stdout.split()[-1]) > 0


def test_every_runtime_of_a_framework_is_tried_without_converters() -> None:
    # a Python function is converted by nothing
    assert set(NATIVE) == set(RUNTIMES) - {"python"}


@pytest.mark.parametrize("process", ENGINE_PROCESSES)
def test_a_process_of_a_node_loads_neither_converters_nor_frameworks(process: str) -> None:
    script = (
        f"import {process}, sys, json\n"
        "from augurium.runtimes.runtime import prepare\n"
        "prepare('onnx')\n"
        "print(json.dumps(list(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in json.loads(said)}
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint((*CONVERTERS, *FRAMEWORKS))
