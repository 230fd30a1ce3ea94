"""PyTorch programs become servable, in ONNX Runtime where parity holds and in PyTorch otherwise."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from augurium.client.packaging import package
from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.tensors import BFLOAT16, TensorSpec
from augurium.importing.result import ImportResult
from augurium.runtimes.runtime import load
from augurium.runtimes.torch import TorchModel
from tests.support.torch_models import (
    Branching,
    ByRow,
    Centering,
    Classifier,
    Encoder,
    Normalized,
    NormFirst,
    exported,
    made,
    token_ids,
)

Import = Callable[..., ImportResult]
Ask = Callable[[ImportResult, Mapping[str, Any]], dict[str, Any]]

ROWS = np.random.default_rng(3).normal(size=(90, 8)).astype(np.float32)


def answers(module: Any, *inputs: Any) -> Any:
    with torch.inference_mode():
        return module(*inputs)


def imported(import_content: Import, module: Any, example_inputs: Any, **how: Any) -> ImportResult:
    packaged = package(module, example_inputs=example_inputs)
    return import_content(packaged.content, packaged.filename, framework=packaged.framework, **how)


@pytest.fixture(scope="module")
def native(import_once: Import) -> ImportResult:
    """A classifier that PyTorch serves, because that was asked for; made of a table."""
    packaged = package(made(Classifier), pd.DataFrame(ROWS, columns=list("abcdefgh")))
    return import_once(packaged.content, "model.pt2", table=packaged.table, engine="torch")


def test_a_module_is_served_in_onnx_runtime_under_the_names_of_its_code(
    import_content: Import, ask: Ask
) -> None:
    module = made(Classifier)
    # of one row alone an exporter cannot tell that there may be more
    result = imported(import_content, module, torch.randn(1, 8))
    assert result.signature.batched
    assert (result.framework, result.runtime) == ("torch", "onnx")
    assert result.signature.inputs == (TensorSpec("features", "FP32", (-1, 8)),)
    assert [spec.name for spec in result.signature.outputs] == ["probabilities", "label"]
    assert result.report["parity"]["row_independent"]
    expected, found = answers(module, torch.as_tensor(ROWS)), ask(result, {"features": ROWS})
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(found["label"], expected["label"])


def test_a_table_names_the_features_of_a_matrix(native: ImportResult) -> None:
    assert native.signature.inputs[0].features == tuple("abcdefgh")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_transformer_answers_alike_in_every_precision_and_length(
    import_content: Import, ask: Ask, dtype: torch.dtype
) -> None:
    module, (ids, mask) = made(Encoder, dtype), token_ids()
    result = import_content(exported(module, (ids, mask)), "model.pt2", engine="onnx")
    assert result.signature.inputs == (
        TensorSpec("ids", "INT64", (-1, -1)),
        TensorSpec("mask", "INT64", (-1, -1)),
    )
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 5e-2}[dtype]
    for length in (7, 4):
        given = {"ids": ids[:, :length].numpy(), "mask": mask[:, :length].numpy()}
        expected = answers(module, ids[:, :length], mask[:, :length]).float()
        np.testing.assert_allclose(ask(result, given)["output"], expected, atol=tolerance)


def test_half_precision_that_crashes_at_full_optimisation_is_served_with_less(
    import_content: Import, ask: Ask
) -> None:
    module, (ids, mask) = made(NormFirst, torch.float16), token_ids()
    result = import_content(exported(module, (ids, mask)), "model.pt2", engine="onnx")
    tried = [(step["optimization"], step["outcome"]) for step in result.report["tried"]]
    assert tried == [("all", "crashed (SIGSEGV)"), ("extended", "ok")]
    assert result.options == {"optimization": "extended"}
    found = ask(result, {"ids": ids.numpy(), "mask": mask.numpy()})["output"]
    np.testing.assert_allclose(found, answers(module, ids, mask), atol=5e-3)


def test_half_precision_comes_and_goes_as_such(import_content: Import, ask: Ask) -> None:
    module = made(Classifier, torch.float16)
    result = imported(import_content, module, torch.randn(4, 8, dtype=torch.float16))
    assert result.signature.inputs[0].datatype == "FP16"
    halves = ROWS.astype(np.float16)
    expected = answers(module, torch.as_tensor(halves))["probabilities"]
    np.testing.assert_allclose(
        ask(result, {"features": halves})["probabilities"], expected, atol=2e-3
    )


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_bfloat16_comes_and_goes_as_such(import_content: Import, ask: Ask, engine: str) -> None:
    """With batch normalization, whose exported graph is not valid in bfloat16."""
    module = made(Normalized, torch.bfloat16)
    example = torch.randn(4, 8, dtype=torch.bfloat16)
    result = imported(import_content, module, example, engine=engine)
    assert result.runtime == engine
    assert result.signature.inputs[0].datatype == "BF16"
    assert result.signature.outputs[0].datatype == "BF16"
    assert "bfloat16" in result.report["notes"][0]
    given = ROWS.astype(BFLOAT16)
    expected = answers(module, torch.as_tensor(ROWS).bfloat16()).float()
    found = ask(result, {"x": given})["output"]
    assert found.dtype == BFLOAT16
    np.testing.assert_allclose(found.astype(np.float32), expected, atol=5e-2)


def test_a_version_of_old_goes_on_answering_bfloat16_as_float32(
    import_content: Import, ask: Ask
) -> None:
    module = made(Normalized, torch.bfloat16)
    example = torch.randn(4, 8, dtype=torch.bfloat16)
    result = imported(import_content, module, example, engine="torch")
    old = TorchModel(result.servable, {}).run({"x": ROWS})[0]
    assert old.dtype == np.float32
    new = ask(result, {"x": ROWS.astype(BFLOAT16)})["output"]
    np.testing.assert_array_equal(old, new.astype(np.float32))
    with pytest.raises(InvalidArgument, match="takes no options but"):
        TorchModel(result.servable, {"bfloat16": "no"})


def test_a_decision_by_value_is_refused_in_python_and_served_as_an_operator(
    import_content: Import, ask: Ask
) -> None:
    with pytest.raises(Unprocessable, match=r"cannot export this Branching.*torch\.where"):
        package(made(Branching), example_inputs=torch.randn(3, 4))
    result = imported(import_content, made(ByRow), torch.randn(3, 4))
    np.testing.assert_allclose(
        ask(result, {"x": ROWS[:, :4]})["output"],
        answers(ByRow(), torch.as_tensor(ROWS[:, :4])),
        atol=1e-6,
    )


def test_rows_that_depend_on_their_neighbours_are_not_batched(
    import_content: Import, ask: Ask
) -> None:
    result = imported(import_content, made(Centering), torch.randn(3, 4))
    assert not result.signature.batched
    found = ask(result, {"x": ROWS[:5, :4]})["output"]
    np.testing.assert_allclose(found, ROWS[:5, :4] - ROWS[:5, :4].mean(0), atol=1e-5)


def test_a_program_of_one_fixed_shape_is_not_batched(import_content: Import) -> None:
    content = exported(made(Classifier), (torch.randn(1, 8),), dynamic=False)
    result = import_content(content, "model.pt2", engine="onnx")
    assert result.signature.inputs[0].shape == (1, 8)
    assert not result.signature.batched


def test_nested_arguments_become_inputs_of_joined_names(import_content: Import) -> None:
    class Pair(torch.nn.Module):  # type: ignore[misc]
        def forward(self, batch: dict[str, Any], scale: Any) -> Any:
            return batch["left"] * scale, (batch["right"] + 1).sum(-1)

    inputs = ({"left": torch.randn(2, 3), "right": torch.randn(2, 4)}, torch.randn(2, 1))
    result = imported(import_content, Pair(), inputs)
    names = [spec.name for spec in (*result.signature.inputs, *result.signature.outputs)]
    assert names == ["batch_left", "batch_right", "scale", "output", "output_1"]


def test_the_framework_itself_serves_where_it_is_asked_for(native: ImportResult, ask: Ask) -> None:
    assert native.runtime == "torch"
    found = ask(native, {"features": ROWS})["probabilities"]
    expected = answers(made(Classifier), torch.as_tensor(ROWS))["probabilities"]
    np.testing.assert_array_equal(found, expected)


def test_what_onnx_has_no_operator_for_is_served_by_pytorch(import_content: Import) -> None:
    class Gamma(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return torch.special.gammaincc(x.abs() + 1, x.abs() + 1)

    result = imported(import_content, Gamma(), torch.randn(3, 4))
    assert result.runtime == "torch"
    assert result.report["engines"]["onnx"]["outcome"].startswith("unsupported")


def test_a_model_runs_in_several_threads_at_once(native: ImportResult) -> None:
    from concurrent.futures import ThreadPoolExecutor

    model = load(native.runtime, native.servable, native.options)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: model.run({"features": ROWS})[0], range(16)))
    for one in found:
        np.testing.assert_array_equal(one, found[0])
