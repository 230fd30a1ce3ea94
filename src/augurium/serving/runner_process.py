"""The runner of one version, as an engine reaches it: found by its socket, started if need be."""

import hashlib
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from augurium.core.errors import ModelFailed
from augurium.core.settings import RunnerSettings
from augurium.serving import runner_wire as wire
from augurium.serving.runner_channel import Channel
from augurium.serving.runner_frames import FrameWriter, kill_peer, peer
from augurium.serving.runner_memory import SharedMemory, new_memory
from augurium.serving.runner_place import RunnerPlace, how
from augurium.serving.snapshot import DesiredVersion

ATTEMPTS = 3
EXIT_TIMEOUT_S = 5.0


class RunnerProcess:
    """The runner of one version, for this engine and for all others of the node.

    An engine that finds nobody at the version's socket binds it and starts the process, under a
    lock; others connect at once and wait until the version has loaded. `restarts` counts how often
    it was this engine that started the next process, `exits` the same by why the one before ended:
    `hang`, `memory`, `wire` (it wrote junk), or `crash`.
    """

    def __init__(self, folder: Path, desired: DesiredVersion, settings: RunnerSettings) -> None:
        self._desired = desired
        self._settings = settings
        self._key = f"{desired.model}-{desired.version}-{_identity(desired)}"
        self._place = RunnerPlace(
            folder,
            self._key,
            tuple(file for file in (desired.path, desired.weights_path) if file),
            settings,
        )
        self._started_once = False
        self.exits: dict[str, int] = {}
        self.restarts = 0

    @property
    def name(self) -> str:
        return self._place.name

    def connect(self) -> Channel:
        """A connection to the loaded version; starts the process if there is none. Blocking.

        Raises ModelFailed when the version does not load.
        """
        place = self._place
        deadline = time.monotonic() + self._settings.load_timeout_s
        for _ in range(ATTEMPTS):
            with place.locked():
                process = None
                connection = place.reach()
                if connection is None:
                    process = self._start(place)
                    connection = place.reach()
            if connection is None:
                raise self._ended_early(process)
            try:
                return self._greeted(connection, deadline)
            except TimeoutError:
                raise self._too_slow(process) from None
            except (OSError, wire.WireError) as error:
                if process is not None:
                    raise self._ended_early(process) from error
                # it was about to end when we came; the next round starts another
        raise ModelFailed("its runner ends again and again before it is ready")

    def reconnect(self, deadline: float) -> Channel | None:
        """One more connection to a process that runs; None when nobody listens."""
        place = self._place
        connection = place.reach()
        if connection is None:
            return None
        try:
            return self._greeted(connection, deadline)
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
    def memory_bytes(self) -> int:
        """The resident size of the process, 0 if there is none."""
        connection = self._place.reach()
        if connection is None:
            return 0
        with connection, suppress(OSError, ValueError):
            return _resident_bytes(peer(connection))
        return 0

    def check_memory(self) -> None:
        """Ends the process if it takes more than it may."""
        # of a connection that was made before the process listened itself, the kernel says that
        # the engine is at both sides
        connection = self._place.reach(wait=False)
        if connection is None:
            return
        with connection, suppress(OSError, ValueError):
            if _resident_bytes(peer(connection)) > self._settings.memory_bytes:
                self.end_peer(connection, "memory")

    def _start(self, place: RunnerPlace) -> "subprocess.Popen[bytes]":
        cause = place.take_cause()
        process = place.start()
        if self._started_once:
            self.restarts += 1
            self.exits[cause] = self.exits.get(cause, 0) + 1
        return process

    def _greeted(self, connection: socket.socket, deadline: float) -> Channel:
        channel = Channel(connection)
        try:
            connection.send(wire.ONE_AT_A_TIME)
            channel.send(self._want(), (), deadline)
            hello, _ = channel.receive(deadline)
            if not isinstance(hello, wire.Hello):
                raise wire.WireError("no greeting")
            if hello.problem:
                raise ModelFailed(hello.problem)
        except BaseException:
            channel.close()
            raise
        self._started_once = True
        return channel

    def _want(self) -> wire.Want:
        desired = self._desired
        return wire.Want(
            self._key,
            desired.runtime,
            desired.path,
            desired.digest,
            desired.weights_path,
            desired.weights_digest,
            desired.options,
            tuple(spec.name for spec in desired.signature.inputs),
            tuple(spec.name for spec in desired.signature.outputs),
            desired.signature.batched,
            desired.batching.max_batch_size,
            desired.batching.max_queue_delay_ms / 1000,
            tuple(spec.datatype for spec in desired.signature.outputs),
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


def _identity(desired: DesiredVersion) -> str:
    content = (desired.runtime, desired.digest, desired.weights_digest, desired.options)
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]


def _resident_bytes(pid: int) -> int:
    # proc(5): pages of the whole, and of it those that are resident
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
