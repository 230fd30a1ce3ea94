"""Python functions are served as they are, where both the server and the caller allow code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from augurium.client.packaging import package
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.settings import ImportSettings
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportResult

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

TRUSTING = ImportSettings(allow_code=True, timeout_s=60)
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
        (lambda columns: np.array([object()] * 4), "returned objects, expected numbers or texts"),
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
