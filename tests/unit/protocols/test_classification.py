"""Outputs as the best of their classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Answer, BatchOutputs, InferenceResponse
from augurium.core.tensors import DATATYPES, Array, TensorSpec
from augurium.protocols.classification import check, classified, wanted


def best(array: Array, count: int, batched: bool = True, labels: tuple[str, ...] = ()) -> Array:
    other = np.array([1.5])
    spec = TensorSpec("y", DATATYPES[array.dtype], (-1,), labels=labels)
    specs = (TensorSpec("other", "FP64", (1,)), spec)
    answer = Answer(BatchOutputs([array, other]))
    response = InferenceResponse("m", 1, "7", specs, (1, 0), answer, batched)
    found = classified(response, {"y": count})
    assert found.answer.array(0) is other
    assert (found.specs[1].datatype, found.id) == ("BYTES", "7")
    return found.answer.array(1)


def test_the_best_come_first_as_value_and_index() -> None:
    values = np.array([[1, 5, 10, 4], [0, 0, 0, 7]], np.float32)

    assert best(values, 2).tolist() == [
        ["10.000000:2", "5.000000:1"],
        ["7.000000:3", "0.000000:0"],
    ]


def test_classes_with_names_have_them_behind_their_number() -> None:
    values = np.array([[1, 5, 2]], np.float32)

    found = best(values, 2, labels=("cat", "dog", "cow")).tolist()
    assert found == [["5.000000:1:dog", "2.000000:2:cow"]]
    # names of other classes than these say nothing
    assert best(values, 1, labels=("cat",)).tolist() == [["5.000000:1"]]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (np.array([[3, -1]], np.int64), ["3:0", "-1:1"]),
        (np.array([[False, True]]), ["1:1", "0:0"]),
        (np.array([[np.nan, 1, -np.inf]], np.float32), ["1.000000:1", "nan:0", "-inf:2"]),
        (np.array([[[1, 2], [3, 0]]], np.uint8), ["3:2", "2:1", "1:0", "0:3"]),
    ],
)
def test_values_of_every_kind_have_a_place(values: Array, texts: list[str]) -> None:
    assert best(values, 10).tolist() == [texts]


def test_without_rows_the_whole_output_is_one_set_of_classes() -> None:
    assert best(np.array([[1, 2], [3, 0]], np.int32), 1, batched=False).tolist() == ["3:2"]


def test_an_answer_without_rows_has_no_classes() -> None:
    assert best(np.zeros((0, 3), np.float32), 2).shape == (0, 2)


@given(
    arrays(np.float32, (3, 5), elements=st.floats(-100, 100, width=32)),
    st.integers(1, 8),
)
def test_the_values_descend_and_are_those_of_their_index(values: Array, count: int) -> None:
    for row, texts in zip(values, best(values, count).tolist(), strict=True):
        indices = [int(text.partition(":")[2]) for text in texts]
        assert len(set(indices)) == min(count, 5)
        assert [row[index] for index in indices] == sorted(row, reverse=True)[:count]


@pytest.mark.parametrize("count", [0, -1, True, "2", 1.5, None, 10**7])
def test_what_is_no_number_of_classes_is_refused(count: object) -> None:
    with pytest.raises(InvalidArgument, match="number of classes"):
        wanted("y", count)


def test_texts_have_no_classes() -> None:
    with pytest.raises(InvalidArgument, match="has texts"):
        check(TensorSpec("y", "BYTES", (-1,)))
