"""The OpenAPI documents: nothing is missing from them, and nothing in them leads nowhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from augurium.access.gateway import Gateway
from augurium.access.ledger import Ledger
from augurium.access.rights import DATA_PLANE
from augurium.core.identifiers import ModelRef
from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import NUMPY_DTYPES, TensorSpec
from augurium.protocols.openapi_document import model_document, node_document
from augurium.protocols.openapi_operations import operations
from augurium.protocols.openapi_paths import key_of, places_of
from augurium.protocols.rest import RestApi
from augurium.serving.plane import DataPlane
from augurium.serving.router import Router
from augurium.serving.snapshot import DesiredVersion
from tests.support.bodies import SIGNATURES

API = RestApi(DataPlane(Router(), 10, 30.0), LimitSettings())
SCORES = (TensorSpec("label", "BYTES", (-1,)), TensorSpec("scores", "FP32", (-1, 3)))
NUMBER = (TensorSpec("y", "FP32", (-1,)),)
AGE = TensorSpec("age", "FP32", (-1,))


def version(signature: Signature, example: Any = None) -> DesiredVersion:
    return DesiredVersion(
        "m", 3, "onnx", "", "", signature, examples=() if example is None else (example,)
    )


def document(signature: Signature, example: Any = None, model: str = "m") -> dict[str, Any]:
    found = model_document(API.routes, ModelRef(model), version(signature, example), secured=False)
    # as a reader gets it
    whole: dict[str, Any] = json.loads(json.dumps(found))
    return whole


def written(whole: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of a document with its method and path."""
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolved(whole: dict[str, Any], reference: str) -> Any:
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def accepts(whole: dict[str, Any], name: str, value: Any) -> bool:
    """Whether a schema of the document takes a value."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
    return bool(jsonschema_rs.Draft202012Validator(schema).is_valid(value))


@pytest.fixture(scope="module")
def node() -> dict[str, Any]:
    return node_document(API.routes, secured=False)


def documents() -> list[dict[str, Any]]:
    return [node_document(API.routes, secured=True), *map(document, SIGNATURES)]


def test_every_route_stands_in_the_document_and_nothing_else(node: dict[str, Any]) -> None:
    expected = {
        (route.method.lower(), place.path) for route in API.routes for place in places_of(route)
    }

    assert {(method, path) for method, path, _ in written(node)} == expected
    assert {key_of(route) for route in API.routes} == set(operations())


def test_every_path_of_the_document_leads_to_its_route(node: dict[str, Any]) -> None:
    samples = {"model": "m", "version": "1", "label": "live", "region": "r", "repository": "r"}
    for method, path, operation in written(node):
        answered = path.format(**samples)
        with_parts = [route for route in API.routes if route.method.lower() == method]
        table = {place.path for route in with_parts for place in places_of(route)}
        assert path in table
        assert "{" not in answered
        named = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
        assert named == re.findall(r"\{(\w+)\}", path)


def test_no_two_operations_have_one_id(node: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in written(node)]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("number", range(len(SIGNATURES) + 1))
def test_every_reference_leads_somewhere_and_every_schema_is_one(number: int) -> None:
    whole = documents()[number]
    for reference in references(whole):
        assert resolved(whole, reference), reference
    for name, schema in whole["components"]["schemas"].items():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )
        assert name in str(whole["paths"]) or f"schemas/{name}'" in str(whole["components"])


def test_every_operation_says_which_right_it_needs(node: dict[str, Any]) -> None:
    by_id = {operation["operationId"]: operation for _, _, operation in written(node)}

    assert by_id["infer"]["x-augurium-scopes"] == ["predict"]
    assert by_id["metadata"]["x-augurium-scopes"] == ["predict", "read"]
    assert by_id["load"]["x-augurium-scopes"] == ["deploy"]
    for operation in by_id.values():
        assert operation["x-augurium-right"] in DATA_PLANE


def test_a_node_that_asks_for_no_keys_has_no_security_in_its_document(node: dict[str, Any]) -> None:
    assert "securitySchemes" not in node["components"]
    assert all("security" not in operation for _, _, operation in written(node))


async def test_a_node_that_asks_for_keys_says_where(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    gateway = Gateway(ledger)
    secured = node_document(RestApi(_plane(), LimitSettings(), gateway).routes, secured=True)
    ledger.close()

    assert secured["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for _, path, operation in written(secured):
        public = operation["x-augurium-scopes"] == []
        assert operation["security"] == ([] if public else [{"bearer": []}]), path
        assert ("401" in operation["responses"]) is not public, path


def _plane() -> DataPlane:
    return DataPlane(Router(), 10, 30.0)


def test_a_document_of_a_model_names_its_paths_as_it_was_asked_for() -> None:
    number = model_document(API.routes, ModelRef("m", 3), version(SIGNATURES[0]), secured=False)
    alias = model_document(
        API.routes, ModelRef("m", None, "live"), version(SIGNATURES[0]), secured=False
    )

    assert number["info"]["version"] == "3"
    assert "/v1/models/m/versions/3:predict" in number["paths"]
    assert "/v2/models/m@live/infer" in alias["paths"]
    for whole in (number, alias):
        assert not [path for path in whole["paths"] if "{" in path]


def test_classify_and_regress_are_there_for_models_that_answer_them() -> None:
    of_scores = document(Signature((AGE,), SCORES))["paths"]
    of_number = document(Signature((AGE,), NUMBER))["paths"]

    assert "/v1/models/m:classify" in of_scores
    assert "/v1/models/m:regress" not in of_scores
    assert "/v1/models/m:regress" in of_number
    assert "/v1/models/m:classify" not in of_number


def test_many_rows_are_for_models_that_take_rows() -> None:
    predict = "/v1/models/m:predict"
    rows = document(Signature((AGE,), NUMBER))["paths"][predict]["post"]["requestBody"]
    whole = Signature((TensorSpec("x", "FP32", (2, 2)),), NUMBER, batched=False)
    tensors = document(whole)["paths"][predict]["post"]["requestBody"]

    assert set(rows["content"]) == {
        "application/json",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
    }
    assert set(tensors["content"]) == {"application/json"}


def test_a_streamed_model_has_its_example_where_every_answer_is_taken() -> None:
    prompt = TensorSpec("prompt", "BYTES", (-1,))
    whole = document(Signature((prompt,), NUMBER, batched=False, streamed=True))
    with_example = {
        path
        for _, path, operation in written(whole)
        if "example" in str(operation.get("requestBody"))
    }

    assert with_example == {"/v2/models/m/generate", "/v2/models/m/generate_stream"}
    stream = whole["paths"]["/v2/models/m/generate_stream"]["post"]
    assert set(stream["responses"]["200"]["content"]) == {"text/event-stream"}
    assert "any number of answers" in whole["info"]["description"]


def test_a_schema_says_what_the_signature_says() -> None:
    inputs = (
        TensorSpec("city", "BYTES", (-1,), categories=("rome", "oslo")),
        TensorSpec("pet", "BYTES", (-1,), nullable=True, categories=("cat",), missing_value="?"),
        TensorSpec("size", "UINT8", (-1,)),
        TensorSpec("since", "FP64", (-1,), moment=True),
        TensorSpec("age", "FP32", (-1,), nullable=True, optional=True),
        TensorSpec("odd", "FP32", (-1,), nullable=True, lenient=True),
    )
    whole = document(Signature(inputs, NUMBER))
    good = {"city": "rome", "pet": "cat", "size": 255, "since": 1.5, "odd": "what"}

    def takes(**changes: Any) -> bool:
        return accepts(whole, "PredictRequest", {"instances": [good | changes]})

    assert takes()
    assert takes(pet=None, age=None, since="2026-01-31T12:00:00Z", odd=None)
    assert takes(age=3)
    for wrong in (
        {"city": "paris"},
        {"city": None},
        {"size": 256},
        {"size": -1},
        {"size": 0.5},
        {"age": "x"},
        {"age": 1e39},
        {"since": True},
        {"odd": 1e39},
        {"more": 1},
    ):
        assert not takes(**wrong), wrong
    assert not accepts(whole, "PredictRequest", {"instances": []})
    assert not accepts(whole, "PredictRequest", {"instances": [{"city": "rome"}]})
    assert not accepts(whole, "PredictRequest", {"instances": [good], "inputs": {}})


def test_named_features_of_a_matrix_may_be_objects_lists_or_columns() -> None:
    table = TensorSpec("table", "FP32", (-1, 2), features=("a", "b"))
    whole = document(Signature((table,), NUMBER))

    for good in (
        {"instances": [{"a": 1, "b": 2}]},
        {"instances": [[1, 2], [3, 4]]},
        {"inputs": {"a": [1], "b": [2]}},
        {"inputs": {"table": [[1, 2]]}},
        {"inputs": [[1, 2]]},
    ):
        assert accepts(whole, "PredictRequest", good), good
    for bad in (
        {"instances": [{"a": 1}]},
        {"instances": [[1, 2], {"a": 1, "b": 2}]},
        {"instances": [[1, 2, 3]]},
        {"inputs": {"a": [1]}},
    ):
        assert not accepts(whole, "PredictRequest", bad), bad


def test_more_categories_than_can_be_read_are_counted() -> None:
    many = TensorSpec("city", "BYTES", (-1,), categories=tuple(map(str, range(5000))))

    assert len(json.dumps(document(Signature((many,), NUMBER)))) < 60_000
    assert "one of 5000 categories" in json.dumps(document(Signature((many,), NUMBER)))


@pytest.mark.parametrize("datatype", NUMPY_DTYPES)
def test_every_datatype_can_be_described(datatype: str) -> None:
    spec = TensorSpec("x", datatype, (-1, 2))
    whole = document(Signature((spec,), (spec,)))
    (operation,) = [op for _, path, op in written(whole) if path == "/v2/models/m/infer"]
    example = operation["requestBody"]["content"]["application/json"]["example"]

    assert example["inputs"][0]["datatype"] == datatype
    assert accepts(whole, "InferRequest", example)


def test_a_feature_may_have_the_name_of_what_a_schema_is_made_of() -> None:
    names = ("$ref", "type", "example", "properties", "id", "parameters", "__proto__")
    table = TensorSpec("table", "FP32", (-1, len(names)), features=names)
    recorded = dict.fromkeys(names, 1.0) | {"$ref": 2.0}
    whole = document(Signature((table,), NUMBER), recorded)

    assert accepts(whole, "PredictRequest", {"instances": [recorded]})
    assert not accepts(whole, "PredictRequest", {"instances": [recorded | {"$ref": "x"}]})
