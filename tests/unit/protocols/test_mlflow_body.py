"""Bodies of MLflow's scoring protocol: every form of a table gives the same rows."""

import math
from typing import Any

import msgspec
import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.signature import Signature
from augurium.protocols.mlflow_body import MlflowBody, body_of, fields_of, is_open_inference
from augurium.protocols.mlflow_csv import rows_of_csv
from tests.support.bodies import (
    ANSWER,
    BARE,
    COUNT,
    FLAG,
    MIXED,
    NAMED,
    PROMPT,
    given_to_model,
)


def body(content: Any, signature: Signature) -> MlflowBody:
    encoded = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return body_of(fields_of(encoded, 20), signature)


def tensors(content: Any, signature: Signature) -> dict[str, Any]:
    """What the model is given."""
    return given_to_model(body(content, signature).inputs, signature)


def of_csv(content: str, signature: Signature) -> dict[str, Any]:
    return given_to_model(rows_of_csv(content.encode(), signature), signature)


PEOPLE = {"age": [[31.0], [40.0]], "city": [["Bern"], ["Rom"]]}


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["age", "city"], "data": [[31, "Bern"], [40, "Rom"]]}},
        {
            "dataframe_split": {
                "index": [7, 9],
                "columns": ["city", "more", "age"],
                "data": [["Bern", None, 31], ["Rom", 2, 40]],
            }
        },
        {"dataframe_split": {"data": [[31, "Bern"], [40, "Rom"]]}},
        {"dataframe_split": {"columns": [0, 1], "data": [[31, "Bern"], [40, "Rom"]]}},
        {"dataframe_records": [{"city": "Bern", "age": 31}, {"age": 40, "city": "Rom", "x": 1}]},
        {"instances": [{"city": "Bern", "age": 31}, {"age": 40, "city": "Rom"}]},
        {"inputs": [{"city": "Bern", "age": 31}, {"age": 40, "city": "Rom"}]},
        {"inputs": {"city": ["Bern", "Rom"], "age": [31, 40], "more": [1, 2]}},
        {"inputs": {"city": [["Bern"], ["Rom"]], "age": [[31], [40]]}},
        {"inputs": [[31, "Bern"], [40, "Rom"]], "params": {"heat": 1}, "other": 3},
        {"inputs": [[31, "Bern"], [40, {"b64": "Um9t"}]]},
    ],
)
def test_every_form_gives_the_same_rows(content: dict[str, Any]) -> None:
    assert tensors(content, MIXED) == PEOPLE


def test_csv_gives_the_same_rows_in_any_order_of_columns() -> None:
    assert of_csv("age,city\n31,Bern\n40,Rom\n", MIXED) == PEOPLE
    assert of_csv('\ufeff,city,more,age\r\n0,"Bern",x,31\r\n\r\n1,Rom,,4e1\r\n', MIXED) == PEOPLE


def test_what_is_missing_is_missing_in_every_form() -> None:
    expected = {"city": [["?"], ["Rom"]]}
    for found in (
        tensors(
            b'{"dataframe_split": {"columns": ["age", "city"],'
            b' "data": [[NaN, null], [40, "Rom"]]}}',
            MIXED,
        ),
        tensors({"dataframe_records": [{}, {"age": 40, "city": "Rom"}]}, MIXED),
        of_csv("age,city\nNA,\n40,Rom\n", MIXED),
    ):
        assert math.isnan(found.pop("age")[0][0])
        assert found == expected


def test_the_names_of_a_matrix_do_not_matter_where_its_features_have_none() -> None:
    expected = {"x": [[1.0, 2.0, 3.0]]}
    for content in (
        {"dataframe_split": {"columns": ["p", "q", "r"], "data": [[1, 2, 3]]}},
        {"dataframe_records": [{"p": 1, "q": 2, "r": 3}]},
        {"inputs": [[1, 2, 3]]},
        {"inputs": {"x": [[1, 2, 3]]}},
        {"instances": [{"x": [1, 2, 3]}]},
        {"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3]]]}},
    ):
        assert tensors(content, BARE) == expected, content
    assert of_csv("p,q,r\n1,2,3\n", BARE) == expected
    assert of_csv("0,1,2\n1,2,3\n", BARE) == expected


def test_a_matrix_with_names_comes_by_them_or_by_place() -> None:
    expected = {"table": [[1.0, 2.0]]}
    for content in (
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1]]}},
        {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}},
        {"inputs": [[1, 2]]},
        {"inputs": {"b": [2], "a": [1]}},
        {"inputs": {"b": 2, "a": 1, "c": 9}},
        {"inputs": {"table": [[1, 2]]}},
    ):
        assert tensors(content, NAMED) == expected, content


def test_texts_flags_and_whole_numbers_of_csv() -> None:
    signature = Signature((COUNT, FLAG, PROMPT), ANSWER)
    assert of_csv("flag,count,prompt\nTrue,-3,\nfalse,+4,007\n", signature) == {
        "count": [-3, 4],
        "flag": [True, False],
        "prompt": ["", "007"],
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON object"),
        (b"[1]", "Expected `object`, got `array`"),
        ({}, "exactly one of .* found none"),
        ({"inputs": [[1, "a"]], "instances": [[1, "a"]]}, "found 'instances', 'inputs'"),
        ({"inputs": [[1, "a"]], "params": [1]}, "'params' must be an object"),
        ({"inputs": [[1, "a"]], "signature_name": "x"}, "'signature_name' is not a part"),
        ({"dataframe_split": [1]}, "must be an object with 'data'"),
        ({"dataframe_split": {"columns": ["age"]}}, "must be an object with 'data'"),
        ({"dataframe_split": {"data": [], "orient": 1}}, "must be an object with 'data'"),
        ({"dataframe_split": {"data": 3}}, "must be lists"),
        ({"dataframe_split": {"data": [[1, "a"]], "index": [1, 2]}}, "an entry per row"),
        ({"dataframe_split": {"columns": ["age"], "data": [1]}}, "row 0 .* not a list"),
        ({"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}, "2 values, .* 1 columns"),
        (
            {"dataframe_split": {"columns": ["age"], "data": [[1]]}},
            r"misses the columns \['city'\]",
        ),
        ({"dataframe_split": {"columns": ["age", ["a"]], "data": [[1, 2]]}}, "must be texts"),
        (
            {"dataframe_split": {"columns": ["age", "age", "city"], "data": [[1, 2, "a"]]}},
            r"several columns \['age'\]",
        ),
        ({"dataframe_split": {"columns": ["age", "city"], "data": []}}, "is empty"),
        ({"dataframe_records": {"age": 1}}, "list of objects"),
        ({"dataframe_records": []}, "is empty"),
        ({"dataframe_records": [{"age": 1}, 3]}, "some rows"),
        ({"instances": 3}, "list of rows"),
        ({"inputs": {"age": [1]}}, "missing required input"),
        ({"inputs": {"agee": [1]}}, "misses the columns"),
        ({"inputs": {"age": [1, 2], "city": ["a"]}}, "differ in rows"),
        ({"inputs": [["x", "a"]]}, "expects FP32 values"),
        ({"inputs": [[1]]}, "expected a list of 2"),
        ({"messages": [{"role": "user"}]}, "the model has no input 'messages'"),
    ],
)
def test_what_is_no_table_is_refused(content: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        tensors(content, MIXED)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("age,city\n", "no rows below its header"),
        ("age\n1\n", r"misses the columns \['city'\]"),
        ("age,city\n1\n", "row 1 .* 1 fields, .* 2"),
        ("age,city\n1,a\n2,b,c\n", "row 2 .* 3 fields, .* 2"),
        ("age,age,city\n1,2,a\n", r"several columns \['age'\]"),
        ("age,city\nx,a\n", "row 1, column 'age' of the CSV: 'x' is not a number"),
        ("age,city\n1_0,a\n", "'1_0' is not a number"),
        ("age,city\n1e999,a\n", "'1e999' is not a number in the range"),
        ('age,city\n1,"a\n', "not CSV"),
    ],
)
def test_what_is_no_csv_is_refused(content: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        of_csv(content, MIXED)


def test_csv_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not UTF-8"):
        rows_of_csv(b"age,city\n1,\xff\n", MIXED)


def test_keys_of_language_models_are_inputs_by_their_names() -> None:
    found = body({"prompt": "hi", "heat": 0.5}, Signature((PROMPT,), ANSWER))
    assert found.bare
    assert found.parameters == {"heat": 0.5}
    assert given_to_model(found.inputs, Signature((PROMPT,), ANSWER)) == {"prompt": ["hi"]}


def test_tensors_with_a_shape_are_another_protocol() -> None:
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    assert is_open_inference({"inputs": [tensor]})
    assert not is_open_inference({"inputs": []})
    assert not is_open_inference({"inputs": [tensor, 3]})
    assert not is_open_inference({"inputs": {"name": [1]}})
