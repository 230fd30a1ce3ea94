import msgspec
import pytest

from augurium.core.compatibility import difference
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec

X = TensorSpec("x", "FP32", (-1, 2), features=("a", "b"))
TEXT = TensorSpec("text", "BYTES", (-1,))
Y = TensorSpec("y", "FP32", (-1,))
ASKED = Signature((X, TEXT), (Y,))


def changed(spec: TensorSpec, **fields: object) -> TensorSpec:
    return msgspec.structs.replace(spec, **fields)


def test_the_same_inputs_in_another_order_will_do() -> None:
    assert difference(ASKED, ASKED) == ""
    assert difference(ASKED, Signature((TEXT, X), (Y,))) == ""


def test_who_takes_more_can_stand_in() -> None:
    generous = Signature((changed(X, nullable=True), changed(TEXT, optional=True)), (Y,))
    assert difference(ASKED, generous) == ""
    assert "may be missing" in difference(generous, ASKED)


def test_a_single_answer_can_stand_for_a_stream() -> None:
    stream = msgspec.structs.replace(ASKED, batched=False, streamed=True)
    assert difference(stream, stream) == difference(stream, ASKED) == ""


@pytest.mark.parametrize(
    ("instead", "why"),
    [
        (Signature((X,), (Y,)), "the inputs are 'x', 'text' and 'x'"),
        (Signature((X, TEXT), (changed(Y, name="z"),)), "the outputs are"),
        (Signature((X, TEXT), (changed(Y, datatype="FP64"),)), "the outputs are"),
        (Signature((X, TEXT), (changed(Y, shape=(-1, 1)),)), "the outputs are"),
        (Signature((X, changed(TEXT, datatype="INT64")), (Y,)), "input 'text' differs"),
        (Signature((changed(X, shape=(-1, 3)), TEXT), (Y,)), "input 'x' differs"),
        (Signature((changed(X, features=("b", "a")), TEXT), (Y,)), "input 'x' differs"),
        (msgspec.structs.replace(ASKED, batched=False), "takes rows"),
        (msgspec.structs.replace(ASKED, streamed=True), "a stream of them"),
    ],
    ids=[
        *("inputs", "output name", "output datatype", "output shape"),
        *("input datatype", "input shape", "features", "rows", "streams"),
    ],
)
def test_who_cannot_stand_in_is_told_why(instead: Signature, why: str) -> None:
    assert why in difference(ASKED, instead)
