"""What scores partitions on a node of a cluster: a worker as on one machine, and its keeper."""

import asyncio
import secrets
import shutil
import socket
import tempfile
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

import augurium
from augurium.batch.code_confinement import confinement_of
from augurium.batch.output_place import StoragePlace
from augurium.batch.partition import Partition, PartitionResult
from augurium.batch.partition_scoring import MOST_DEATHS, PartitionScoring
from augurium.batch.staged_names import staged_name
from augurium.batch.storage import Storage
from augurium.batch.worker_messages import (
    Counted,
    Failed,
    Finished,
    Load,
    Note,
    Noticed,
    Reply,
    Scoring,
    encode,
)
from augurium.batch.worker_pool import PooledWorker
from augurium.batch.worker_start import Confinement, WorkerStart
from augurium.core.device_policy import CUDA, DevicePolicy
from augurium.core.errors import AuguriumError, ErrorKind, InvalidArgument, ModelFailed

# files of a version as they travel
Shipped = dict[str, npt.NDArray[np.uint8]]
# with others, the same rows may become other bytes
SAME = ("numpy", "pyarrow")


class Home(Protocol):
    """The way from a scorer to the one who drives it."""

    def files(self) -> Shipped:
        """The files that the job's model is loaded from, by the paths they have there."""
        ...

    def begun(self, number: int) -> int:
        """How often a partition was begun, this time included."""
        ...

    def tell(self, note: bytes) -> None:
        """Passes on what is to be said before there is a result."""
        ...


class ScorerStart(Struct, frozen=True):
    """How scorers of a job begin: `how` their workers would on the job's own machine, with
    `releases` as there.
    """

    load: Load
    how: WorkerStart
    batch_size: int
    releases: dict[str, str]


class RemoteScorer:
    """Scores the partitions that it is called with, one at a time.

    Its own process is lost with its node only: a row that ends processes ends that of its worker,
    and is found as on one machine.
    """

    def __init__(self, start: bytes, home: Home) -> None:
        # whatever can fail fails in a call, where somebody is told why
        self._begins = msgspec.msgpack.decode(start, type=ScorerStart)
        self._home = home
        # one that is lost with its node may write on for a while, where nobody looks
        self._mark = secrets.token_hex(4)
        self._runner = asyncio.Runner()
        self._folder = ""
        self._worker: PooledWorker | None = None

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Takes a `Partition` and answers with `Finished` or `Failed`, all of them encoded."""
        partition = msgspec.msgpack.decode(row["partition"], type=Partition)
        said: Note | Reply
        try:
            said = Finished(self._runner.run(self._score(partition)))
        except (AuguriumError, OSError) as error:
            # a node without room on its disk may have some for the next attempt
            kind = error.kind if isinstance(error, AuguriumError) else ErrorKind.NOT_READY
            said = Failed(kind, f"{error} (on the node {socket.gethostname()})")
        return {"said": encode(said)}

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._runner.run(self._worker.end())
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._runner.close()

    async def _score(self, partition: Partition) -> PartitionResult:
        number = partition.number
        if self._home.begun(number) > MOST_DEATHS:
            raise ModelFailed(
                f"partition {number} was begun {MOST_DEATHS} times, and what scored it on the"
                " cluster was lost every time; if memory is short there, run the job with fewer"
                " workers or a smaller partition_rows"
            )
        if self._worker is None:
            self._worker = await self._started()
        scoring = PartitionScoring(self._worker, self._begins.batch_size, self._warn)
        return await scoring.score(partition, partial(self._hear, number))

    async def _started(self) -> PooledWorker:
        load, how = self._begins.load, self._begins.how
        _check_releases(self._begins.releases)
        _check_output(load)
        # its worker removes it, because this process may be killed before it can
        self._folder = tempfile.mkdtemp(prefix="augurium-batch-")
        worker = PooledWorker(_confined(how, load, self._folder))
        worker.prepare(self._fetched)
        await worker.start()
        return worker

    def _fetched(self) -> Load:
        load = moved(self._begins.load, self._home.files(), Path(self._folder))
        return msgspec.structs.replace(load, mark=self._mark, scratch=self._folder)

    async def _warn(self, text: str) -> None:
        self._home.tell(encode(Noticed(f"{text} on the node {socket.gethostname()}")))

    def _hear(self, number: int, counted: Counted) -> None:
        self._home.tell(encode(Scoring(number, counted)))


def shipped(load: Load) -> Shipped:
    """The files that a model is loaded from. Blocking."""
    paths = (load.model.path, load.model.weights, load.profile)
    return {path: np.fromfile(path, np.uint8) for path in paths if path is not None}


def moved(load: Load, files: Shipped, folder: Path) -> Load:
    """The same for another machine: its files are written to the folder. Blocking."""
    paths = {}
    for number, (path, content) in enumerate(files.items()):
        # some are told by their endings
        target = folder / str(number) / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        content.tofile(target)
        paths[path] = str(target)
    model = msgspec.structs.replace(
        load.model,
        path=paths[load.model.path],
        weights=paths.get(load.model.weights or ""),
        device=_any_of_its_kind(load.model.device),
    )
    return msgspec.structs.replace(load, model=model, profile=paths.get(load.profile or ""))


def _any_of_its_kind(device: DevicePolicy) -> DevicePolicy:
    # a scorer sees no device but its own, whatever number that has
    return msgspec.structs.replace(device, name=CUDA) if device.on_cuda else device


def _confined(how: WorkerStart, load: Load, folder: str) -> WorkerStart:
    """To the files of the job as they are on this node, if it is confined at all."""
    if how.confinement is None:
        return how
    model = msgspec.structs.replace(load.model, path=folder, weights=None)
    files = confinement_of(load.spec, model)
    both = Confinement(files.readable, (*files.writable, folder))
    return msgspec.structs.replace(how, confinement=both)


def releases() -> dict[str, str]:
    """What has to be of the same release on every node."""
    return {"augurium": augurium.__version__} | {name: metadata.version(name) for name in SAME}


def mark_output(load: Load) -> None:
    """Leaves a file where the output goes; every scorer looks for it. Blocking."""
    place = StoragePlace(Storage(load.storage, roots=load.roots), load.spec.output.path)
    place.put(_mark(load), b"")


def _check_output(load: Load) -> None:
    place = StoragePlace(Storage(load.storage, roots=load.roots), load.spec.output.path)
    if place.size(_mark(load)) is None:
        raise InvalidArgument(
            f"what the job's own node writes to {place.url} is not there on this one; read from and"
            " write to an object store, or a folder that all nodes of the cluster share"
        )


def _mark(load: Load) -> str:
    return staged_name(load.job, load.token, "reached")


def _check_releases(wanted: dict[str, str]) -> None:
    here = releases()
    for name, version in wanted.items():
        if here[name] != version:
            raise InvalidArgument(
                f"{name} is {here[name]} here and {version} where the job runs, so that answers"
                f" could differ; run `pip install {name}=={version}` on every node of the cluster"
            )
