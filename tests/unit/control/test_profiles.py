"""The reference profile of a version over the management API."""

import httpx
import msgspec

from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import VersionDraft
from augurium.statistics.bins import NumericBins
from augurium.statistics.profiles import nothing, profile_of, read_profile, write_profile

PATH = "/api/v1/models/iris/versions/1/profile"


async def test_the_profile_comes_as_it_was_stored(
    api: httpx.AsyncClient,
    registry: MemoryRegistry,
    artifacts: MemoryArtifacts,
    draft: VersionDraft,
) -> None:
    profile = profile_of((nothing(NumericBins(name="age", low=0.0, high=1.0)),), rows=3)
    stored = artifacts.put([write_profile(profile)], 10_000)
    registry.register("iris", msgspec.structs.replace(draft, profile=stored), "test")

    reply = await api.get(PATH)

    assert reply.headers["content-type"] == "application/json"
    assert read_profile(reply.content) == profile


async def test_a_version_without_a_profile_says_how_to_get_one(
    api: httpx.AsyncClient, registry: MemoryRegistry, draft: VersionDraft
) -> None:
    registry.register("iris", draft, "test")

    reply = await api.get(PATH)

    assert reply.status_code == 404
    assert "--data TABLE" in reply.json()["error"]


async def test_a_version_that_does_not_exist_has_no_profile(api: httpx.AsyncClient) -> None:
    assert (await api.get(PATH)).status_code == 404
