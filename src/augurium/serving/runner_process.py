"""The runner of one version, as an engine reaches it: found by its socket, started if need be."""

import math
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from augurium.core.errors import ModelFailed
from augurium.core.nvml import NvmlAccelerators
from augurium.core.process_memory import process_bytes
from augurium.core.settings import RunnerSettings
from augurium.serving import runner_wire as wire
from augurium.serving.memory_budget import Base
from augurium.serving.placement import dedicated, placement_of, replica_of, version_key
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_frames import FrameWriter, kill_peer, peer
from augurium.serving.runner_memory import SharedMemory, new_memory
from augurium.serving.runner_place import RunnerPlace, how
from augurium.serving.runner_suspects import Suspects
from augurium.serving.snapshot import DesiredVersion

ATTEMPTS = 5
EXIT_TIMEOUT_S = 5.0
CLOCKS_APART_S = 0.1


class Arrival:
    """How far a version is that loads. One that is `patient` has its time from when the load
    begins, which may be after those of others.
    """

    def __init__(self, timeout_s: float, *, patient: bool) -> None:
        self._timeout_s = timeout_s
        self._patient = patient
        self._since = time.monotonic()
        self.began = False

    def begins(self) -> None:
        """It is being loaded now."""
        self.began = True
        if self._patient:
            self._since = time.monotonic()

    def deadline(self) -> float:
        """Until when it may take."""
        if self._patient and not self.began:
            return math.inf
        return self._since + self._timeout_s

    @property
    def is_late(self) -> bool:
        """Whether it has taken its time, as the runner counts it, whose clock started before."""
        return self.began and time.monotonic() > self._since + self._timeout_s - CLOCKS_APART_S


ANSWER_TIMEOUT_S = 5.0


class RunnerProcess:
    """The runner of one version, for this engine and for all others of the node: its own, or one
    that it shares.

    An engine that finds nobody at the runner's socket binds it and starts the process, under a
    lock; others connect at once and wait until the version has loaded. `restarts` counts how often
    it was this engine that started the next process, `exits` the same by why the one before ended:
    `hang`, `memory`, `wire` (it wrote junk), or `crash`.
    """

    def __init__(
        self, folder: Path, desired: DesiredVersion, settings: RunnerSettings, replica: int = 1
    ) -> None:
        """`replica` counts the runners of one version, from 1."""
        self._desired = desired
        self._settings = settings
        self._key = version_key(desired)
        self._suspects = Suspects(folder)
        own = replica_of(dedicated(desired), replica)
        wanted = replica_of(placement_of(desired), replica)
        readable = tuple(file for file in (desired.path, desired.weights_path) if file)
        self._own = RunnerPlace(folder, own, readable, settings, on_device=desired.device.on_cuda)
        self._wanted = RunnerPlace(folder, wanted, (), settings) if wanted.shared else self._own
        # where it is now, or was last
        self._place = self._wanted
        self._hello = wire.Hello()
        self._accelerators = NvmlAccelerators()
        self._started_once = False
        self.exits: dict[str, int] = {}
        self.restarts = 0

    @property
    def name(self) -> str:
        return self._place.name

    @property
    def shared(self) -> bool:
        """Whether other versions may be in the process."""
        return self._place.placement.shared

    @property
    def base(self) -> Base | None:
        """What the process takes beside its versions; None where this is all part of this one."""
        return Base(self.name, self._hello.base_bytes) if self.shared else None

    def connect(self) -> Channel:
        """A connection to the loaded version; starts the process if there is none. Blocking.

        Raises ModelFailed when the version does not load.
        """
        process = None
        for _ in range(ATTEMPTS):
            place = self._place = self._next_place()
            with place.locked():
                process = None
                connection = place.reach()
                if connection is None:
                    process = self._start(place)
                    connection = place.reach()
            if connection is None:
                raise self._ended_early(process)
            arrival = Arrival(self._settings.load_timeout_s, patient=place.placement.shared)
            try:
                return self._loaded(place, connection, arrival)
            except TimeoutError:
                self._suspect_load(arrival)
                raise self._too_slow(process) from None
            except (OSError, wire.WireError) as error:
                self._suspect_load(arrival)
                if arrival.is_late:
                    raise self._too_slow(None) from error
                if process is not None and not place.placement.shared:
                    raise self._ended_early(process) from error
                # it was about to end when we came, or another version ended it
        raise self._ended_early(process)

    def suspect(self) -> None:
        """Runs of this version had begun when its runner ended."""
        if self.shared:
            self._suspects.was_running(self._key)

    def reconnect(self, deadline: float) -> Channel | None:
        """One more connection to a process that runs; None when nobody listens."""
        place = self._place
        connection = place.reach()
        if connection is None:
            return None
        try:
            return self._greeted(connection, self._want(), lambda: deadline)
        except (OSError, wire.WireError):
            return None

    def open_for_many(self) -> tuple[socket.socket, SharedMemory | None] | None:
        """A connection for many runs under way, which does not block and has yet to be greeted;
        None when nobody listens.
        """
        place = self._place
        connection = place.reach(wait=False)
        if connection is None:
            return None
        size = self._settings.shared_memory_bytes
        descriptor = new_memory(size) if size else None
        memory = None
        try:
            passed = [] if descriptor is None else [descriptor]
            socket.send_fds(connection, [wire.MANY], passed)
            if descriptor is not None:
                memory = SharedMemory(descriptor)
            FrameWriter(connection).write(self._want())
        except OSError:
            connection.close()
            return None
        return connection, memory

    def end(self, channel: Channel, cause: str) -> None:
        """Ends the process at the other side at once, and says why."""
        self._place.note_cause(cause)
        channel.kill_peer()

    def end_peer(self, connection: socket.socket, cause: str) -> None:
        """The same for a bare connection."""
        self._place.note_cause(cause)
        kill_peer(connection)

    @property
    def limited(self) -> bool:
        """Whether there is a limit to the memory of the process."""
        return self._settings.memory_bytes > 0

    @property
    def grown_bytes(self) -> int:
        """By how much a process that it shares grew when it loaded this version."""
        return self._hello.memory_bytes

    @property
    def pid(self) -> int:
        """The process, 0 if there is none that can be asked at once."""
        connection = self._place.reach(wait=False)
        if connection is None:
            return 0
        with connection, suppress(OSError):
            return peer(connection)
        return 0

    @property
    def device_bytes(self) -> int:
        """What the process takes of its device, by its own word or by NVML's, whichever is more:
        NVML counts the context as well, but knows no processes of other containers. Blocking.
        """
        channel = self.reconnect(time.monotonic() + ANSWER_TIMEOUT_S)
        if channel is None:
            return 0
        channel.close()
        connection = self._place.reach()
        if connection is None:
            return self._hello.device_bytes
        with connection:
            pid = peer(connection)
        known = sum(one.process_bytes.get(pid, 0) for one in self._accelerators.read())
        return max(self._hello.device_bytes, known)

    def check_memory(self) -> None:
        """Ends the process if it takes more than it may."""
        # of a connection that was made before the process listened itself, the kernel says that
        # the engine is at both sides
        connection = self._place.reach(wait=False)
        if connection is None:
            return
        with connection, suppress(OSError, ValueError):
            if process_bytes(peer(connection)) > self._settings.memory_bytes:
                self.end_peer(connection, "memory")

    def _start(self, place: RunnerPlace) -> "subprocess.Popen[bytes]":
        cause = place.take_cause()
        process = place.start()
        if self._started_once:
            # in this order: who sees the restart sees its cause as well
            self.exits[cause] = self.exits.get(cause, 0) + 1
            self.restarts += 1
        return process

    def _next_place(self) -> RunnerPlace:
        """Where it is wanted, unless it may have ended the runner there."""
        return self._own if self._suspects.is_proven(self._key) else self._wanted

    def _suspect_load(self, arrival: "Arrival") -> None:
        if self.shared and arrival.began:
            self._suspects.was_loading(self._key)

    def _loaded(self, place: RunnerPlace, connection: socket.socket, arrival: "Arrival") -> Channel:
        """A connection on which the version loads, if it is not there."""
        files = (self._desired.path, self._desired.weights_path)
        try:
            with place.lent(files) as (path, weights_path):
                want = self._want(path or "", weights_path)
                channel = self._greeted(connection, want, arrival.deadline, arrival)
        except BaseException:
            connection.close()
            raise
        self._started_once = True
        return channel

    def _greeted(
        self,
        connection: socket.socket,
        want: wire.Want,
        deadline: Callable[[], float],
        arrival: "Arrival | None" = None,
    ) -> Channel:
        channel = Channel(connection)
        try:
            connection.send(wire.ONE_AT_A_TIME)
            channel.send(want, (), deadline())
            hello, _ = channel.receive(deadline())
            while isinstance(hello, wire.Loading):
                if arrival is not None:
                    arrival.begins()
                hello, _ = channel.receive(deadline())
            if not isinstance(hello, wire.Hello):
                raise wire.WireError("no greeting")
            if hello.problem:
                raise ModelFailed(hello.problem)
        except BaseException:
            channel.close()
            raise
        self._hello = hello
        return channel

    def _want(self, path: str = "", weights_path: str | None = None) -> wire.Want:
        """Without a path, for a version that is there."""
        desired = self._desired
        return wire.Want(
            self._key,
            desired.runtime,
            path,
            desired.digest,
            weights_path,
            desired.weights_digest,
            desired.options,
            tuple(spec.name for spec in desired.signature.inputs),
            tuple(spec.name for spec in desired.signature.outputs),
            desired.signature.batched,
            desired.batching.max_batch_size,
            desired.batching.max_queue_delay_ms / 1000,
            tuple(spec.datatype for spec in desired.signature.outputs),
            desired.device,
        )

    def _ended_early(self, process: "subprocess.Popen[bytes] | None") -> ModelFailed:
        try:
            status = process.wait(EXIT_TIMEOUT_S) if process else 0
        except subprocess.TimeoutExpired:
            return ModelFailed("its runner does not answer")
        if status == -signal.SIGALRM:
            return self._too_slow(None)
        return ModelFailed(f"its runner ended while it loaded the model ({how(status)})")

    def _too_slow(self, process: "subprocess.Popen[bytes] | None") -> ModelFailed:
        if process is not None:
            process.kill()
        return ModelFailed(
            f"it did not load within {self._settings.load_timeout_s:g} s (runners.load_timeout_s)"
        )
