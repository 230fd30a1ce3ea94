"""A runner: the process that holds one version whose runtime may not live in an engine.

Run by the first engine that needs it as `python -m augurium.serving.runner`, with its order on
standard input and a listening socket among its descriptors. All engines of the node share it. It
needs no supervisor: without an engine connected it ends by itself.
"""

import contextlib
import math
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from augurium.core.errors import AuguriumError, ModelFailed
from augurium.core.tensors import Array
from augurium.importing.confinement import isolate
from augurium.runtimes.runtime import LoadedModel, ParameterizedModel, StreamingModel, load
from augurium.serving import runner_wire as wire
from augurium.serving.integrity import check_file

ANSWER_TIMEOUT_S = 60.0
MESSAGE_CHARACTERS = 2000
FILE_BYTES = 1024**3


class RunnerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner is told: its socket's descriptor, what to load, and when to end by itself.

    `inputs` and `outputs` are the signature's names. It ends `idle_s` after the last engine left,
    and when loading takes more than `load_timeout_s`.
    """

    listener: int
    runtime: str
    path: str
    digest: str
    weights_path: str | None
    weights_digest: str | None
    options: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    idle_s: float
    load_timeout_s: float


class Runner:
    """Serves connections, each on a thread of its own, until no engine needs it any more."""

    def __init__(self, listener: socket.socket, model: LoadedModel, order: RunnerOrder) -> None:
        self._listener = listener
        self._model = model
        self._order = order
        self._lock = threading.Lock()
        self._connections = 0
        self._dismissed = False
        self._wake_up, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Returns when no engine has been connected for a while, or the last one said goodbye."""
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            alone_since = time.monotonic()
            while True:
                with self._lock:
                    alone, dismissed = not self._connections, self._dismissed
                patience_s = alone_since + self._order.idle_s - time.monotonic()
                if alone and (dismissed or patience_s <= 0) and not self._accept():
                    return
                for key, _ in selector.select(max(0.0, patience_s) if alone else None):
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)
                        alone_since = time.monotonic()
                    else:
                        self._accept()

    def _accept(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        with self._lock:
            self._connections += 1
            self._dismissed = False
        threading.Thread(target=self._attend, args=(connection,), daemon=True).start()
        return True

    def _attend(self, connection: socket.socket) -> None:
        channel = wire.Channel(connection)
        try:
            channel.send(wire.Hello(), (), time.monotonic() + ANSWER_TIMEOUT_S)
            while self._answer(channel):
                pass
        except (OSError, wire.WireError):
            # the engine left, or is none: its connection is all it loses
            pass
        finally:
            channel.close()
            with self._lock:
                self._connections -= 1
            self._wake_up.send(b".")

    def _answer(self, channel: wire.Channel) -> bool:
        """Runs one batch; False after a goodbye."""
        message, arrays = channel.receive()
        if isinstance(message, wire.More | wire.Stop):
            # of a stream that ended on its own meanwhile
            return True
        if not isinstance(message, wire.Run):
            with self._lock:
                self._dismissed = isinstance(message, wire.Goodbye)
            return False
        inputs = dict(zip(self._order.inputs, arrays, strict=False))
        if message.ahead:
            self._stream(channel, message, inputs)
            return True
        answer: wire.Message
        try:
            headers, parts = wire.packed(self._outputs(inputs, message.parameters))
            answer = wire.Ran(message.id, headers)
        except Exception as error:  # the edge of the process: frameworks raise whatever they like
            answer, parts = _failure(message.id, error), []
        channel.send(answer, parts, time.monotonic() + ANSWER_TIMEOUT_S)
        return True

    def _outputs(
        self, inputs: dict[str, Array], parameters: Mapping[str, wire.Parameter]
    ) -> list[Array]:
        if parameters and isinstance(self._model, ParameterizedModel):
            return self._model.run_with(inputs, self._order.outputs, parameters)
        return self._model.run(inputs, self._order.outputs)

    def _stream(self, channel: wire.Channel, order: wire.Run, inputs: dict[str, Array]) -> None:
        """Sends one answer after another, never more ahead than the engine allows.

        How long the engine lets wait is the engine's affair, which closes the connection.
        """
        end: wire.Message = wire.Ran(order.id)
        try:
            if not isinstance(self._model, StreamingModel):
                raise ModelFailed(f"runtime '{self._order.runtime}' gives one answer, not several")
            answers = self._model.stream(inputs, self._order.outputs, order.parameters)
            with contextlib.closing(answers):
                self._send_answers(channel, order, answers)
        except (OSError, wire.WireError):
            raise
        except Exception as error:  # the edge of the process: frameworks raise whatever they like
            end = _failure(order.id, error)
        channel.send(end, (), math.inf)

    def _send_answers(
        self, channel: wire.Channel, order: wire.Run, answers: Iterator[list[Array]]
    ) -> None:
        ahead = order.ahead
        while True:
            while ahead <= 0 or not channel.silent:
                message, _ = channel.receive()
                if isinstance(message, wire.Stop) and message.id == order.id:
                    return
                if not isinstance(message, wire.More | wire.Stop):
                    raise wire.WireError("a word that is none while answers come")
                if message.id == order.id and isinstance(message, wire.More):
                    ahead += message.count
            arrays = next(answers, None)
            if arrays is None:
                return
            headers, parts = wire.packed(arrays)
            channel.send(wire.Ran(order.id, headers, more=True), parts, math.inf)
            ahead -= bool(arrays)


def main() -> None:
    """Confines this process, loads the version, and serves it."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=RunnerOrder)
    # a child begins with the mask of its parent, which may block signals
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    listener = socket.socket(fileno=order.listener)
    # again, by this process: from now on the kernel tells engines whom they talk to
    listener.listen(wire.BACKLOG)
    files = [Path(file) for file in (order.path, order.weights_path) if file]
    isolate(readable=files, writable=[Path.cwd()], file_bytes=FILE_BYTES)
    signal.setitimer(signal.ITIMER_REAL, order.load_timeout_s)
    try:
        model = _loaded(order)
    except Exception as error:  # the edge of the process: whoever connects hears the reason
        _refuse(listener, _reason(error), order.load_timeout_s)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)
        Runner(listener, model, order).serve()
    # threads of frameworks need no farewell, and some never end
    os._exit(0)


def _loaded(order: RunnerOrder) -> LoadedModel:
    path = Path(order.path)
    check_file(path, order.digest)
    weights = Path(order.weights_path) if order.weights_path else None
    if weights and order.weights_digest:
        check_file(weights, order.weights_digest)
    return load(order.runtime, path, order.options, weights)


def _failure(run: int, error: Exception) -> wire.Failed:
    if isinstance(error, AuguriumError):
        return wire.Failed(run, str(error)[:MESSAGE_CHARACTERS])
    said = f"the model failed: {type(error).__name__}: {error}"
    return wire.Failed(run, said[:MESSAGE_CHARACTERS])


def _reason(error: Exception) -> str:
    if isinstance(error, AuguriumError):
        return str(error)[:MESSAGE_CHARACTERS]
    return f"the model cannot be loaded: {type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]


def _refuse(listener: socket.socket, reason: str, patience_s: float) -> None:
    """Tells the reason to everyone who waits, which is one engine at least."""
    listener.settimeout(patience_s)
    try:
        while True:
            connection, _ = listener.accept()
            channel = wire.Channel(connection)
            channel.send(wire.Hello(reason), (), time.monotonic() + patience_s)
            channel.close()
            listener.settimeout(0)
    except OSError:
        return


if __name__ == "__main__":
    main()
