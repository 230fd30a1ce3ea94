"""Classes and values from the outputs of a model."""

from typing import Any

import numpy as np
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.v1_results import classes_of, values_of

INPUT = (TensorSpec("x", "FP32", (-1, 2)),)
LABEL = TensorSpec("label", "INT64", (-1,))
WORD = TensorSpec("label", "BYTES", (-1,))
SCORES = TensorSpec("probabilities", "FP32", (-1, 2))
VALUE = TensorSpec("y", "FP32", (-1, 1))


def classes(*outputs: tuple[TensorSpec, Any]) -> list[Any]:
    """What an answer with these outputs says."""
    signature = Signature(INPUT, tuple(spec for spec, _ in outputs))
    reader = classes_of("m", signature)
    by_name = {spec.name: (spec, values) for spec, values in outputs}
    chosen = [by_name[name] for name in reader.outputs]
    arrays = [np.array(values, spec.dtype) for spec, values in chosen]
    response = InferenceResponse(
        "m", 1, "", [spec for spec, _ in chosen], range(len(chosen)), Answer(BatchOutputs(arrays))
    )
    return list(reader.results(response))


ROWS = [[0.25, 0.75], [0.5, 0.5]]


def test_scores_alone_are_numbered() -> None:
    assert classes((SCORES, ROWS)) == [[["0", 0.25], ["1", 0.75]], [["0", 0.5], ["1", 0.5]]]


def test_a_text_for_each_class_is_its_label() -> None:
    names = TensorSpec("classes", "BYTES", (-1, 2))
    assert classes((SCORES, ROWS[:1]), (names, [["no", "yes"]])) == [[["no", 0.25], ["yes", 0.75]]]


def test_the_label_of_a_row_is_that_of_its_best_class_and_others_have_none() -> None:
    assert classes((WORD, ["yes"]), (SCORES, ROWS[:1])) == [[["", 0.25], ["yes", 0.75]]]
    assert classes((LABEL, [7]), (SCORES, ROWS[:1])) == [[["", 0.25], ["7", 0.75]]]


def test_classes_that_the_signature_names_need_no_output_of_labels() -> None:
    named = TensorSpec("probabilities", "FP32", (-1, 2), labels=("no", "yes"))
    assert classes_of("m", Signature(INPUT, (WORD, named))).outputs == ("probabilities",)
    assert classes((WORD, ["yes"]), (named, ROWS[:1])) == [[["no", 0.25], ["yes", 0.75]]]


def test_labels_that_are_the_numbers_of_the_classes_number_them_all() -> None:
    assert classes((LABEL, [1]), (SCORES, ROWS[:1])) == [[["0", 0.25], ["1", 0.75]]]


def test_labels_without_scores_have_the_score_of_tensorflow_serving() -> None:
    assert classes((WORD, ["yes", "no"])) == [[["yes", 0.0]], [["no", 0.0]]]


@pytest.mark.parametrize("outputs", [(LABEL,), (TensorSpec("y", "FP32", (-1,)),), ()])
def test_a_model_without_classes_cannot_classify(outputs: tuple[TensorSpec, ...]) -> None:
    with pytest.raises(InvalidArgument, match=r"no output of scores per class.*use :predict"):
        classes_of("m", Signature(INPUT, outputs))


def test_one_number_per_row_is_the_value() -> None:
    assert values_of("m", Signature(INPUT, (VALUE, WORD))).outputs == ("y",)


@pytest.mark.parametrize("outputs", [(LABEL, SCORES), (VALUE, TensorSpec("z", "FP64", (-1,))), ()])
def test_without_one_number_per_row_there_is_no_regress(outputs: tuple[TensorSpec, ...]) -> None:
    with pytest.raises(InvalidArgument, match=r"regress needs exactly one.*use :predict"):
        values_of("m", Signature(INPUT, outputs))
