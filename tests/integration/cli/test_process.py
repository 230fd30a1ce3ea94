"""The command line as a process of its own."""

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Answer = Callable[..., None]
URLS = ("rest_url", "grpc_url", "control_url")
COMMAND = [sys.executable, "-m", "augurium.cli"]


def run(
    *arguments: str, url: str = "", standard_input: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "AUGURIUM_URL": url, "COLUMNS": "200"},
    )


def test_no_server_exits_3_and_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    result = run("models", "--json", url=url)

    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == (
        f"Error: no Augurium server answers at {url}; start one with `augurium serve`\n"
    )


def test_bad_usage_exits_2() -> None:
    result = run("modles")

    assert (result.returncode, result.stdout) == (2, "")
    assert "models" in result.stderr


def test_a_pipe_can_be_predicted(server_url: str, answer: Answer) -> None:
    answer("GET /api/v1/server", dict.fromkeys(URLS, server_url) | {"version": "0.1.0"})
    answer("POST /v1/models/churn:predict", {"predictions": [0.5]})

    result = run(
        *("predict", "churn", "--input", "-", "--json"), url=server_url, standard_input="a\n1\n"
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == '{"predictions":[0.5]}\n'


@pytest.mark.usefixtures("registering")
def test_progress_is_shown_on_a_terminal_and_apart_from_the_output(
    server_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "churn.ubj"
    file.write_bytes(b"model")
    terminal, standard_error = pty.openpty()
    try:
        result = subprocess.run(
            [*COMMAND, "register", str(file), "--name", "churn"],
            stdout=subprocess.PIPE,
            stderr=standard_error,
            text=True,
            timeout=60,
            env={**os.environ, "AUGURIUM_URL": server_url, "TERM": "xterm"},
        )
        shown = os.read(terminal, 65536).decode()
    finally:
        os.close(terminal)
        os.close(standard_error)

    assert "checking parity" in shown
    assert "churn@2" in result.stdout
    assert "checking" not in result.stdout


def test_an_interrupt_exits_130(
    server_url: str, answer: Answer, import_body: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "churn.ubj"
    file.write_bytes(b"model")
    asked = threading.Event()

    def never_done(request: httpx.Request) -> httpx.Response:
        asked.set()
        return httpx.Response(200, json=import_body)

    answer("POST /api/v1/artifacts", {"digest": "d", "size_bytes": 5}, 201)
    answer("POST /api/v1/models/churn/imports", import_body, 202)
    answer("GET /api/v1/imports/i1", never_done)
    process = subprocess.Popen(
        [*COMMAND, "register", str(file), "--name", "churn"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AUGURIUM_URL": server_url},
    )
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout, stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"httpx", "numpy", "onnxruntime", "sqlalchemy", "fastapi"}),
        (["serve", "--print-settings"], {"httpx", "numpy", "sqlalchemy", "fastapi"}),
        (["models"], {"onnxruntime", "sqlalchemy", "fastapi", "uvicorn"}),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], absent: set[str]) -> None:
    code = (
        "import sys\n"
        "from augurium.cli.app import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "AUGURIUM_URL": "http://127.0.0.1:9"},
    )

    loaded = set(result.stderr.split())
    assert "typer" in loaded
    assert not loaded & absent
