"""What is asked in which order when features have to become tensors; nothing is sent here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from augurium.client import results
from augurium.client.call import Answer, Call
from augurium.client.grpc_calls import GrpcCalls
from augurium.client.instances import sendable
from augurium.client.prediction_call import CallOptions
from augurium.client.prediction_steps import PredictionSteps
from augurium.client.signatures import Look, Signatures
from augurium.client.tensor_codec import blob_of_array
from augurium.core.errors import AuguriumError, InvalidArgument, NotFound
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.protocols.generated import inference_pb2 as pb

ROWS = [{"age": 31.0, "city_size": 7.0}]


class Server:
    """A model with versions: each knows the order of its two features, and answers with them."""

    def __init__(self, **orders: tuple[str, ...]) -> None:
        self.orders = {int(name[1:]): order for name, order in orders.items()}
        self.default = 1
        self.seen: list[str] = []

    def run(self, signatures: Signatures, options: CallOptions) -> Any:
        steps = PredictionSteps(GrpcCalls(), signatures, "m", sendable(ROWS), options).steps()
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._answer(step)
                except AuguriumError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, step: Any) -> Any:
        if isinstance(step, Look):
            self.seen.append("/".join(map(str, step.segments)))
            return self._looked(step)
        return self._predicted(step)

    def _looked(self, look: Look) -> Any:
        if look.result is results.Model:
            created = datetime(2026, 1, 1, tzinfo=UTC)
            aliases = {"best": self.default}
            return results.Model(
                name="m", created_at=created, default_version=self.default, aliases=aliases
            )
        artifact = results.Artifact("0" * 64, 1)
        spec = TensorSpec("x", "FP32", (-1, 2), self.orders[int(str(look.segments[-1]))])
        return results.Version(
            model="m",
            version=1,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            framework="f",
            framework_version="1",
            runtime="onnx",
            source=artifact,
            source_name="m",
            servable=artifact,
            signature=Signature((spec,), (spec,)),
        )

    def _predicted(self, call: Call[Any]) -> Any:
        message = pb.ModelInferRequest.FromString(call.content)
        version = int(message.model_version or self.default)
        self.seen.append(f"infer {message.model_name} {message.model_version}".strip())
        if version not in self.orders:
            raise NotFound(f"version {version} is not there")
        (values,) = np.frombuffer(message.raw_input_contents[0], "<f4").reshape(-1, 2)
        if "needs_third" in self.orders[version]:
            raise InvalidArgument("expected three features")
        named = dict(zip(self.orders[version], values, strict=True))
        answer = pb.ModelInferResponse(model_name="m", model_version=str(version))
        for name, value in named.items():
            datatype, shape, blob = blob_of_array(name, np.array([value]))
            answer.outputs.add(name=name, datatype=datatype, shape=shape)
            answer.raw_output_contents.append(blob)
        return call.read(Answer(answer.SerializeToString(), {}))


FORWARD, BACKWARD = ("age", "city_size"), ("city_size", "age")


@pytest.fixture
def signatures() -> Signatures:
    return Signatures()


@pytest.mark.parametrize(
    ("options", "looked", "asked"),
    [
        (CallOptions(), ["models/m", "models/m/versions/1"], "infer m"),
        (CallOptions(alias="best"), ["models/m", "models/m/versions/1"], "infer m@best"),
        (CallOptions(version=1), ["models/m/versions/1"], "infer m 1"),
    ],
    ids=["default", "alias", "version"],
)
def test_a_signature_is_looked_up_once(
    signatures: Signatures, options: CallOptions, looked: list[str], asked: str
) -> None:
    server = Server(v1=FORWARD)

    for _ in range(2):
        assert server.run(signatures, options).predictions == ROWS

    assert server.seen == [*looked, asked, asked]


def test_a_version_with_other_features_is_asked_anew(signatures: Signatures) -> None:
    server = Server(v1=FORWARD, v2=BACKWARD)
    server.run(signatures, CallOptions())
    server.default, server.seen = 2, []

    found = server.run(signatures, CallOptions())

    assert (found.predictions, found.version) == (ROWS, 2)
    assert server.seen == ["infer m", "models/m/versions/2", "infer m 2"]
    server.seen = []
    assert server.run(signatures, CallOptions()).predictions == ROWS
    assert server.seen == ["infer m"]


def test_a_version_with_the_same_features_is_not(signatures: Signatures) -> None:
    server = Server(v1=FORWARD, v2=FORWARD)
    server.run(signatures, CallOptions())
    server.default, server.seen = 2, []

    assert server.run(signatures, CallOptions()).version == 2
    assert server.seen == ["infer m", "models/m/versions/2"]


@pytest.mark.parametrize("gone", [False, True], ids=["refused", "gone"])
def test_a_refusal_has_the_version_looked_up_again(signatures: Signatures, gone: bool) -> None:
    server = Server(v1=FORWARD, v2=("age", "needs_third"), v3=BACKWARD)
    server.run(signatures, CallOptions())
    server.default = 2
    if gone:
        del server.orders[1], server.orders[2]
        server.default = 9
    moved: Callable[[str], bool] = lambda seen: seen == "models/m"  # noqa: E731
    server.seen = Moving(server, moved)

    assert server.run(signatures, CallOptions()).predictions == ROWS


class Moving(list[str]):
    """Has the default move on to version 3 as soon as somebody looks."""

    def __init__(self, server: Server, at: Callable[[str], bool]) -> None:
        super().__init__()
        self._server = server
        self._at = at

    def append(self, seen: str) -> None:
        super().append(seen)
        if self._at(seen):
            self._server.default = 3


def test_a_refusal_that_stays_is_raised(signatures: Signatures) -> None:
    server = Server(v1=("age", "needs_third"))
    with pytest.raises(InvalidArgument, match="unknown features"):
        server.run(signatures, CallOptions())
    del server.orders[1]
    with pytest.raises((InvalidArgument, NotFound, KeyError)):
        server.run(signatures, CallOptions())


def test_a_model_without_a_default_says_what_to_name(signatures: Signatures) -> None:
    server = Server(v1=FORWARD)
    server.default = 0
    looked = results.Model(name="m", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    steps = signatures.find("m", CallOptions())
    next(steps)

    with pytest.raises(NotFound, match="name one"):
        steps.send(looked)
    again = signatures.find("m", CallOptions(alias="best"))
    next(again)
    with pytest.raises(NotFound, match="no alias 'best'; it has none"):
        again.send(looked)
