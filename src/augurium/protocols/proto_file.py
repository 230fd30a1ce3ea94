"""The protobuf file of the gRPC service, as callers generate their code from it."""

import re
from functools import cache
from importlib.resources import files

from augurium.protocols.oip import GRPC_SERVICE

_SOURCE = "proto/inference.proto"
_HEAD = """\
// The gRPC service of the Open Inference Protocol with Triton's extensions, as this server has it.
// Names and numbers are those of the public protocol: code generated from other copies of it works
// as well. One Python process can hold one definition of this package only: beside `tritonclient`,
// use the messages that it brings.
"""


@cache
def proto_text() -> str:
    """The file under the package by which callers know the service.

    Ours has another one, so that our messages and those of a published client can live in one
    process; the package of a message is not on the wire, that of a service is.
    """
    source = files("augurium.protocols").joinpath(_SOURCE).read_text("utf-8")
    package = GRPC_SERVICE.rpartition(".")[0]
    definition = source[source.index("syntax = ") :]
    return _HEAD + re.sub(r"^package [\w.]+;$", f"package {package};", definition, flags=re.M)
