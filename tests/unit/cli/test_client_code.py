"""Programs for a model: whatever a feature is called and a row says, what is sent is just that."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from augurium.cli import client_code_curl, client_code_go, client_code_javascript
from augurium.cli import client_code_python as client_code_of_python
from augurium.cli.client_code_call import ExampleCall, example_call, json_text
from augurium.core.errors import Unprocessable
from augurium.core.identifiers import ModelRef

NASTY = {
    "it's": "$HOME `id` $(id)",
    'a "quote"': "back\\slash\nnew line\ttab",
    "JSON": "JSON\nJSON",
    "__proto__": 1,
    "</script><!--": "</script>",
    "größe ☃ 😀": None,
    "line\u2028separator": "\ufeffhidden\u202e",
    "nothing\x00here": "{url} {body} %s ${x}",
    "number": 0.1,
    "whole": -3,
    "flag": True,
}
ROWS = ExampleCall(
    ModelRef("m"), "http://127.0.0.1:8080", "http://127.0.0.1:8000/x", {"instances": [NASTY]}
)
STREAM = ROWS._replace(body=NASTY, streamed=True)
LARGE = ROWS._replace(body={"instances": [{"id": 2**60 + 1}]})


def between(text: str, before: str, after: str) -> str:
    return text.split(before, 1)[1].rsplit(after, 1)[0]


def sent_by_curl(script: str, folder: Path) -> tuple[list[str], bytes]:
    """The arguments and the input that a script gives to curl."""
    fake = folder / "curl"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > arguments\ncat > body\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "AUGURIUM_KEY": "a key $HOME"}
    subprocess.run(["sh", "-c", script], cwd=folder, env=environment, check=True)
    return (folder / "arguments").read_text().splitlines(), (folder / "body").read_bytes()


def run_by_node(program: str) -> Any:
    """What a program of JavaScript gives to `fetch`."""
    fetch = """
      globalThis.fetch = async (url, options) => {
        console.log(JSON.stringify({ url, ...options }));
        process.exit(0);
      };
    """
    done = subprocess.run(
        ["node", "-e", fetch + program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("call", [ROWS, STREAM, LARGE], ids=["rows", "stream", "large"])
def test_curl_sends_the_example(call: ExampleCall, tmp_path: Path) -> None:
    arguments, body = sent_by_curl(client_code_curl.program(call), tmp_path)

    assert json.loads(body) == call.body
    assert arguments[-1] == call.url
    assert "Authorization: Bearer a key $HOME" in arguments
    assert ("--no-buffer" in arguments) is call.streamed


@pytest.mark.parametrize("call", [ROWS, STREAM, LARGE], ids=["rows", "stream", "large"])
def test_javascript_sends_the_example(call: ExampleCall) -> None:
    program = client_code_javascript.program(call)
    sent = run_by_node(program)

    assert json.loads(sent["body"]) == call.body
    assert sent["url"] == call.url
    assert sent["method"] == "POST"
    assert "</script" not in program
    assert "<!--" not in program


@pytest.mark.parametrize("call", [ROWS, STREAM, LARGE], ids=["rows", "stream", "large"])
def test_go_sends_the_example(call: ExampleCall) -> None:
    program = client_code_go.program(call)
    # a raw string ends at the next of these, whatever stands before it
    body = between(program, "const body = `", "`\n\nfunc main")

    assert "`" not in body
    assert json.loads(body) == call.body
    assert json.loads(between(program, "const url = ", "\n\nconst body")) == call.url
    imported = re.findall(r'^\t"([\w/]+)"$', program, re.MULTILINE)
    for package in imported:
        assert f"{package.rpartition('/')[2]}." in program.split(")\n", 1)[1], package
    for used in set(re.findall(r"\b([a-z]+)\.[A-Z]", program.split("`\n\nfunc", 1)[1])):
        assert used in {package.rpartition("/")[2] for package in imported} | {
            "request",
            "answer",
            "lines",
        }


@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("call", [ROWS, STREAM, LARGE], ids=["rows", "stream", "large"])
def test_python_holds_the_example(call: ExampleCall, transport: str) -> None:
    tree = ast.parse(client_code_of_python.program(call, transport))
    (assigned,) = [node for node in tree.body if isinstance(node, ast.Assign)]

    expected = call.body if call.streamed else call.body["instances"]
    assert ast.literal_eval(assigned.value) == expected
    assert ("grpc" in ast.unparse(tree)) is (transport == "grpc")


def test_python_asks_for_the_version_that_was_named() -> None:
    number = client_code_of_python.program(ROWS._replace(model=ModelRef("m", 3)), "rest")
    alias = client_code_of_python.program(ROWS._replace(model=ModelRef("m", None, "live")), "rest")

    assert 'client.predict("m", ROWS, version=3)' in number
    assert 'client.predict("m", ROWS, alias="live")' in alias


def test_python_sends_whole_tensors_as_arrays() -> None:
    tensors = [{"name": "it's", "shape": [2, 2], "datatype": "FP32", "data": [0.5, 1, 2, None]}]
    call = ROWS._replace(body={"inputs": {}}, tensors=tuple(tensors))
    program = client_code_of_python.program(call, "rest")
    made = program.split("with Client")[0] + "\nprint(INPUTS)"
    done = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=False)

    assert "it's" in done.stdout, done.stderr
    assert "nan" in done.stdout


def test_nothing_hides_in_a_program() -> None:
    for program in (
        client_code_curl.program(ROWS),
        client_code_javascript.program(ROWS),
        client_code_go.program(ROWS),
        client_code_of_python.program(ROWS, "rest"),
    ):
        hidden = [letter for letter in program if not letter.isprintable()]
        assert set(hidden) <= {"\n", "\t"}
        assert "größe ☃ 😀" in program


def test_json_is_what_it_was() -> None:
    assert json.loads(json_text(NASTY)) == NASTY
    assert json.loads(json_text(NASTY, indent=None)) == NASTY


def test_an_address_with_marks_of_the_shell_stays_one_word(tmp_path: Path) -> None:
    call = ROWS._replace(url="http://[::1]:8000/v1/models/m@live:predict;id'")
    arguments, _ = sent_by_curl(client_code_curl.program(call), tmp_path)

    assert arguments[-1] == call.url
    assert shlex.quote(call.url) in client_code_curl.program(call)


def test_a_model_without_an_example_is_refused() -> None:
    with pytest.raises(Unprocessable, match="too many values in a row"):
        example_call(ModelRef("m"), {"paths": {}}, "http://a", "http://b")
