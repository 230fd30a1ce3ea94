"""The program in Python, with the client of this package."""

import pprint
from typing import Any

from augurium.cli.client_code_call import ExampleCall

WIDTH = 88
DTYPES = {
    "BOOL": "bool",
    "FP16": "float16",
    "BF16": "bfloat16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
_HEAD = '''\
"""Asks the model {model}. Needs: pip install augurium

A key, where the server asks for one, is taken from AUGURIUM_KEY.
"""

{imports}
{name} = {value}

with {client} as client:
'''


def program(call: ExampleCall, transport: str) -> str:
    """The program's text."""
    if call.streamed:
        name, value = "INPUTS", _literal(call.body)
        then = (
            f"    for answer in client.stream({_asked(call, name)}):\n"
            "        print(answer.outputs)\n"
        )
    elif call.tensors:
        name, value = "INPUTS", _arrays(call)
        then = f"    print(client.infer({_asked(call, name)}).outputs)\n"
    else:
        name, value = "ROWS", _literal(call.body["instances"])
        then = f"    print(client.predict({_asked(call, name)}).predictions)\n"
    numpy = "import numpy as np\n" if call.tensors else ""
    head = _HEAD.format(
        model=call.model,
        imports=f"{numpy}from augurium import Client\n",
        name=name,
        value=value,
        client=_client(call, transport),
    )
    return head + then


def _client(call: ExampleCall, transport: str) -> str:
    carried = ', transport="grpc"' if transport == "grpc" else ""
    return f"Client({_quoted(call.management_url)}{carried})"


def _asked(call: ExampleCall, name: str) -> str:
    """The arguments of a call."""
    model = call.model
    which = ""
    if model.version is not None:
        which = f", version={model.version}"
    elif model.alias is not None:
        which = f", alias={_quoted(model.alias)}"
    return f"{_quoted(model.name)}, {name}{which}"


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=WIDTH, sort_dicts=False, compact=True)


def _arrays(call: ExampleCall) -> str:
    lines = [
        f"    {tensor['name']!r}: np.array({_literal(tensor['data'])},"
        f" dtype={_quoted(_dtype(tensor['datatype']))}).reshape({tensor['shape']}),\n"
        for tensor in call.tensors
    ]
    return "{\n" + "".join(lines) + "}"


def _dtype(datatype: str) -> str:
    return DTYPES.get(datatype, datatype.lower())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
