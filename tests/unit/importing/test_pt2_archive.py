"""What may be in an exported program: everything that would run code is refused unread."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from augurium.core.errors import Unprocessable
from augurium.runtimes.pt2_archive import rewrite
from augurium.runtimes.torch import TorchModel
from tests.support.torch_models import Classifier, exported, made, tampered

WEIGHTS = "data/weights/model_weights_config.json"


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


@pytest.fixture(scope="module")
def content() -> bytes:
    return exported(made(Classifier), (torch.randn(4, 8),))


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[[bytes], Path]:
    def run(content: bytes) -> Path:
        (tmp_path / "source").write_bytes(content)
        rewrite(tmp_path / "source", tmp_path / "target")
        return tmp_path / "target"

    return run


def pickled_tensor(canary: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Touch(canary),), buffer)
    return buffer.getvalue()


def test_what_was_checked_is_loaded_and_answers(
    rewritten: Callable[[bytes], Path], content: bytes
) -> None:
    model = TorchModel(rewritten(content), {})
    rows = torch.randn(5, 8)
    with torch.inference_mode():
        expected = made(Classifier)(rows)["probabilities"]
    assert torch.equal(torch.as_tensor(model.run({"features": rows.numpy()})[0]), expected)


def test_notes_of_the_machine_that_exported_are_dropped(
    rewritten: Callable[[bytes], Path], content: bytes
) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as before:
        (program,) = [name for name in before.namelist() if name.endswith("models/model.json")]
        assert b"torch_models.py" in before.read(program)
    with zipfile.ZipFile(rewritten(content)) as after:
        assert b"torch_models.py" not in after.read("model/models/model.json")


def test_a_pickle_among_the_sample_inputs_never_runs(
    rewritten: Callable[[bytes], Path], content: bytes, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    forged = tampered(content, member="sample_inputs/model.pt", replace=pickled_tensor(canary))
    with pytest.raises(Unprocessable, match=r"sample inputs that are not plain tensors.*run code"):
        rewritten(forged)
    assert not canary.exists()


def with_shape(text: str) -> Callable[[Any], None]:
    def edit(program: Any) -> None:
        sizes = program["graph_module"]["graph"]["tensor_values"]["features"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = text

    return edit


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {canary}')",
        "().__class__.__mro__",
        "open('{canary}', 'w')",
        "Symbol('s0').func",
        "s0 + " * 2000 + "1",
    ],
)
def test_a_shape_that_is_a_program_is_never_evaluated(
    rewritten: Callable[[bytes], Path], content: bytes, tmp_path: Path, text: str
) -> None:
    canary = tmp_path / "canary"
    forged = tampered(content, edit=with_shape(text.replace("{canary}", str(canary))))
    with pytest.raises(Unprocessable, match="the symbolic shape"):
        rewritten(forged)
    assert not canary.exists()


@pytest.mark.parametrize(
    "operator",
    [
        "torch.serialization.os.system",
        "torch.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.__class__.mro",
        "torch.ops.load_library",
        "torch.ops.custom.op.default",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "math.__loader__.load_module",
        "#extension:op",
        "builtins.eval",
    ],
)
def test_operators_that_are_none_are_refused(
    rewritten: Callable[[bytes], Path], content: bytes, operator: str
) -> None:
    def edit(program: Any) -> None:
        program["graph_module"]["graph"]["nodes"][0]["target"] = operator

    with pytest.raises(Unprocessable, match=r"the operator '.*never loaded"):
        rewritten(tampered(content, edit=edit))


def test_an_operator_as_an_argument_is_refused(
    rewritten: Callable[[bytes], Path], content: bytes
) -> None:
    def edit(program: Any) -> None:
        argument = {"as_operator": "torch.serialization.os.system"}
        program["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = argument

    with pytest.raises(Unprocessable, match=r"the operator 'torch.serialization"):
        rewritten(tampered(content, edit=edit))


def test_a_name_that_would_become_source_code_is_refused(
    rewritten: Callable[[bytes], Path], content: bytes
) -> None:
    def edit(program: Any) -> None:
        code = "x=__import__('os').system('true')"
        program["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = code

    with pytest.raises(Unprocessable, match=r"the name .x=__import__"):
        rewritten(tampered(content, edit=edit))


def test_guards_are_not_compiled(rewritten: Callable[[bytes], Path], content: bytes) -> None:
    def edit(program: Any) -> None:
        program["guards_code"] = ["__import__('os').system('true')"]

    with zipfile.ZipFile(rewritten(tampered(content, edit=edit))) as archive:
        assert b"__import__" not in archive.read("model/models/model.json")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ('[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]', "as '"),
        ('[1, {"type": "builtins.dict", "context": "[{}]", "children_spec": []}]', "not names"),
        ("[1, ", "damaged"),
    ],
)
def test_inputs_and_outputs_are_plain_containers(
    rewritten: Callable[[bytes], Path], content: bytes, spec: str, says: str
) -> None:
    def edit(program: Any) -> None:
        program["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = spec

    with pytest.raises(Unprocessable, match=says):
        rewritten(tampered(content, edit=edit))


@pytest.mark.parametrize(
    "payload", [{"use_pickle": True}, {"path_name": "custom_obj_0"}, {"path_name": "../weight_0"}]
)
def test_weights_as_pickles_never_run(
    rewritten: Callable[[bytes], Path], content: bytes, payload: dict[str, Any]
) -> None:
    def edit(config: Any) -> None:
        next(iter(config["config"].values())).update(payload)

    with pytest.raises(Unprocessable, match="as pickles or custom objects"):
        rewritten(tampered(content, member=WEIGHTS, edit=edit))


@pytest.mark.parametrize(
    "member",
    [
        "data/aotinductor/model/code.so",
        "data/constants/custom_obj_0",
        "data/constants/opaque_obj_0",
        "data/weights/model.pt",
        "models/other.json",
    ],
)
def test_parts_that_are_no_plain_program_are_refused(
    rewritten: Callable[[bytes], Path], content: bytes, member: str
) -> None:
    with pytest.raises(Unprocessable, match="not part of a plain exported program"):
        rewritten(tampered(content, add={member: pickle.dumps(1)}))


@pytest.mark.parametrize("member", ["models/model.json", WEIGHTS, "sample_inputs/model.pt"])
def test_damaged_parts_are_refused(
    rewritten: Callable[[bytes], Path], content: bytes, member: str
) -> None:
    with pytest.raises(Unprocessable):
        rewritten(tampered(content, member=member, replace=b"{"))


def test_a_layout_of_older_versions_says_what_to_do(
    rewritten: Callable[[bytes], Path],
) -> None:
    old = io.BytesIO()
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    with pytest.raises(Unprocessable, match=r"save it again.*PyTorch 2\.9 or later"):
        rewritten(old.getvalue())
