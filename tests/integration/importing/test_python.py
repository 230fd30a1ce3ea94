"""Python functions are served as they are, where both the server and the caller allow code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from augurium.client.packaging import package
from augurium.client.sample_table import sample_table
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.settings import ImportSettings
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult
from augurium.runtimes.python import PythonModel

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

TRUSTING = ImportSettings(allow_code=True, timeout_s=600)
FRAME = pd.DataFrame(
    {
        "pieces": [1, 2, 3, 4],
        "price": [1.5, None, 2.5, 3.0],
        "city": ["Bern", "Wien", None, "Rom"],
        "member": [True, False, True, True],
    }
)


def imported(import_content: Import, function: Any, frame: Any = FRAME) -> ImportResult:
    packaged = package(function, frame)
    return import_content(
        packaged.content,
        packaged.filename,
        framework=packaged.framework,
        table=packaged.table,
        limits=TRUSTING,
    )


def test_a_function_takes_the_columns_it_was_shown_and_returns_rows(
    import_content: Import, ask: Ask
) -> None:
    def total(columns: Any) -> Any:
        due = columns["pieces"] * columns["price"] * np.where(columns["member"], 0.9, 1.0)
        return {"due": due, "label": columns["city"]}

    result = imported(import_content, total)
    assert (result.framework, result.runtime, result.allowed_code) == ("python", "python", True)
    assert result.signature.inputs == (
        TensorSpec("pieces", "INT64", (-1,)),
        TensorSpec("price", "FP64", (-1,), nullable=True),
        TensorSpec("city", "BYTES", (-1,), nullable=True, missing_value=""),
        TensorSpec("member", "BOOL", (-1,)),
    )
    found = ask(
        result,
        {
            "pieces": np.array([10]),
            "price": np.array([2.0]),
            "city": np.array(["Bern"], np.object_),
            "member": np.array([True]),
        },
    )
    assert found["due"].tolist() == [18.0]
    assert found["label"].tolist() == ["Bern"]


def test_a_single_array_is_called_output(import_content: Import) -> None:
    result = imported(import_content, lambda columns: columns["pieces"] + 1)
    assert result.signature.outputs == (TensorSpec("output", "INT64", (-1,)),)
    assert result.signature.batched


def test_a_function_of_all_rows_at_once_is_not_batched(import_content: Import) -> None:
    result = imported(import_content, lambda columns: columns["pieces"] - columns["pieces"].mean())
    assert not result.signature.batched


def test_a_function_may_hold_a_model_of_any_framework(import_content: Import, ask: Ask) -> None:
    class Weighted:
        weights = np.array([2.0, 3.0])

        def __call__(self, columns: Any) -> Any:
            return np.column_stack([columns["a"], columns["b"]]) @ self.weights

    frame = pd.DataFrame({"a": [1.0, 2.5], "b": [0.5, 1.5]})
    result = imported(import_content, Weighted(), frame)
    found = ask(result, {"a": np.array([1.0]), "b": np.array([1.0])})
    assert found["output"].tolist() == [5.0]


def failing(columns: Any) -> Any:
    raise RuntimeError("no such luck")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (failing, "failed on the rows of the table: RuntimeError: no such luck"),
        (lambda columns: 7, r"returned int64 \[\] as 'output' for 4 rows"),
        (lambda columns: columns["pieces"][:2], r"returned int64 \[2\] as 'output' for 4 rows"),
        (lambda columns: {1: columns["pieces"]}, "a dict with the keys"),
        (lambda columns: {}, "a dict with the keys"),
        (lambda columns: np.array([object()] * 4), "returned objects, expected numbers, texts"),
    ],
)
def test_functions_that_do_not_return_rows_are_refused(
    import_content: Import, function: Any, says: str
) -> None:
    with pytest.raises(Unprocessable, match=says):
        imported(import_content, function)


def test_a_function_without_rows_to_be_tried_on_is_refused(import_content: Import) -> None:
    packaged = package(lambda columns: columns)
    with pytest.raises(InvalidArgument, match=r"needs rows to be tried on.*data=table"):
        import_content(packaged.content, packaged.filename, limits=TRUSTING)


def test_a_function_is_refused_unread_where_code_is_not_allowed(
    import_content: Import, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (canary,))

    with pytest.raises(Unprocessable, match=r"runs code.*importing\.allow_code.*allow_code=True"):
        import_content(cloudpickle.dumps(Trap()), "function.cloudpickle")
    assert not canary.exists()


def test_a_generator_function_is_streamed(import_content: Import) -> None:
    def grow(columns: Any) -> Any:
        for step in range(3):
            yield {"total": columns["pieces"] + step, "label": columns["city"]}

    result = imported(import_content, grow)
    assert result.signature.streamed
    assert result.signature.batched, "every answer has a row per row of the request"
    assert result.signature.outputs == (
        TensorSpec("total", "INT64", (-1,)),
        TensorSpec("label", "BYTES", (-1,)),
    )
    parity = result.report["parity"]
    assert (parity["rows"], parity["outputs"]["total"]["rows"]) == (3, 9)
    assert parity["outputs"]["total"]["different"] == 0
    assert any("yields its answers" in note for note in result.report["notes"])
    assert set(result.report["latency_ms"]) == {"1"}


def test_a_function_that_returns_an_iterator_is_streamed(import_content: Import) -> None:
    result = imported(import_content, lambda columns: iter([columns["pieces"]] * 2))
    assert result.signature.streamed
    assert result.signature.outputs == (TensorSpec("output", "INT64", (-1,)),)


def test_a_stream_of_other_rows_than_those_of_the_request_is_not_batched(
    import_content: Import,
) -> None:
    def each(columns: Any) -> Any:
        for value in columns["pieces"]:
            yield {"one": np.array([value])}

    result = imported(import_content, each)
    assert (result.signature.streamed, result.signature.batched) == (True, False)


def test_a_stream_without_an_end_can_be_imported(import_content: Import) -> None:
    def forever(columns: Any) -> Any:
        while True:
            yield columns["pieces"]

    result = imported(import_content, forever)
    assert result.signature.streamed
    assert result.report["parity"]["outputs"]["output"]["rows"] == 3 * 64


def test_answers_of_growing_width_have_an_open_dimension(import_content: Import) -> None:
    def wider(columns: Any) -> Any:
        for width in (1, 2, 3):
            yield {"tokens": np.ones((len(columns["pieces"]), width, 2))}

    result = imported(import_content, wider)
    assert result.signature.outputs == (TensorSpec("tokens", "FP64", (-1, -1, 2)),)


def test_a_sampler_may_answer_differently_each_time_and_the_report_says_so(
    import_content: Import,
) -> None:
    def sampler(columns: Any) -> Any:
        for _ in range(4):
            yield np.random.default_rng().normal(size=len(columns["pieces"]))

    result = imported(import_content, sampler)
    assert result.report["parity"]["outputs"]["output"]["different"] > 0


def test_a_streamed_function_may_be_told_parameters(import_content: Import) -> None:
    def told(columns: Any, parameters: Any) -> Any:
        for _ in range(parameters.get("count", 2)):
            yield columns["pieces"]

    result = imported(import_content, told)
    assert result.signature.streamed
    assert result.report["parity"]["outputs"]["output"]["rows"] == 6


@pytest.mark.parametrize("name", ["parameters", "params"])
def test_a_function_may_be_told_parameters(import_content: Import, name: str) -> None:
    def scaled(columns: Any, parameters: Any) -> Any:
        return columns["pieces"] * parameters.get("factor", 1)

    def scaled_too(columns: Any, *, params: Any) -> Any:
        return columns["pieces"] * params.get("factor", 1)

    result = imported(import_content, scaled if name == "parameters" else scaled_too)
    assert result.signature.takes_parameters
    assert result.signature.batched
    model = PythonModel(result.servable, {})
    pieces = np.array([1, 2])
    assert model.run({"pieces": pieces})[0].tolist() == [1, 2]
    (found,) = model.run_with({"pieces": pieces}, ["output"], {"factor": 3})
    assert found.tolist() == [3, 6]


def test_the_first_argument_is_the_columns_whatever_its_name(import_content: Import) -> None:
    result = imported(import_content, lambda params: params["pieces"])
    assert not result.signature.takes_parameters


@pytest.mark.parametrize("form", ["arrow", "json"])
def test_a_function_takes_and_gives_bytes(import_content: Import, ask: Ask, form: str) -> None:
    def flipped(columns: Any) -> Any:
        given = [v if isinstance(v, bytes) else v.encode() for v in columns["image"]]
        return {
            "flipped": np.array([v[::-1] for v in given], object),
            "size": np.array([len(v) for v in given]),
        }

    table = {"image": [b"\xff\x00a", b"ab", b"\x80"]}
    packaged = package(flipped, table)
    sent = packaged.table if form == "arrow" else sample_table(table)
    result = import_content(packaged.content, packaged.filename, table=sent, limits=TRUSTING)
    assert result.signature.inputs == (TensorSpec("image", "BYTES", (-1,)),)
    assert result.signature.batched
    found = ask(result, {"image": np.array([b"\xff\x00a", "ab"], object)})
    assert found["flipped"].tolist() == [b"a\x00\xff", "ba"]
    assert found["size"].tolist() == [3, 2]


def test_a_streamed_function_is_described_with_its_training_data(import_content: Import) -> None:
    def grow(columns: Any) -> Any:
        yield {"total": columns["pieces"]}

    result = imported(import_content, grow)
    notes = result.report["training_data"].get("notes", [])
    assert not any("no reference profile" in note for note in notes), notes


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda columns: iter([]), "yields nothing for the first row"),
        (lambda columns: iter([1.5]), "with a dimension at least"),
        (lambda columns: iter([columns["pieces"], columns["price"]]), "several datatypes"),
        (lambda columns: iter([{"a": columns["pieces"]}, {"b": 1}]), "expected also a"),
        (lambda columns: (1 / 0 for _ in [1]), "ZeroDivisionError"),
    ],
)
def test_a_stream_that_cannot_be_served_is_refused(
    function: Any, words: str, import_content: Import
) -> None:
    with pytest.raises(Unprocessable, match=words):
        imported(import_content, function)


def test_an_asynchronous_function_is_refused_before_it_is_sent() -> None:
    async def later(columns: Any) -> Any:
        yield columns

    async def sooner(columns: Any) -> Any:
        return columns

    for function in (later, sooner):
        with pytest.raises(InvalidArgument, match="an asynchronous function cannot be registered"):
            package(function, FRAME)
