"""What REST and gRPC share of the Open Inference Protocol: metadata, deadlines, and the wording of
errors.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from augurium import __version__
from augurium.core.errors import (
    AuguriumError,
    InvalidArgument,
    NotReady,
    Overloaded,
    reworded,
)
from augurium.core.identifiers import ModelRef
from augurium.core.inference import InferenceRequest, InferenceResponse
from augurium.core.priority import Priority, priority_of_level
from augurium.core.tensors import TensorSpec
from augurium.protocols import classification
from augurium.serving.node_control import NodeControl
from augurium.serving.plane import DataPlane

SERVER_NAME = "augurium"
GRPC_SERVICE = "inference.GRPCInferenceService"
EXTENSIONS = (
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "classification",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "logging",
)
PLATFORMS = {"onnx": "onnxruntime_onnx"}
MAX_OUTPUTS = 1024
RESERVED_PARAMETER_PREFIX = "triton_"
# said to the server, not to the model
PRIORITY = "priority"
SERVER_PARAMETERS = frozenset({"timeout", "binary_data_output", PRIORITY})


class ModelMetadata(NamedTuple):
    """What a model says of itself; `versions` are those deployed."""

    name: str
    versions: list[str]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def server_version() -> str:
    """The version of this package."""
    return __version__


def platform(runtime: str) -> str:
    """A runtime by the name that clients know it under."""
    return PLATFORMS.get(runtime, runtime)


def linked(control: NodeControl | None) -> NodeControl:
    """Raises NotReady where nobody can be asked about the node."""
    if control is None:
        raise NotReady("this engine has no link to its node, so it cannot answer this")
    return control


def model_metadata(plane: DataPlane, model: ModelRef) -> ModelMetadata:
    """Raises NotFound for unknown models and NotReady for those that cannot answer."""
    version = plane.version(model)
    routes = plane.routes(model.name)
    return ModelMetadata(
        model.name,
        [str(number) for number in sorted({*routes.ready, *routes.unready})],
        platform(version.desired.runtime),
        version.signature.inputs,
        version.signature.outputs,
    )


async def infer(plane: DataPlane, request: InferenceRequest) -> InferenceResponse:
    """Answers a request, with the request's id in front of what is said about its inputs.

    The prefix is Triton's, whose tests and users look for it; unknown models are told without it.
    """
    try:
        return await plane.infer(request)
    except (InvalidArgument, Overloaded) as error:
        raise _with_id(error, request.id) from error


async def stream(
    plane: DataPlane, request: InferenceRequest
) -> AsyncGenerator[InferenceResponse, None]:
    """As `infer`, one answer after another."""
    try:
        async with aclosing(plane.stream(request)) as responses:
            async for response in responses:
                yield response
    except (InvalidArgument, Overloaded) as error:
        raise _with_id(error, request.id) from error


def _with_id(error: AuguriumError, request_id: str) -> AuguriumError:
    return reworded(error, f"[request id: {request_id or '<id_unknown>'}] {error}")


def check_classes(plane: DataPlane, model: ModelRef, counts: Mapping[str, int]) -> None:
    """Raises InvalidArgument for outputs that cannot be wanted as classes, and what
    `DataPlane.asked` raises.
    """
    for spec in plane.asked(model).signature.outputs if counts else ():
        if spec.name in counts:
            classification.check(spec)


def check_parameters(parameters: dict[str, Any]) -> None:
    """Raises InvalidArgument for parameters that the protocol reserves."""
    for name in parameters:
        if name.startswith(RESERVED_PARAMETER_PREFIX):
            raise InvalidArgument(
                f"parameter '{name[:64]}' is reserved; choose a name without 'triton_'"
            )


def model_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Those that a model may be told: clients send the others whether it asks for any or not."""
    if SERVER_PARAMETERS.isdisjoint(parameters):
        return parameters
    return {name: value for name, value in parameters.items() if name not in SERVER_PARAMETERS}


def shorter_timeout_s(given_s: float | None, parameters: dict[str, Any]) -> float | None:
    """The shorter of a caller's two timeouts, that of the call and that of the parameters."""
    own_s = timeout_s(parameters)
    if given_s is None or own_s is None:
        return own_s if given_s is None else given_s
    return min(given_s, own_s)


def priority_in(parameters: dict[str, Any], said: Priority) -> Priority:
    """What the `priority` parameter means, `said` where it is absent or leaves it to the server.

    Raises InvalidArgument.
    """
    if PRIORITY not in parameters:
        return said
    found = priority_of_level(parameters[PRIORITY])
    return said if found is None else found


def timeout_s(parameters: dict[str, Any]) -> float | None:
    """The `timeout` parameter, which is in microseconds, as seconds; None when absent or 0."""
    timeout_us = parameters.get("timeout")
    if timeout_us is None:
        return None
    if isinstance(timeout_us, bool) or not isinstance(timeout_us, int) or timeout_us < 0:
        raise InvalidArgument("parameter 'timeout' must be a number of microseconds, 0 or more")
    return timeout_us / 1_000_000 or None
