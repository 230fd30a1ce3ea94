"""What keys mean on `ModelStreamInfer`, where one call carries many requests."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from augurium.access.access import Access
from augurium.access.gateway import Gateway
from augurium.access.key_text import new_key_text
from augurium.access.keys import LiveKey
from augurium.access.ledger import Ledger
from augurium.access.patience import Patience
from augurium.access.scopes import Scope
from augurium.core.errors import PermissionDenied, Unauthenticated
from augurium.protocols.generated import inference_pb2 as pb
from augurium.protocols.grpc_api import GrpcApi
from augurium.serving.plane import DataPlane
from augurium.serving.router import Router

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


class Streams:
    """The API of a plane without models, and keys to it."""

    def __init__(self, ledger: Ledger) -> None:
        router: Router[Any] = Router()
        router.replace({})
        self._gateway = Gateway(ledger, patience=Patience(free=10_000))
        self._api = GrpcApi(DataPlane(router, 10, 30.0), self._gateway)

    def key(self, *scopes: Scope, models: tuple[str, ...] = (), **rate: Any) -> str:
        """The header of the only key there is from now on."""
        text = new_key_text("live")
        limits: dict[str, Any] = {"rate": 0.0, "burst": 0, "expires_at": None} | rate
        key = LiveKey(text.id, "app", text.digest, scopes, models, **limits)
        self._gateway.renew(Access(keys=(key,)))
        return f"Bearer {text.text}"

    def revoke(self) -> None:
        self._gateway.renew(Access())

    async def ask(self, header: str | None, *models: str, revoke_after: int = 0) -> list[str]:
        """The errors that requests for these models get."""

        async def messages() -> AsyncGenerator[bytes, None]:
            for number, model in enumerate(models):
                if revoke_after and number == revoke_after:
                    self.revoke()
                yield pb.ModelInferRequest(model_name=model).SerializeToString()

        metadata = {} if header is None else {"authorization": header}
        found = []
        async with aclosing(self._api.stream(STREAM, messages(), metadata)) as answers:
            async for answer in answers:
                assert isinstance(answer, bytes)
                found.append(pb.ModelStreamInferResponse.FromString(answer).error_message)
        return found


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Streams]:
    ledger = Ledger(tmp_path / "ledger")
    yield Streams(ledger)
    ledger.close()


async def test_a_stream_needs_a_key_with_the_scope(streams: Streams) -> None:
    with pytest.raises(Unauthenticated):
        await streams.ask(None, "m")
    with pytest.raises(PermissionDenied):
        await streams.ask(streams.key(Scope.READ), "m")
    assert await streams.ask(streams.key(Scope.PREDICT), "m") == [
        "Request for unknown model: 'm' is not found"
    ]


async def test_every_request_of_a_stream_counts_towards_the_rate(streams: Streams) -> None:
    key = streams.key(Scope.PREDICT, rate=0.001, burst=2)
    found = await streams.ask(key, "m", "m", "m")
    assert ["unknown model" in text for text in found] == [True, True, False]
    assert "again" in found[2]


async def test_models_outside_the_pattern_are_not_there(streams: Streams) -> None:
    hidden, absent = await streams.ask(
        streams.key(Scope.PREDICT, models=("fraud-*",)), "churn", "fraud-x"
    )
    assert hidden == absent.replace("fraud-x", "churn")


async def test_a_revoked_key_is_refused_in_the_middle_of_its_stream(streams: Streams) -> None:
    found = await streams.ask(streams.key(Scope.PREDICT), "m", "m", "m", revoke_after=1)
    assert "unknown model" in found[0]
    assert all("no valid credential" in text for text in found[1:])
