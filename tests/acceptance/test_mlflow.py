"""MLflow's published scoring client, and what else it may be sent, against a running node."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from tests.support.models import Mixed, Tabular, text_model
from tests.support.node import Node, Reply

with warnings.catch_warnings():
    # it warns of its own type hints
    warnings.simplefilter("ignore")
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def scoring(
    start: Callable[..., Node],
    tmp_path_factory: pytest.TempPathFactory,
    tabular: Tabular,
    mixed: Mixed,
) -> Node:
    """A node whose default model for MLflow is `mixed`."""
    folder = tmp_path_factory.mktemp("scoring")
    settings = folder / "augurium.toml"
    settings.write_text('[node]\ndefault_model = "mixed"\n')
    node = start(folder / "home", "--engines", "1", "--config", str(settings))
    with node.client() as client:
        client.register(tabular.model, name="tabular")
        client.register(mixed.model, name="mixed", data=mixed.table)
        client.register(onnx.load_from_string(text_model()), name="text")
        for model in client.models():
            client.deploy(model.name, 1)
    return node


@pytest.fixture
def client(scoring: Node) -> ScoringServerClient:
    host, port = scoring.rest.split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=10)
    return client


def check(predictions: pd.DataFrame, mixed: Mixed, rows: pd.DataFrame) -> None:
    assert predictions["label"].tolist() == mixed.model.predict(rows).tolist()
    found = np.array(predictions["probabilities"].tolist())
    np.testing.assert_allclose(found, mixed.model.predict_proba(rows), atol=1e-5)


def test_the_client_sends_a_data_frame(client: ScoringServerClient, mixed: Mixed) -> None:
    assert client.get_version()
    check(client.invoke(mixed.rows).get_predictions(), mixed, mixed.rows)


def test_the_order_of_columns_and_others_beside_them_do_not_matter(
    client: ScoringServerClient, mixed: Mixed
) -> None:
    turned = mixed.rows[["income", "city", "age"]].assign(more="x")
    check(client.invoke(turned, params={"any": 1}).get_predictions(), mixed, mixed.rows)


def test_the_client_sends_an_array_and_a_list(scoring: Node, tabular: Tabular) -> None:
    client = ScoringServerClient(scoring.rest.split(":")[0], int(scoring.rest.split(":")[1]))
    client.url_prefix += "/v1/models/tabular"
    for data in (tabular.rows, tabular.rows.tolist()):
        found = client.invoke(data).get_predictions()
        assert found["label"].tolist() == tabular.model.predict(tabular.rows).tolist()
        np.testing.assert_allclose(
            np.array(found["probabilities"].tolist()), tabular.probabilities, atol=1e-5
        )


def test_a_large_frame_is_one_request(scoring: Node, mixed: Mixed) -> None:
    client = ScoringServerClient(scoring.rest.split(":")[0], int(scoring.rest.split(":")[1]))
    rows = pd.concat([mixed.table] * 5, ignore_index=True)
    check(client.invoke(rows).get_predictions(), mixed, rows)


def invoke(node: Node, body: Any, path: str = "", headers: dict[str, str] = JSON) -> Reply:
    return node.ask(f"{path}/invocations", body, headers)


def test_every_form_is_answered_alike(scoring: Node, mixed: Mixed) -> None:
    records = mixed.instances
    columns = list(mixed.rows.columns)
    bodies: list[dict[str, Any]] = [
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": {name: [row[name] for row in records] for name in columns}},
        {
            "dataframe_split": {
                "columns": columns,
                "data": [[row[name] for name in columns] for row in records],
            }
        },
    ]
    answers = [invoke(scoring, body) for body in bodies]
    answers.append(invoke(scoring, mixed.rows.to_csv().encode(), headers=CSV))
    assert [answer.status for answer in answers] == [200] * 5, [a.body for a in answers]
    assert {answer.body for answer in answers} == {answers[0].body}
    check(pd.DataFrame(answers[0].json["predictions"]), mixed, mixed.rows)


@pytest.mark.parametrize("path", ["/versions/1", "@1", ""])
def test_any_model_is_asked_by_its_own_path(scoring: Node, path: str) -> None:
    reply = invoke(scoring, {"inputs": [["a", "b"]]}, f"/v1/models/text{path}")
    assert (reply.status, reply.json) == (200, {"predictions": [["a", "b"]]})
    assert reply.headers["augurium-version"] == "1"


def test_tensors_of_the_open_inference_protocol_are_answered_in_it(scoring: Node) -> None:
    tensor = {"name": "text", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "b"]}
    reply = invoke(scoring, {"inputs": [tensor]}, "/v1/models/text")
    assert reply.status == 200, reply.body
    assert reply.json["outputs"] == [{**tensor, "name": "same"}]


def test_a_node_with_one_model_asks_it_and_one_with_none_says_so(
    start: Callable[..., Node],
) -> None:
    own = start(None, "--engines", "1")
    assert (own.ask("/ping").status, own.ask("/health").status) == (404, 404)
    refused(invoke(own, {"inputs": [["a", "b"]]}), 404, "RESOURCE_DOES_NOT_EXIST", "no model is")
    with own.client() as client:
        for name in ("first", "second"):
            client.register(onnx.load_from_string(text_model()), name=name)
        client.deploy("first", 1)
        assert (own.ask("/ping").status, own.ask("/health").body) == (200, b"\n")
        assert invoke(own, {"inputs": [["a", "b"]]}).json == {"predictions": [["a", "b"]]}
        client.deploy("second", 1)
    reply = invoke(own, {"inputs": [["a", "b"]]})
    refused(reply, 404, "RESOURCE_DOES_NOT_EXIST", "2 models are deployed here: use /v1/models/")


def refused(reply: Reply, status: int, code: str, said: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error_code", "message"}
    assert reply.json["error_code"] == code
    assert said in reply.json["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON object"),
        (b"{", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b"{}", "exactly one of"),
        ({"inputs": [], "instances": []}, "exactly one of"),
        ({"dataframe_split": {"columns": ["age"], "data": [[1]]}}, "misses the columns"),
        ({"dataframe_records": [{"age": 1, "city": "rome", "income": "much"}]}, "income"),
        ({"dataframe_records": [{"age": 1, "city": "rome"}]}, "misses the columns ['income']"),
        ({"inputs": [[[[1]]]]}, "instance 0"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "no input 'messages'"),
        (b'{"inputs": ' + b"[" * 101 + b"]" * 101 + b"}", "deeper than 100"),
    ],
)
def test_a_wrong_body_is_a_400_in_mlflows_words(scoring: Node, body: Any, said: str) -> None:
    refused(invoke(scoring, body), 400, "BAD_REQUEST", said)


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "application/json; charset=latin-1", "application/json; version=1", "x"],
)
def test_other_content_types_are_told_in_plain_text(scoring: Node, content_type: str) -> None:
    reply = invoke(scoring, b"{}", headers={"content-type": content_type})
    assert reply.status == 415
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.body


def test_errors_before_and_behind_the_body_are_mlflows_too(scoring: Node) -> None:
    reply = invoke(scoring, {"inputs": [[1]]}, "/v1/models/none")
    refused(reply, 404, "RESOURCE_DOES_NOT_EXIST", "unknown model")
    refused(scoring.ask("/invocations"), 405, "BAD_REQUEST", "use POST")
