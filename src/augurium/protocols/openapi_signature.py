"""JSON Schemas of the bodies that one version takes and gives, from its signature.

They have the names of the shared schemas of `openapi_schemas`, in whose place they stand.
"""

from augurium.core.errors import AuguriumError
from augurium.core.signature import Signature
from augurium.protocols import openapi_rows, openapi_tensors, v1_results
from augurium.protocols.openapi_values import Schema


def signature_schemas(signature: Signature) -> dict[str, Schema]:
    """The schemas by name."""
    schemas = {
        "InferRequest": openapi_tensors.infer_request(signature),
        "InferResponse": openapi_tensors.infer_response(signature),
        "GenerateRequest": openapi_tensors.generate_request(signature),
        "GenerateResponse": openapi_tensors.generate_response(signature),
        "PredictRequest": openapi_rows.predict_request(signature),
        "PredictResponse": openapi_rows.predict_response(signature),
        "InvocationsRequest": openapi_rows.invocations_request(signature),
    }
    if signature.batched:
        schemas |= {
            "Rows": openapi_rows.rows(signature),
            "Prediction": openapi_rows.prediction(signature),
            "ExamplesRequest": openapi_rows.examples_request(signature),
        }
    return schemas


def answers_to_examples(signature: Signature) -> frozenset[str]:
    """Which of `classify` and `regress` the version answers."""
    if not signature.batched or signature.streamed:
        return frozenset()
    readers: dict[str, v1_results.Results] = {
        "classify": v1_results.classes_of,
        "regress": v1_results.values_of,
    }
    return frozenset(name for name, reader in readers.items() if _reads(reader, signature))


def _reads(reader: "v1_results.Results", signature: Signature) -> bool:
    try:
        reader("", signature)
    except AuguriumError:
        return False
    return True
