"""One stream of answers from a runner, as its engine reads it: no faster than it is passed on."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from augurium.core.errors import ModelFailed
from augurium.core.tensors import Array
from augurium.serving import runner_wire as wire
from augurium.serving.executor import RunLost
from augurium.serving.runner_channel import Channel

# answers a runner may be ahead of its caller
AHEAD = 8
# answers that are there already are taken together up to this size
TOGETHER_BYTES = 64 * 1024
WORD_S = 1.0


class RunnerStream:
    """Reads from a connection of its own, which it gives back in the end.

    `take` and `finish` are called on threads and may block, `stop` may be called at any time. A
    runner that says nothing for `step_timeout_s` loses its life. `give_back` is told whether the
    connection is good for another run, `end_runner` why the runner loses its life.
    """

    def __init__(
        self,
        channel: Channel,
        run_id: int,
        step_timeout_s: float,
        check: Callable[[list[Array]], None],
        give_back: Callable[[bool], None],
        end_runner: Callable[[str], None],
    ) -> None:
        self._channel = channel
        self._id = run_id
        self._step_timeout_s = step_timeout_s
        self._check = check
        self._give_back = give_back
        self._end_runner = end_runner
        self._reading = threading.Lock()
        # held while something is said, and while it is decided that nothing more may be
        self._saying = threading.Lock()
        self._passed_on = 0
        self._failure: ModelFailed | None = None
        self.ended = False

    def take(self) -> list[list[Array]]:
        """The next answers, none at the end. Raises ModelFailed when the model does."""
        with self._reading:
            if self._failure is not None:
                raise self._failure
            if self._passed_on:
                self._say(wire.More(self._id, self._passed_on))
            answers: list[list[Array]] = []
            try:
                self._gather(answers)
            except ModelFailed as error:
                if not answers:
                    raise
                # what came before it comes before it
                self._failure = error
            self._passed_on = len(answers)
            return answers

    def stop(self) -> None:
        """Tells the runner that nobody waits for answers any more; returns at once."""
        self._say(wire.Stop(self._id))

    def finish(self) -> None:
        """Waits for the end of a stream that was told to stop; a runner that does not stop within
        the time of a step is ended.
        """
        with self._reading, suppress(ModelFailed):
            while not self.ended:
                self._receive()

    def _gather(self, answers: list[list[Array]]) -> None:
        size = 0
        while not self.ended and (
            not answers or (size < TOGETHER_BYTES and not self._channel.silent)
        ):
            found = self._receive()
            if found:
                self._check(found)
                answers.append(found)
                size += sum(array.nbytes for array in found)

    def _receive(self) -> list[Array]:
        try:
            message, arrays = self._channel.receive(time.monotonic() + self._step_timeout_s)
            if not isinstance(message, wire.Ran | wire.Failed) or message.id != self._id:
                raise wire.WireError("an answer to another question")
        except TimeoutError:
            self._end_runner("hang")
            self._end(sound=False)
            raise RunLost(
                f"the model gave no answer within {self._step_timeout_s:g} s; its runner was"
                " stopped and is started again"
            ) from None
        except wire.WireError as error:
            self._end_runner("wire")
            self._end(sound=False)
            raise RunLost(f"its runner answered with {error}; it is started again") from error
        except OSError as error:
            self._end(sound=False)
            raise RunLost("the model ended its runner, which is started again") from error
        if isinstance(message, wire.Failed):
            self._end(sound=True)
            raise ModelFailed(message.message)
        if not message.more:
            self._end(sound=True)
            return []
        return arrays

    def _say(self, word: wire.More | wire.Stop) -> None:
        with self._saying:
            # after the end the connection may serve another run already
            if not self.ended:
                with suppress(OSError):
                    self._channel.send(word, (), time.monotonic() + WORD_S)

    def _end(self, *, sound: bool) -> None:
        with self._saying:
            self.ended = True
        self._give_back(sound)
