"""Raw features of a model behind a preprocessing: every protocol takes the same rows, and what does
not fit is treated as declared.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.utils as triton
from xgboost import XGBClassifier

from augurium.preprocessing import (
    Column,
    DateParts,
    FittedPreprocessing,
    Impute,
    OneHot,
    Preprocessing,
    Standardize,
    Text,
)
from tests.support.node import AUGURIUM, Node, Reply, clean_environment

DECLARED = Preprocessing(
    (
        Impute("age", indicator=True),
        Standardize(("age", "fare")),
        Text("city"),
        OneHot("city", unseen="error"),
        OneHot("class", unseen="ignore"),
        OneHot("tier", unseen="default"),
        DateParts("when", ("month", "weekday")),
    ),
    (
        Column("fare", missing="error"),
        Column("rooms", missing="default", default=2.0, wrong_type="missing"),
        Column("class", "text", missing="ignore"),
        Column("when", "datetime"),
    ),
)
NUMBERS = Preprocessing((Impute(("age", "fare")), Standardize(("age", "fare"))))
ROW = {
    "age": None,
    "fare": 7.25,
    "city": " ROME ",
    "class": "a",
    "tier": "x",
    "when": "2024-02-29T12:00:00Z",
    "rooms": 1.0,
}
DATATYPES = {"age": "FP32", "fare": "FP32", "rooms": "FP32"}
ABSENT = object()
Refused = str


class Raw(NamedTuple):
    """A model on transformed columns."""

    model: XGBClassifier
    fitted: FittedPreprocessing

    def answer(self, row: dict[str, Any]) -> list[float]:
        """What the framework says of a row that went through the reference."""
        matrix, _ = self.fitted.transform({name: [value] for name, value in row.items()})
        found: list[float] = self.model.predict_proba(matrix)[0].tolist()
        return found


def trained(declared: Preprocessing, frame: pd.DataFrame) -> Raw:
    fitted = declared.fit(frame)
    matrix, names = fitted.transform(frame)
    noise = np.random.default_rng(1).normal(size=(len(matrix), 1))
    labels = (np.nan_to_num(matrix) + noise).sum(axis=1) > np.nan_to_num(matrix).sum(axis=1).mean()
    model = XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1).fit(matrix, labels)
    model.get_booster().feature_names = list(names)
    return Raw(model, fitted)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(400) < 0.1, np.nan, rng.normal(40, 12, 400)),
            "fare": rng.lognormal(2, 1, 400),
            "city": rng.choice(["rome", "oslo", "lima"], 400),
            "class": rng.choice(["a", "b", "c"], 400),
            "tier": rng.choice(["x", "y", "z"], 400),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(400), unit="D"),
            "rooms": rng.integers(0, 4, 400).astype(float),
        }
    )


@pytest.fixture(scope="module")
def raw(node: Node, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Raw:
    return registered(node, "raw", DECLARED, frame, tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def numbers(node: Node, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Raw:
    return registered(node, "numbers", NUMBERS, frame, tmp_path_factory.mktemp("numbers"))


def registered(
    node: Node, name: str, declared: Preprocessing, frame: pd.DataFrame, folder: Path
) -> Raw:
    raw = trained(declared, frame)
    frame.to_parquet(folder / "train.parquet")
    with node.client() as client:
        client.register(
            raw.model,
            name=name,
            data=folder / "train.parquet",
            preprocessing=raw.fitted,
        )
        client.deploy(name, 1)
    return raw


def over_v1(node: Node, row: dict[str, Any]) -> list[float] | Refused:
    reply = node.ask("/v1/models/raw:predict", {"instances": [row]})
    return refused(reply) or reply.json["predictions"][0]["probabilities"]


def over_v2(node: Node, row: dict[str, Any]) -> list[float] | Refused:
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": datatype(name, value), "data": [value]}
        for name, value in row.items()
    ]
    reply = node.ask("/v2/models/raw/infer", {"inputs": inputs})
    return refused(reply) or outputs_of(reply)["probabilities"]


def over_grpc(node: Node, row: dict[str, Any]) -> list[float] | Refused:
    tensors = []
    for name, value in row.items():
        kind = datatype(name, value)
        tensor = triton_grpc.InferInput(name, [1, 1], kind)
        missing = "__NA__" if kind == "BYTES" else np.nan
        content = [[missing if value is None else value]]
        tensor.set_data_from_numpy(np.array(content, triton.triton_to_np_dtype(kind)))
        tensors.append(tensor)
    client = triton_grpc.InferenceServerClient(node.grpc)
    try:
        found: list[float] = client.infer("raw", tensors).as_numpy("probabilities")[0].tolist()
    except triton.InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    finally:
        client.close()
    return found


def datatype(name: str, value: Any) -> str:
    return "BYTES" if isinstance(value, str) else DATATYPES.get(name, "BYTES")


def refused(reply: Reply) -> Refused:
    if reply.status == 200:
        return ""
    assert reply.status == 400, reply.body
    said: str = reply.json["error"]
    return said


def outputs_of(reply: Reply) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in reply.json["outputs"]}


def changed(**values: Any) -> dict[str, Any]:
    return {name: v for name, v in {**ROW, **values}.items() if v is not ABSENT}


Protocol = Callable[[Node, dict[str, Any]], list[float] | Refused]
protocols = pytest.mark.parametrize("ask", [over_v1, over_v2, over_grpc])


@protocols
@pytest.mark.parametrize(
    ("sent", "same_as"),
    [
        ({}, {}),
        ({"class": "unheard of"}, {"class": None}),
        ({"tier": "unheard of"}, {"tier": "neither"}),
        ({"class": None}, {"class": None}),
        ({"class": ABSENT}, {"class": None}),
        ({"rooms": None}, {"rooms": 2.0}),
        ({"rooms": ABSENT}, {"rooms": 2.0}),
        ({"rooms": "many"}, {"rooms": 2.0}),
        ({"age": 31.0, "when": "2024-02-29T13:00:00+01:00"}, {"age": 31.0}),
    ],
)
def test_raw_features_are_answered_as_the_framework_answers_transformed_ones(
    node: Node, raw: Raw, ask: Protocol, sent: dict[str, Any], same_as: dict[str, Any]
) -> None:
    found = ask(node, changed(**sent))

    assert not isinstance(found, str), found
    np.testing.assert_allclose(found, raw.answer(changed(**same_as)), rtol=1e-4, atol=1e-6)


@protocols
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"city": "bern"}, "the category 'bern' in row 0, which it has not learned"),
        ({"fare": None}, "input 'fare' of model 'raw' has a missing value"),
        ({"fare": ABSENT}, "'fare'"),
        ({"age": ABSENT}, "'age'"),
        ({"fare": "much"}, "'fare'"),
        ({"when": "soon"}, "'soon' is not an ISO 8601 date or time"),
        ({"when": ABSENT}, "'when'"),
        ({"height": "1"}, "'height'"),
    ],
)
def test_what_is_declared_an_error_is_refused_by_name(
    node: Node, raw: Raw, ask: Protocol, sent: dict[str, Any], said: str
) -> None:
    found = ask(node, changed(**sent))

    assert isinstance(found, str)
    assert said in found
    if ask is over_grpc:
        assert found.startswith("StatusCode.INVALID_ARGUMENT: ")


def test_a_bad_row_does_not_spoil_the_answers_of_others(node: Node, raw: Raw) -> None:
    rows = [changed(fare=float(fare)) for fare in range(1, 9)]

    reply = node.ask("/v1/models/raw:predict", {"instances": [*rows, changed(city="bern")]})
    right = node.ask("/v1/models/raw:predict", {"instances": rows})

    assert reply.status == 400
    assert "in row 8" in reply.json["error"]
    found = [prediction["probabilities"] for prediction in right.json["predictions"]]
    np.testing.assert_allclose(found, [raw.answer(row) for row in rows], rtol=1e-4, atol=1e-6)


def test_numbers_go_in_by_name_or_as_one_matrix(node: Node, numbers: Raw) -> None:
    rows: list[dict[str, Any]] = [{"age": 31.0, "fare": 7.5}, {"age": None, "fare": 80.0}]
    expected = [numbers.answer(row) for row in rows]
    named = [
        {"name": name, "shape": [2, 1], "datatype": "FP32", "data": [row[name] for row in rows]}
        for name in ("fare", "age")
    ]
    matrix = {
        "name": "features",
        "shape": [2, 2],
        "datatype": "FP32",
        "data": [[row["age"], row["fare"]] for row in rows],
    }

    by_v1 = node.ask("/v1/models/numbers:predict", {"instances": rows}).json["predictions"]
    by_name = node.ask("/v2/models/numbers/infer", {"inputs": named})
    as_matrix = node.ask("/v2/models/numbers/infer", {"inputs": [matrix]})
    one_left_out = node.ask("/v2/models/numbers/infer", {"inputs": named[:1]})

    assert by_name.status == 200, by_name.body
    for found in (
        [prediction["probabilities"] for prediction in by_v1],
        np.reshape(outputs_of(by_name)["probabilities"], (2, 2)),
        np.reshape(outputs_of(as_matrix)["probabilities"], (2, 2)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert one_left_out.status == 400
    assert "the features ['age'] of input 'features' are missing" in one_left_out.json["error"]


def test_a_version_says_what_its_raw_features_may_be(node: Node, raw: Raw) -> None:
    metadata = node.ask("/v2/models/raw").json
    with node.client() as client:
        profile = client.profile("raw", 1)
        examples = list(client.version("raw", 1).examples)
    shown = subprocess.run(
        [AUGURIUM, "versions", "show", "raw@1"],
        env={**clean_environment(), "AUGURIUM_URL": node.management, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert {entry["name"]: entry["datatype"] for entry in metadata["inputs"]} == {
        **dict.fromkeys(("age", "fare", "rooms"), "FP32"),
        **dict.fromkeys(("city", "class", "tier"), "BYTES"),
        "when": "FP64",
    }
    assert {feature.bins.name for feature in profile.features} == set(ROW)
    policies = {line.split()[0]: line for line in shown.splitlines() if "[-1, 1]" in line}
    assert [name for name, line in policies.items() if "yes, or left out" in line] == [
        "rooms",
        "class",
    ]
    again = node.ask("/v1/models/raw:predict", {"instances": examples})
    assert len(again.json["predictions"]) == len(examples) > 0
