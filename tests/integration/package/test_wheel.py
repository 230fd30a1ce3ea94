"""The wheel in an environment that has nothing else: it installs, registers and serves."""

import json
import os
import select
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.support.models import simple_model

READY_WITHIN_S = 60
ROOT = Path(__file__).parents[3]
FRAMEWORKS = ("sklearn", "xgboost", "pandas", "torch", "tensorflow", "lightgbm")
ONES = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("augurium-*.whl")
    venv.create(folder / "env", with_pip=True)
    binaries = folder / "env" / "bin"
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet"]
    constraints = str(ROOT / "constraints.txt")
    subprocess.run([*install, "--constraint", constraints, str(wheel)], check=True)
    return binaries


def test_the_wheel_brings_no_framework(environment: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {FRAMEWORKS!r} if u.find_spec(n)])"
    found = subprocess.run(
        [str(environment / "python"), "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_wheel_registers_and_serves_from_an_empty_folder(
    environment: Path, tmp_path: Path
) -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("AUGURIUM_")}
    (tmp_path / "simple.onnx").write_bytes(simple_model())
    command = [str(environment / "augurium"), "serve", "--engines", "1"]
    command += ["--port", "0", "--grpc-port", "0", "--control-port", "0"]
    node = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=plain)
    try:
        assert node.stdout
        assert select.select([node.stdout], [], [], READY_WITHIN_S)[0], "it was never ready"
        line = node.stdout.readline()
        words = line.replace(",", "").split()
        register = ["register", "simple.onnx", "--name", "simple", "--deploy", "--json"]
        done = subprocess.run(
            [str(environment / "augurium"), *register],
            cwd=tmp_path,
            env={**plain, "AUGURIUM_URL": words[words.index("management") + 1]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["version"] == 1
        request = urllib.request.Request(
            f"{words[words.index('REST') + 1]}/v2/models/simple/infer",
            json.dumps({"inputs": [{"name": f"INPUT{i}", **ONES} for i in range(2)]}).encode(),
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["outputs"][0]["data"] == [2] * 16
    finally:
        node.terminate()
        assert node.wait(60) == 0
        if node.stdout:
            node.stdout.close()
