from pathlib import Path

import msgspec
import pytest

from augurium.control.link_hub import LinkHub
from augurium.control.snapshots import Snapshots
from augurium.core.device_policy import CPU, DevicePolicy
from augurium.core.serving_policy import PlacementPolicy, ServingPolicy
from augurium.core.settings import BatchingSettings
from augurium.core.traffic_policy import TrafficPolicy, Variant
from augurium.registry.memory_artifacts import MemoryArtifacts
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.records import Artifact, ModelEdit, TrafficChange, VersionDraft
from augurium.serving.snapshot import BatchingPolicy, DesiredVersion


@pytest.fixture
def snapshots(registry: MemoryRegistry, artifacts: MemoryArtifacts, tmp_path: Path) -> Snapshots:
    settings = BatchingSettings(max_batch_size=32, max_queue_delay_ms=2.0, max_queue_rows=100)
    return Snapshots(registry, artifacts, settings, LinkHub(tmp_path / "link.sock"))


def _deployed(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> DesiredVersion:
    registry.register("iris", draft, "test")
    registry.set_deployed("iris", 1, True, "test")
    return snapshots.build().models[0].versions[0]


def test_an_empty_registry_wants_nothing(snapshots: Snapshots) -> None:
    assert snapshots.build().models == ()


def test_only_deployed_versions_are_wanted(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    for model in ("iris", "iris", "rose"):
        registry.register(model, draft, "test")
    registry.set_deployed("iris", 2, True, "test")

    wanted = snapshots.build()

    assert [(model.name, [v.version for v in model.versions]) for model in wanted.models] == [
        ("iris", [2])
    ]
    assert wanted.revision == registry.revision()


def test_defaults_and_aliases_come_along(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    for version in (1, 2):
        registry.register("iris", draft, "test")
        registry.set_deployed("iris", version, True, "test")
    registry.set_default("iris", 2, "test")
    registry.set_alias("iris", "champion", 1, "test")

    (model,) = snapshots.build().models

    assert model.default_version == 2
    assert model.aliases == {"champion": 1}


def test_a_model_that_goes_to_a_device_takes_its_versions_along(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    before = _deployed(registry, snapshots, draft)
    device = DevicePolicy(name="cuda:1", compile="graphs")
    registry.edit_model("iris", ModelEdit(serving=ServingPolicy(device=device)), "test")

    (after,) = snapshots.build().models[0].versions

    assert before.device == CPU
    assert after == msgspec.structs.replace(before, device=device)


def test_a_version_names_its_file_and_the_hash_it_must_have(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    version = _deployed(registry, snapshots, draft)

    assert Path(version.path).read_bytes() == b"model"
    assert version.digest == draft.servable.digest


def test_external_weights_are_named_with_their_hash(
    registry: MemoryRegistry,
    snapshots: Snapshots,
    draft: VersionDraft,
    artifacts: MemoryArtifacts,
) -> None:
    weights = artifacts.put([b"weights"], 100)
    version = _deployed(registry, snapshots, msgspec.structs.replace(draft, weights=weights))

    assert Path(version.weights_path or "").read_bytes() == b"weights"
    assert version.weights_digest == weights.digest


def test_a_version_without_external_weights_names_none(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    version = _deployed(registry, snapshots, draft)

    assert (version.weights_path, version.weights_digest) == (None, None)


def test_a_version_batches_as_the_settings_say(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    version = _deployed(registry, snapshots, draft)

    assert version.batching == BatchingPolicy(32, 2.0, 100)


def test_a_version_may_carry_its_own_batching(
    registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    options = {"batching.max_batch_size": "8", "optimization": "all"}
    version = _deployed(registry, snapshots, msgspec.structs.replace(draft, options=options))

    assert version.batching == BatchingPolicy(8, 2.0, 100)
    assert version.options == {"optimization": "all"}


@pytest.mark.parametrize("value", ["many", "", "-1", "0", "1.5", "nan"])
def test_batching_that_cannot_be_is_ignored(
    value: str, registry: MemoryRegistry, snapshots: Snapshots, draft: VersionDraft
) -> None:
    options = {"batching.max_batch_size": value}
    version = _deployed(registry, snapshots, msgspec.structs.replace(draft, options=options))

    assert version.batching == BatchingPolicy(32, 2.0, 100)


def test_a_missing_file_harms_its_own_version_only(
    registry: MemoryRegistry,
    snapshots: Snapshots,
    draft: VersionDraft,
    unknown_artifact: Artifact,
) -> None:
    lost = msgspec.structs.replace(draft, servable=unknown_artifact)
    for version in (draft, lost):
        number = registry.register("iris", version, "test").version
        registry.set_deployed("iris", number, True, "test")

    good, missing = snapshots.build().models[0].versions

    assert Path(good.path).exists()
    assert not Path(missing.path).exists()
    assert missing.digest in missing.path


@pytest.mark.parametrize(("runtime", "threads"), [("xgboost", 3), ("onnx", 0)])
def test_a_version_runs_where_its_models_policy_says_unless_engines_run_it(
    registry: MemoryRegistry,
    snapshots: Snapshots,
    draft: VersionDraft,
    runtime: str,
    threads: int,
) -> None:
    _deployed(registry, snapshots, msgspec.structs.replace(draft, runtime=runtime))
    policy = ServingPolicy(placement=PlacementPolicy(threads=3))
    registry.edit_model("iris", ModelEdit(serving=policy), "test")

    (version,) = snapshots.build().models[0].versions

    assert version.placement == PlacementPolicy(threads=threads)


async def test_traffic_that_was_diverted_stays_so_until_the_registry_says_the_same(
    registry: MemoryRegistry, artifacts: MemoryArtifacts, draft: VersionDraft, tmp_path: Path
) -> None:
    hub = LinkHub(tmp_path / "link.sock")
    snapshots = Snapshots(registry, artifacts, BatchingSettings(), hub)
    for version in (1, 2):
        registry.register("iris", draft, "test")
        registry.set_deployed("iris", version, True, "test")
    registry.set_default("iris", 1, "test")
    split = TrafficPolicy(split=(Variant(1, 50), Variant(2, 50)))
    registry.set_traffic("iris", TrafficChange(policy=split), "test")
    await snapshots.publish()

    def told() -> TrafficPolicy | None:
        (model,) = hub.snapshot.models
        return model.traffic.policy if model.traffic else None

    snapshots.divert("iris", None)
    at_once = told()
    await snapshots.publish()
    still = told()
    await snapshots.settle("iris")

    assert (at_once, still) == (None, None)
    assert told() == split


async def test_every_request_of_a_model_is_recorded_as_long_as_somebody_wants_it(
    registry: MemoryRegistry, artifacts: MemoryArtifacts, draft: VersionDraft, tmp_path: Path
) -> None:
    hub = LinkHub(tmp_path / "link.sock")
    snapshots = Snapshots(registry, artifacts, BatchingSettings(), hub)
    registry.register("iris", draft, "test")
    registry.set_deployed("iris", 1, True, "test")
    await snapshots.publish()

    def exposures() -> bool:
        (model,) = hub.snapshot.models
        return model.serving.log.exposures

    told = [exposures()]
    for wanted in (True, True, False):
        await snapshots.expose("iris", wanted)
        told.append(exposures())
        await snapshots.publish()
        told.append(exposures())

    assert told == [False, True, True, True, True, False, False]
