"""Bodies as anybody might send them, and signatures to hold them against."""

import json
from typing import Any

from hypothesis import strategies as st

from augurium.core.inference import Instances
from augurium.core.instances import tensors_from_instances
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.validation import InputValidator

ANSWER = (TensorSpec("y", "FP32", (-1,)),)
AGE = TensorSpec("age", "FP32", (-1, 1), nullable=True)
CITY = TensorSpec("city", "BYTES", (-1, 1), nullable=True, missing_value="?")
COUNT = TensorSpec("count", "INT64", (-1,))
FLAG = TensorSpec("flag", "BOOL", (-1,))
TABLE = TensorSpec("table", "FP32", (-1, 2), features=("a", "b"), nullable=True)
MATRIX = TensorSpec("x", "FP32", (-1, 3))
PROMPT = TensorSpec("prompt", "BYTES", (-1,))
WHEN = TensorSpec("when", "FP64", (-1,), moment=True, lenient=True, nullable=True)
MIXED = Signature((AGE, CITY), ANSWER)
NAMED = Signature((TABLE,), ANSWER)
BARE = Signature((MATRIX,), ANSWER)
SIGNATURES = (
    MIXED,
    NAMED,
    BARE,
    Signature((PROMPT,), ANSWER),
    Signature((COUNT, FLAG, AGE), ANSWER),
    Signature((WHEN,), ANSWER),
    Signature((TensorSpec("whole", "FP32", (2, 2)),), ANSWER, batched=False),
    Signature((TensorSpec("one", "INT64", ()),), ANSWER, batched=False),
)

names = st.sampled_from(
    [
        *("age", "city", "count", "flag", "a", "b", "table", "x", "prompt", "when", "whole", "one"),
        *("b64", "columns", "data", "index", "name", "zz", ""),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
signatures = st.sampled_from(SIGNATURES)


def given_to_model(inputs: Any, signature: Signature) -> dict[str, Any]:
    """The tensors that come through to a model, as lists by name."""
    if isinstance(inputs, Instances):
        inputs = tensors_from_instances(inputs, signature)
    prepared = InputValidator("m", signature).prepare(inputs).inputs
    return {
        spec.name: array.tolist() for spec, array in zip(signature.inputs, prepared, strict=True)
    }


def encoded(content: Any) -> bytes:
    """JSON with the tokens of Python's encoder."""
    return json.dumps(content).encode()
