"""An example of a version: whatever the signature, every body of it is one that is accepted."""

import json
from typing import Any

import pytest

from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import NUMPY_DTYPES, TensorSpec
from augurium.protocols import oip_json
from augurium.protocols.columns import tensors_of_inputs
from augurium.protocols.generate_body import decode
from augurium.protocols.mlflow_body import body_of, fields_of, is_open_inference
from augurium.protocols.openapi_example import MOST_VALUES, example_bodies
from augurium.protocols.tables import rows_of_records
from tests.support.bodies import ANSWER, SIGNATURES, encoded, given_to_model

MORE = (
    Signature((TensorSpec("image", "FP32", (-1, 3, -1, -1)),), ANSWER),
    Signature((TensorSpec("when", "FP64", (-1,), moment=True),), ANSWER),
    Signature((TensorSpec("city", "BYTES", (-1, 1), categories=("rome",)),), ANSWER),
    Signature((TensorSpec("words", "BYTES", (-1,)),), ANSWER, batched=False),
    Signature((TensorSpec("a", "FP32", (-1,), optional=True, nullable=True),), ANSWER),
    *(Signature((TensorSpec("x", kind, (-1, 2)),), ANSWER) for kind in NUMPY_DTYPES),
)
ALL = (*SIGNATURES, *MORE)


def tensors_of(name: str, body: dict[str, Any], signature: Signature) -> list[dict[str, Any]]:
    """What reaches the model of a body that is read as its protocol reads it."""
    content = encoded(body)
    if name == "InferRequest":
        wire = oip_json.decode(content, None, 20)
        return [given_to_model(wire.inputs, signature)]
    if name == "PredictRequest":
        if "inputs" in body:
            return [given_to_model(tensors_of_inputs(body["inputs"], signature), signature)]
        return [given_to_model(Instances(body["instances"]), signature)]
    if name == "GenerateRequest":
        return [given_to_model(decode(content, signature, 20).inputs, signature)]
    if name == "ExamplesRequest":
        return [given_to_model(rows_of_records(body["examples"], signature), signature)]
    fields = fields_of(content, 20)
    if is_open_inference(fields):
        return tensors_of("InferRequest", body, signature)
    return [given_to_model(body_of(fields, signature).inputs, signature)]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_every_body_says_the_same_to_the_model(number: int) -> None:
    signature = ALL[number]
    bodies = example_bodies(signature)
    said = [tensors_of(name, body, signature)[0] for name, body in bodies.items()]

    assert {"InferRequest", "PredictRequest", "GenerateRequest", "InvocationsRequest"} <= set(
        bodies
    )
    assert all(str(one) == str(said[0]) for one in said)


def test_a_recorded_row_is_taken_as_it_is() -> None:
    table = TensorSpec("table", "FP32", (-1, 2), features=("a", "b"), nullable=True)
    signature = Signature((table,), ANSWER)
    bodies = example_bodies(signature, {"a": 0.1, "b": None})

    assert bodies["PredictRequest"] == {"instances": [{"a": 0.1, "b": None}]}
    assert bodies["InferRequest"]["inputs"][0]["data"] == [0.1, None]
    assert bodies["InvocationsRequest"] == {"dataframe_records": [{"a": 0.1, "b": None}]}
    assert example_bodies(signature, [0.1, 0.2])["GenerateRequest"] == {"a": 0.1, "b": 0.2}


@pytest.mark.parametrize("row", [{"z": 1}, [1, 2, 3], "text", 7, {"a": "text", "b": 1}])
def test_a_recorded_row_that_does_not_fit_is_not_shown(row: Any) -> None:
    table = TensorSpec("table", "FP32", (-1, 2), features=("a", "b"))
    signature = Signature((table,), ANSWER)

    assert example_bodies(signature, row) == example_bodies(signature)


def test_a_recorded_row_of_several_inputs_may_be_a_list() -> None:
    signature = Signature(
        (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT8", (-1,))), ANSWER
    )
    bodies = example_bodies(signature, [[0.5, 1.5], 3])

    assert bodies["GenerateRequest"] == {"a": [0.5, 1.5], "b": 3}
    assert tensors_from_instances(Instances([[[0.5, 1.5], 3]]), signature)["b"].tolist() == [3]


def test_bytes_that_are_no_text_have_no_body_of_tensors() -> None:
    signature = Signature((TensorSpec("picture", "BYTES", (-1,)),), ANSWER)
    bodies = example_bodies(signature, {"b64": "/w=="})

    assert "InferRequest" not in bodies
    assert bodies["PredictRequest"] == {"instances": [{"b64": "/w=="}]}
    assert bodies["GenerateRequest"] == {"picture": {"b64": "/w=="}}


def test_a_picture_has_no_example() -> None:
    assert example_bodies(Signature((TensorSpec("x", "FP32", (-1, 3, 224, 224)),), ANSWER)) == {}
    widest = TensorSpec("x", "FP32", (-1, MOST_VALUES))
    assert example_bodies(Signature((widest,), ANSWER))


def test_a_streamed_version_has_the_body_of_its_streams_only() -> None:
    for batched in (True, False):
        prompt = TensorSpec("prompt", "BYTES", (-1,))
        signature = Signature((prompt,), ANSWER, batched=batched, streamed=True)

        assert set(example_bodies(signature)) == {"GenerateRequest"}


def test_an_example_is_json() -> None:
    for signature in ALL:
        assert json.dumps(example_bodies(signature), allow_nan=False)
