"""Arrow where pyarrow is not installed: refused with what to do, and all else as ever."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

# in a process of its own: pyarrow and what imports it stay loaded for as long as one lives
SCRIPT = """
import sys
sys.modules["pyarrow"] = None

import asyncio, json
from pathlib import Path
import onnx
from onnx import TensorProto, helper
from augurium.core.settings import LimitSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.http import HttpRequest
from augurium.protocols.rest import RestApi
from augurium.serving.snapshot import BatchingPolicy
from tests.support.planes import plane_of

ARROW = "application/vnd.apache.arrow.stream"
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
file = Path(sys.argv[1])
onnx.save(model, file)
specs = [(TensorSpec(name, "FP32", (-1,)),) for name in "xy"]


async def ask(api, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest("POST", "/v1/models/same:predict", headers.get, body)
    answer = await api.handle(request)
    return answer.status, json.loads(answer.body)


async def main():
    plane = plane_of({"same": (file, Signature(*specs))}, BatchingPolicy())
    api = RestApi(plane, LimitSettings())
    rows = json.dumps({"instances": [1.5]}).encode()
    found = [
        await ask(api, b"any", content_type=ARROW),
        await ask(api, rows, content_type="application/json", accept=ARROW),
        await ask(api, rows, content_type="application/json"),
    ]
    print(json.dumps(found))


asyncio.run(main())
"""


def test_arrow_is_refused_with_what_to_install_and_json_is_answered(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "same.onnx")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    sent, wanted, plain = json.loads(done.stdout)

    for status, body in (sent, wanted):
        assert status == 415
        assert "pip install 'augurium[tables]'" in body["error"]
    assert plain[0] == 200
    assert plain[1]["predictions"] == [1.5]
