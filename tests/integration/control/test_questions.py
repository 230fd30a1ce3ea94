"""What engines ask control about the node: over the real link, from a real registry."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from augurium.control.assembly import assembled
from augurium.control.services import Services
from augurium.core.errors import (
    AuguriumError,
    Conflict,
    InvalidArgument,
    NotFound,
    NotReady,
)
from augurium.core.home import NodeConfig
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.records import ModelEdit, VersionDraft
from augurium.serving.metrics import EngineMetrics, VersionMetrics
from augurium.serving.questions import BatchingChange, Load
from augurium.serving.snapshot import BatchingPolicy

Fixture = Callable[..., Any]
SIXTEEN = BatchingChange(max_batch_size=16)


@pytest.fixture
async def engines(connect_engine: Fixture) -> list[Any]:
    return [await connect_engine(name) for name in ("engine-0", "engine-1", "engine-2")]


def policies(engine: Any) -> dict[tuple[str, int], BatchingPolicy]:
    return {
        (version.model, version.version): version.batching
        for model in engine.snapshot.models
        for version in model.versions
    }


def audit(services: Services, model: str | None = None) -> list[tuple[str, str]]:
    return [(entry.action, entry.actor) for entry in services.registry.audit(model)]


def counted(requests: int) -> EngineMetrics:
    version = VersionMetrics("iris", 1)
    for _ in range(requests):
        version.ended("ok", 0.5)
        version.ran(2, 1, 0.0, 0.25, 0.0)
    return EngineMetrics([version, VersionMetrics("rose", 1)])


async def test_statistics_are_the_sum_over_engines_that_are_and_were(
    services: Services, connect_engine: Fixture
) -> None:
    await connect_engine("engine-1")
    first = await connect_engine("engine-0", pid=1, metrics=counted(3))
    second = await connect_engine("engine-2", metrics=counted(4))
    await second.control.statistics(None, None)
    await first.kill()
    await connect_engine("engine-0", pid=2, metrics=counted(5))

    (found,) = await second.control.statistics("iris", 1)
    everything = await second.control.statistics(None, None)

    assert found.outcomes == {"ok": 12}
    assert (found.rows, found.inferred.count, found.by_size[2].count) == (24, 12, 12)
    assert [version.model for version in everything] == ["iris", "rose"]


async def test_there_are_no_statistics_without_an_engine_that_may_have_counted(
    services: Services, connect_engine: Fixture
) -> None:
    first = await connect_engine("engine-0", metrics=counted(3))
    asked = asyncio.ensure_future(first.control.statistics(None, None))
    await connect_engine("engine-1", metrics=counted(4))

    assert (await asked)[0].outcomes == {"ok": 7}


async def test_statistics_that_would_be_wrong_are_refused(connect_engine: Fixture) -> None:
    alone = await connect_engine("engine-0", metrics=counted(3))

    with pytest.raises(NotReady, match="engine-1 has not connected yet"):
        await alone.control.statistics(None, None)


async def test_the_index_says_where_every_model_stands(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    for model in ("broken", "idle", "iris", "iris", "slow"):
        await register(model)
    await engines[0].control.load(Load("iris", "app", (1,)))
    engines[1].slow.add(("slow", 1))
    engines[2].broken["broken", 1] = "out of memory"
    for model in ("slow", "broken"):
        services.registry.set_deployed(model, 1, True, "test")
    await services.deployments.set_alias("iris", "champion", 1, "test")

    found = await engines[0].control.index()

    assert [(entry.model, entry.version, entry.state) for entry in found] == [
        ("broken", 1, "failed"),
        ("idle", 1, "unloaded"),
        ("iris", 1, "ready"),
        ("iris", 2, "unloaded"),
        ("slow", 1, "loading"),
    ]
    assert found[0].reason == "engine-2: out of memory"
    assert found[4].reason == "in engine-1"


async def test_the_index_leaves_out_what_is_deleted(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    for model in ("gone", "iris", "iris"):
        await register(model)
    services.registry.delete_model("gone", "test")
    services.registry.delete_version("iris", 2, "test")

    found = await engines[0].control.index()

    assert [(entry.model, entry.version) for entry in found] == [("iris", 1)]


async def test_a_load_brings_the_newest_version_into_every_engine(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    await register("iris")

    assert await engines[0].control.load(Load("iris", "app")) == (2,)

    for engine in engines:
        assert engine.holds("iris", 2)
        assert engine.default_of("iris") == 2
    assert audit(services, "iris")[:2] == [("set_default", "app"), ("deploy", "app")]


async def test_where_approval_is_needed_the_newest_approved_version_is_loaded(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    for _ in range(3):
        await register("iris")
    services.registry.edit_model("iris", ModelEdit(requires_approval=True), "test")
    with pytest.raises(InvalidArgument, match="no version that is approved"):
        await engines[0].control.load(Load("iris", "app"))
    services.registry.set_approval("iris", 2, "approved", "test")

    assert await engines[0].control.load(Load("iris", "app")) == (2,)
    with pytest.raises(InvalidArgument, match="failed to load 'iris', "):
        await engines[0].control.load(Load("iris", "app", (3,)))


async def test_several_versions_may_be_named(engines: list[Any], register: Fixture) -> None:
    for _ in range(3):
        await register("iris")

    assert await engines[0].control.load(Load("iris", "app", (3, 1, 3))) == (1, 3)
    assert engines[1].holds("iris", 1)
    assert engines[1].default_of("iris") == 3


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (Load("nobody", "app"), "failed to load 'nobody', failed to poll from model repository"),
        (Load("gone", "app"), "failed to load 'gone', failed to poll from model repository"),
        (Load("iris", "app", (7,)), "failed to load 'iris', "),
        (Load("iris", "app", batching=BatchingChange(max_queue_delay_ms=99.0)), "batch like this"),
        (Load("whole", "app", batching=SIXTEEN), "takes whole tensors"),
    ],
)
async def test_a_load_that_cannot_be_changes_nothing(
    services: Services, engines: list[Any], register: Fixture, order: Load, text: str
) -> None:
    for model in ("iris", "gone"):
        await register(model)
    services.registry.delete_model("gone", "test")
    await register_whole(services, register)
    revision = services.registry.revision()

    with pytest.raises(InvalidArgument) as refused:
        await engines[0].control.load(order)

    assert text in str(refused.value)
    assert services.registry.revision() == revision


async def register_whole(services: Services, register: Fixture) -> None:
    """A model that takes whole tensors."""
    like = await register("like")
    spec = TensorSpec("x", "FP32", (2, 2))
    fields = {name: getattr(like, name) for name in VersionDraft.__struct_fields__}
    draft = VersionDraft(**{**fields, "signature": Signature((spec,), (spec,), batched=False)})
    services.registry.register("whole", draft, "test")


async def test_a_load_that_fails_in_an_engine_leaves_all_as_it_was(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    for _ in range(3):
        await register("iris")
    await engines[0].control.load(Load("iris", "app", (1,), SIXTEEN))
    engines[2].broken["iris", 3] = "no such operator"

    with pytest.raises(InvalidArgument, match=r"failed to load 'iris', .*no such operator"):
        await engines[0].control.load(Load("iris", "app", (1, 2, 3), BatchingChange(8)))

    model = services.registry.model("iris")
    assert (model.deployed_versions, model.default_version) == ((1,), 1)
    await engines[1].until(lambda: policies(engines[1]).keys() == {("iris", 1)})
    assert policies(engines[1])["iris", 1].max_batch_size == 16


async def test_how_a_version_batches_holds_for_that_load(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    change = BatchingChange(16, 0.0, 50)
    await engines[0].control.load(Load("iris", "app", batching=change))
    overridden = policies(engines[1])["iris", 1]
    entries = audit(services, "iris")
    await engines[0].control.load(Load("iris", "app"))

    assert overridden == BatchingPolicy(16, 0.0, 50)
    assert ("set_batching", "app") in entries
    assert policies(engines[1])["iris", 1] == BatchingPolicy()


async def test_how_a_version_batches_is_forgotten_when_it_is_taken_out(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    await engines[0].control.load(Load("iris", "app", batching=SIXTEEN))
    await engines[0].control.unload("iris", "app")
    await services.deployments.deploy("iris", 1, True, "test")

    assert policies(engines[0])["iris", 1] == BatchingPolicy()


async def test_how_a_version_batches_outlives_control(
    node: NodeConfig, connect_engine_to: Fixture, register: Fixture, engines: list[Any]
) -> None:
    await register("iris")
    await engines[0].control.load(Load("iris", "app", batching=SIXTEEN))
    other = msgspec.structs.replace(node)
    async with assembled(other) as again:
        assert again.hub.snapshot.models[0].versions[0].batching.max_batch_size == 16


async def test_a_model_that_is_loaded_already_is_not_loaded_again(
    engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    await engines[0].control.load(Load("iris", "app", batching=SIXTEEN))
    revision = engines[1].snapshot.revision
    await engines[0].control.load(Load("iris", "app", batching=SIXTEEN))

    assert engines[1].snapshot.revision == revision


async def test_an_unload_takes_every_version_out_of_every_engine(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    for _ in range(2):
        await register("iris")
    await engines[0].control.load(Load("iris", "app", (1, 2)))

    await engines[0].control.unload("iris", "app")

    assert [policies(engine) for engine in engines] == [{}, {}, {}]
    assert services.registry.model("iris").default_version is None
    assert {actor for action, actor in audit(services, "iris") if action == "undeploy"} == {"app"}
    await engines[0].control.unload("iris", "app")


async def test_an_unload_does_not_take_an_alias_away(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    await engines[0].control.load(Load("iris", "app"))
    await services.deployments.set_alias("iris", "champion", 1, "test")

    with pytest.raises(Conflict, match="augurium alias iris@champion --remove"):
        await engines[0].control.unload("iris", "app")

    assert engines[1].default_of("iris") == 1


async def test_a_model_nobody_registered_cannot_be_unloaded(engines: list[Any]) -> None:
    with pytest.raises(NotFound, match="failed to unload 'nobody'"):
        await engines[0].control.unload("nobody", "app")


async def test_every_engine_logs_from_the_level_that_one_was_told(
    services: Services, engines: list[Any], logging_restored: None
) -> None:
    before = await engines[0].control.log_level()
    await engines[0].control.set_log_level("error", "admin")

    assert before == "info"
    assert {engine.snapshot.log_level for engine in engines} == {"error"}
    assert await engines[2].control.log_level() == "error"
    assert audit(services)[0] == ("set_log_level", "admin")
    with pytest.raises(InvalidArgument):
        await engines[0].control.set_log_level("loud", "admin")


async def test_the_level_stays_when_something_else_changes(
    engines: list[Any], register: Fixture, logging_restored: None
) -> None:
    await register("iris")
    await engines[0].control.set_log_level("warning", "admin")
    await engines[0].control.load(Load("iris", "app"))

    assert engines[1].snapshot.log_level == "warning"


async def test_an_engine_that_dies_in_its_own_load_leaves_all_as_it_was(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    engines[0].slow.add(("iris", 1))
    asked = asyncio.ensure_future(engines[0].control.load(Load("iris", "app")))
    await engines[0].until(lambda: engines[0].holds("iris", 1))
    await engines[0].kill()

    with pytest.raises(NotReady):
        await asked
    await engines[1].until(lambda: not engines[1].snapshot.models)
    assert services.registry.model("iris").deployed_versions == ()
    assert [link.hello.engine for link in services.hub.links()] == ["engine-1", "engine-2"]


async def test_engines_may_ask_while_others_wait(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    engines[1].slow.add(("iris", 1))
    loading = asyncio.ensure_future(engines[0].control.load(Load("iris", "app")))
    await engines[1].until(lambda: engines[1].holds("iris", 1))

    assert len(await engines[0].control.statistics(None, None)) == 0
    engines[1].release("iris", 1)
    assert await loading == (1,)


async def test_loads_of_one_model_have_their_turns(
    services: Services, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    orders = [Load("iris", f"app-{n}", batching=BatchingChange(n)) for n in range(1, 9)]
    await asyncio.gather(*(engines[n % 3].control.load(order) for n, order in enumerate(orders)))

    assert len({policies(engine)["iris", 1].max_batch_size for engine in engines}) == 1


async def test_the_management_api_sees_what_engines_changed(
    api: httpx.AsyncClient, engines: list[Any], register: Fixture
) -> None:
    await register("iris")
    await engines[0].control.load(Load("iris", "app"))

    assert (await api.get("/models/iris")).json()["default_version"] == 1


async def test_a_registry_that_fails_is_told_to_whoever_asked(
    services: Services, engines: list[Any]
) -> None:
    services.registry.close()

    with pytest.raises(AuguriumError):
        await engines[0].control.index()
