import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augurium.control.import_pipeline import ImportOrder, ImportPipeline, Progress
from augurium.control.imports import KEPT_S, MAX_WAITING, Import, Imports
from augurium.core.clock import ManualClock
from augurium.core.errors import (
    Conflict,
    InvalidArgument,
    NotFound,
    Overloaded,
    PermissionDenied,
    Unprocessable,
)
from augurium.core.settings import ImportSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.importing.result import ImportRequest, ImportResult
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, Lineage
from augurium.registry.sql_registry import SqlRegistry


class Converter:
    """Another adapter of the importer: "converts" by copying, as told, and waits at its gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.failure: Exception | None = None
        self.beside = False
        self.as_it_is = False
        self.requests: list[ImportRequest] = []

    def __call__(
        self, request: ImportRequest, folder: Path, limits: ImportSettings, progress: Progress
    ) -> ImportResult:
        self.requests.append(request)
        progress("converting", 0.5)
        self.begun.set()
        give_up_at = time.monotonic() + 20
        while not self.gate.wait(0.01) and time.monotonic() < give_up_at:
            # fails when the server stops
            progress("converting", 0.5)
        progress("checking parity", 0.8)
        if self.failure is not None:
            raise self.failure
        servable = folder / "model.onnx"
        content = request.file.read_bytes()
        servable.write_bytes(content if self.as_it_is else b"servable " + content)
        (folder / "weights").write_bytes(b"weights")
        (folder / "profile.json").write_bytes(b"{}")
        spec = TensorSpec("x", "FP32", (-1, 1))
        return ImportResult(
            framework="sklearn",
            framework_version="1.7",
            runtime="onnx",
            servable=servable,
            signature=Signature((spec,), (spec,)),
            report={"tried": ["onnx"]},
            weights=folder / "weights" if self.beside else None,
            profile=folder / "profile.json" if self.beside else None,
            examples=({"x": 1.0},) if self.beside else (),
            allowed_code=self.beside,
        )


class Workshop:
    """Imports over a real registry and real files, with a converter that does as it is told."""

    def __init__(self, home: Path) -> None:
        self.clock = ManualClock()
        self.converter = Converter()
        self.artifacts = ObstoreArtifacts(home / "artifacts")
        self.staging = home / "staging"
        self.staging.mkdir()
        self.registry = SqlRegistry(open_database(sqlite_url(home / "registry.db")), self.clock)
        pipeline = ImportPipeline(
            self.registry, self.artifacts, self.converter, ImportSettings(), self.staging
        )
        self.imports = Imports(pipeline, self.clock)

    def upload(self, content: bytes = b"model") -> Artifact:
        return self.artifacts.put([content], 1024)

    def submit(self, model: str = "iris", **order: Any) -> Import:
        artifact = order.pop("artifact", None) or self.upload().digest
        request = ImportOrder(artifact=artifact, filename="model.skops", **order)
        return self.imports.submit(model, request, "test")

    async def ended(self, started: Import) -> Import:
        async with asyncio.timeout(20):
            # the job runs in a thread and tells nobody
            while (current := self.imports.get(started.id)).state == "running":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return current


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    workshop.imports.start()
    yield workshop
    workshop.converter.gate.set()
    workshop.imports.stop()
    workshop.registry.close()


async def test_an_import_registers_what_came_out_of_it(workshop: Workshop) -> None:
    started = workshop.submit(
        metrics={"accuracy": 0.93}, tags={"team": "flowers"}, description="first"
    )

    ended = await workshop.ended(started)

    version = workshop.registry.version("iris", 1)
    assert (ended.state, ended.stage, ended.progress, ended.version, ended.error) == (
        "succeeded",
        "registered",
        1.0,
        1,
        None,
    )
    assert version.framework == "sklearn"
    assert version.source == workshop.upload()
    assert version.source_name == "model.skops"
    assert workshop.artifacts.local_path(version.servable.digest).read_bytes() == b"servable model"
    assert (version.metrics, version.tags) == ({"accuracy": 0.93}, {"team": "flowers"})
    assert version.report == {"tried": ["onnx"]}


async def test_the_stage_and_progress_of_a_running_import_can_be_seen(workshop: Workshop) -> None:
    workshop.converter.gate.clear()
    started = workshop.submit()
    await asyncio.to_thread(workshop.converter.begun.wait, 20)
    workshop.clock.advance(3)

    running = workshop.imports.get(started.id)

    assert (running.state, running.stage, running.progress) == ("running", "converting", 0.45)
    assert running.seconds == 3


async def test_a_table_of_training_rows_goes_to_the_converter(workshop: Workshop) -> None:
    table = workshop.upload(b'{"columns": []}')

    await workshop.ended(workshop.submit(table=table.digest))

    (request,) = workshop.converter.requests
    assert request.table is not None
    assert request.table.read_bytes() == b'{"columns": []}'


async def test_all_that_is_said_about_a_version_is_registered(workshop: Workshop) -> None:
    table = workshop.upload(b'{"age": [31]}')
    transforms = workshop.upload(b"{}")
    first = await workshop.ended(workshop.submit())

    ended = await workshop.ended(
        workshop.submit(
            table=table.digest,
            preprocessing=transforms.digest,
            engine="treelite",
            card="# Iris",
            lineage=Lineage(code_revision="4f2a", parent_version=first.version),
            idempotency_key="second",
        )
    )

    assert ended.error is None
    version = workshop.registry.version("iris", 2)
    assert version.preprocessing == transforms
    assert version.card == "# Iris"
    assert version.lineage == Lineage(
        code_revision="4f2a", parent_version=1, dataset_digest=table.digest
    )
    request = workshop.converter.requests[-1]
    assert request.engine == "treelite"
    assert request.preprocessing is not None
    assert request.preprocessing.read_bytes() == b"{}"


async def test_every_file_of_an_import_is_stored(workshop: Workshop) -> None:
    workshop.converter.beside = True

    await workshop.ended(workshop.submit())

    version = workshop.registry.version("iris", 1)
    assert (version.examples, version.allowed_code) == (({"x": 1.0},), True)
    for artifact, content in ((version.weights, b"weights"), (version.profile, b"{}")):
        assert artifact is not None
        assert workshop.artifacts.local_path(artifact.digest).read_bytes() == content


async def test_a_file_that_is_served_as_it_was_uploaded_is_kept_once(workshop: Workshop) -> None:
    workshop.converter.as_it_is = True

    await workshop.ended(workshop.submit())

    version = workshop.registry.version("iris", 1)
    assert version.servable == version.source == workshop.upload()


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"table": "0" * 64}, NotFound),
        ({"preprocessing": "0" * 64}, NotFound),
        ({"lineage": Lineage(parent_version=7)}, NotFound),
        ({"lineage": Lineage(run_url="javascript:alert(1)")}, InvalidArgument),
        ({"card": "x" * 300_000}, InvalidArgument),
        ({"tags": {"team": "x" * 2000}}, InvalidArgument),
    ],
    ids=["table", "transforms", "parent", "run", "card", "tag"],
)
async def test_what_cannot_be_registered_is_refused_before_the_import(
    order: dict[str, Any], error: type[Exception], workshop: Workshop
) -> None:
    with pytest.raises(error):
        workshop.submit(**order)


async def test_code_runs_only_if_server_and_caller_allow_it(workshop: Workshop) -> None:
    await workshop.ended(workshop.submit())

    assert not workshop.converter.requests[0].allow_code
    with pytest.raises(PermissionDenied):
        workshop.submit(allow_code=True)


async def test_a_refused_import_says_why_and_registers_nothing(workshop: Workshop) -> None:
    workshop.converter.failure = Unprocessable("the model is a pickle")

    ended = await workshop.ended(workshop.submit())

    assert ended.state == "failed"
    assert ended.error is not None
    assert (ended.error.kind, ended.error.error) == ("unprocessable", "the model is a pickle")
    assert workshop.registry.models() == []


async def test_a_fault_in_an_import_hides_its_text_and_the_next_import_runs(
    workshop: Workshop,
) -> None:
    workshop.converter.failure = RuntimeError("the secret is 42")
    faulty = await workshop.ended(workshop.submit())
    workshop.converter.failure = None

    good = await workshop.ended(workshop.submit())

    assert faulty.error is not None
    assert faulty.error.kind == "internal"
    assert "secret" not in faulty.error.error
    assert good.state == "succeeded"


@pytest.mark.parametrize("failure", [None, Unprocessable("no"), RuntimeError("broken")])
async def test_the_working_folder_is_gone_in_the_end(
    failure: Exception | None, workshop: Workshop
) -> None:
    workshop.converter.failure = failure

    await workshop.ended(workshop.submit())

    assert list(workshop.staging.iterdir()) == []


async def test_a_damaged_upload_is_not_converted(workshop: Workshop) -> None:
    artifact = workshop.upload()
    file = workshop.artifacts.local_path(artifact.digest)
    file.chmod(0o600)
    file.write_bytes(b"other")

    ended = await workshop.ended(workshop.submit(artifact=artifact.digest))

    assert ended.error is not None
    assert "damaged" in ended.error.error
    assert workshop.converter.requests == []


async def test_imports_run_one_after_the_other(workshop: Workshop) -> None:
    workshop.converter.gate.clear()
    first, second = workshop.submit("iris"), workshop.submit("rose")
    await asyncio.to_thread(workshop.converter.begun.wait, 20)

    assert len(workshop.converter.requests) == 1
    assert workshop.imports.get(second.id).stage == "waiting for its turn"
    workshop.converter.gate.set()
    assert (await workshop.ended(first)).version == 1
    assert (await workshop.ended(second)).version == 1


async def test_too_many_waiting_imports_are_refused(workshop: Workshop) -> None:
    workshop.converter.gate.clear()
    running = workshop.submit()
    await asyncio.to_thread(workshop.converter.begun.wait, 20)
    waiting = [workshop.submit() for _ in range(MAX_WAITING)]

    with pytest.raises(Overloaded):
        workshop.submit()

    workshop.converter.gate.set()
    versions = [(await workshop.ended(job)).version for job in [running, *waiting]]
    assert versions == list(range(1, MAX_WAITING + 2))


async def test_a_repeated_order_with_the_same_key_is_the_same_import(workshop: Workshop) -> None:
    first = workshop.submit(idempotency_key="a")
    await workshop.ended(first)

    again = workshop.submit(idempotency_key="a")

    assert again.id == first.id
    assert len(workshop.registry.versions("iris")) == 1


async def test_a_key_that_was_used_for_another_file_is_refused(workshop: Workshop) -> None:
    workshop.submit(idempotency_key="a")

    with pytest.raises(Conflict):
        workshop.submit(idempotency_key="a", artifact=workshop.upload(b"other").digest)


async def test_a_failed_import_may_be_tried_again_with_the_same_key(workshop: Workshop) -> None:
    workshop.converter.failure = Unprocessable("no")
    failed = await workshop.ended(workshop.submit(idempotency_key="a"))
    workshop.converter.failure = None

    again = await workshop.ended(workshop.submit(idempotency_key="a"))

    assert again.id != failed.id
    assert again.state == "succeeded"


async def test_an_ended_import_is_remembered_for_an_hour(workshop: Workshop) -> None:
    ended = await workshop.ended(workshop.submit())

    workshop.clock.advance(KEPT_S)
    remembered = workshop.imports.get(ended.id)
    workshop.clock.advance(1)

    assert remembered == ended
    with pytest.raises(NotFound):
        workshop.imports.get(ended.id)


async def test_a_stop_ends_the_running_import_and_leaves_no_folder(workshop: Workshop) -> None:
    workshop.converter.gate.clear()
    running, waiting = workshop.submit(), workshop.submit()
    await asyncio.to_thread(workshop.converter.begun.wait, 20)

    await asyncio.to_thread(workshop.imports.stop)

    assert workshop.imports.get(running.id).state == "failed"
    assert workshop.imports.get(waiting.id).state == "running"
    assert list(workshop.staging.iterdir()) == []
    assert workshop.registry.models() == []
