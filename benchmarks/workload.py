"""The workload "tabular": a boosted classifier, one-row requests and their right answers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2

MODEL = "tabular"
FEATURES = 100
TREES = 100
DEPTH = 6
TRAINING_ROWS = 50_000
REQUESTS = 64  # different rows in turn, so that neither a cache nor the branch predictor learns one
SEED = 20_260_101

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Workload:
    """Model files, request bytes, and what native XGBoost answers to each request.

    `rows` is float64 [requests, features] as it stands in the JSON; `probabilities` is float32
    [requests, 2]. `bodies` holds one JSON body a line, `message` one length-prefixed gRPC message,
    that of the first row.
    """

    ubj: Path
    onnx: Path
    bodies: Path
    message: Path
    rows: Floats
    probabilities: Floats

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The class of each request, int64 [requests]."""
        labels: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return labels


def build(folder: Path) -> Workload:
    """Trains the model and writes its files and the requests into `folder`; the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    ubj, onnx = folder / "model.ubj", folder / "model.onnx"
    if not (ubj.exists() and onnx.exists()):
        _train(ubj, onnx)
    rows = np.random.default_rng(SEED + 1).normal(size=(REQUESTS, FEATURES))
    bodies, message = folder / "bodies.jsonl", folder / "message.bin"
    bodies.write_text("".join(rest_body(row) + "\n" for row in rows))
    content = infer_request(rows[0]).SerializeToString()
    message.write_bytes(b"\0" + len(content).to_bytes(4, "big") + content)
    return Workload(ubj, onnx, bodies, message, rows, _native_answers(ubj, rows))


def rest_body(row: Floats) -> str:
    """One row as an Open Inference Protocol v2 request: about 2.1 KB of full-precision JSON."""
    features = {
        "name": "features",
        "shape": [1, FEATURES],
        "datatype": "FP32",
        "data": [float(value) for value in row],
    }
    return json.dumps({"inputs": [features]}, separators=(",", ":"))


def infer_request(row: Floats) -> service_pb2.ModelInferRequest:
    """The same row as a gRPC request with raw tensors."""
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    features = request.inputs.add(name="features", datatype="FP32")
    features.shape.extend([1, FEATURES])
    request.raw_input_contents.append(row.astype("<f4").tobytes())
    return request


def _train(ubj: Path, onnx: Path) -> None:
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBClassifier

    random = np.random.default_rng(SEED)
    rows = random.normal(size=(TRAINING_ROWS, FEATURES)).astype(np.float32)
    labels = random.random(TRAINING_ROWS) < _probability_of_one(rows, random)
    classifier = XGBClassifier(n_estimators=TREES, max_depth=DEPTH, random_state=SEED)
    classifier.fit(rows, labels.astype(np.int64))
    classifier.save_model(ubj)
    inputs = [("features", FloatTensorType([None, FEATURES]))]
    onnx.write_bytes(convert_xgboost(classifier, initial_types=inputs).SerializeToString())


def _probability_of_one(rows: Floats, random: np.random.Generator) -> Floats:
    """A logistic of linear terms and of products of neighbours, so that depth pays off."""
    linear = rows @ random.normal(scale=0.25, size=FEATURES)
    products = rows[:, :-1] * rows[:, 1:] @ random.normal(scale=0.25, size=FEATURES - 1)
    probability: Floats = 1 / (1 + np.exp(-(linear + products)))
    return probability


def _native_answers(ubj: Path, rows: Floats) -> Floats:
    from xgboost import XGBClassifier

    classifier = XGBClassifier()
    classifier.load_model(ubj)
    probabilities: Floats = classifier.predict_proba(rows.astype(np.float32))
    return probabilities
