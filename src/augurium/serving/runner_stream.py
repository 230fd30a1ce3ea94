"""One stream of answers from a runner, as its engine reads it: no faster than it is passed on."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

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
_ANSWERS = wire.Ran | wire.Failed | wire.Begun


class AskedRunner(NamedTuple):
    """A runner that was asked for a stream: the connection, and the number of the run there.

    `give_back` is told whether the connection is good for another run, `end` why the runner loses
    its life.
    """

    channel: Channel
    run_id: int
    give_back: Callable[[bool], None]
    end: Callable[[str], None]


class RunnerStream:
    """Reads from a connection of its own, which it gives back in the end.

    `take` and `finish` are called on threads and may block, `stop` may be called at any time. A
    runner that says nothing for `step_timeout_s` loses its life. `ask` finds a runner and asks it;
    when that ends before it has begun, the next one is asked. It raises ModelFailed, also here.
    """

    def __init__(
        self,
        ask: Callable[[], AskedRunner],
        step_timeout_s: float,
        check: Callable[[list[Array]], None],
    ) -> None:
        # None once a runner has begun
        self._ask: Callable[[], AskedRunner] | None = ask
        self._asked = ask()
        self._step_timeout_s = step_timeout_s
        self._check = check
        self._reading = threading.Lock()
        # held while something is said, and while it is decided that nothing more may be
        self._saying = threading.Lock()
        self._passed_on = 0
        self._failure: ModelFailed | None = None
        self._stopped = False
        self.ended = False

    def take(self) -> list[list[Array]]:
        """The next answers, none at the end. Raises ModelFailed when the model does."""
        with self._reading:
            if self._failure is not None:
                raise self._failure
            if self._passed_on:
                self._say(wire.More(self._asked.run_id, self._passed_on))
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
        self._stopped = True
        self._say(wire.Stop(self._asked.run_id))

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
            not answers or (size < TOGETHER_BYTES and not self._asked.channel.silent)
        ):
            found = self._receive()
            if found:
                self._check(found)
                answers.append(found)
                size += sum(array.nbytes for array in found)

    def _receive(self) -> list[Array]:
        try:
            message, arrays = self._asked.channel.receive(time.monotonic() + self._step_timeout_s)
            if not isinstance(message, _ANSWERS) or message.id != self._asked.run_id:
                raise wire.WireError("an answer to another question")
        except TimeoutError:
            self._asked.end("hang")
            self._end(sound=False)
            raise RunLost(
                f"the model gave no answer within {self._step_timeout_s:g} s; its runner was"
                " stopped and is started again"
            ) from None
        except wire.WireError as error:
            self._asked.end("wire")
            self._end(sound=False)
            raise RunLost(f"its runner answered with {error}; it is started again") from error
        except OSError as error:
            if self._ask is not None and not self._stopped:
                self._ask_again(self._ask)
                return []
            self._end(sound=False)
            raise RunLost("the model ended its runner, which is started again") from error
        if isinstance(message, wire.Begun):
            self._ask = None
            return []
        if isinstance(message, wire.Failed):
            self._end(sound=True)
            raise ModelFailed(message.message)
        if not message.more:
            self._end(sound=True)
            return []
        return arrays

    def _ask_again(self, ask: Callable[[], AskedRunner]) -> None:
        """The runner ended before it had begun: the next one is asked."""
        self._asked.give_back(False)
        try:
            asked = ask()
        except ModelFailed:
            with self._saying:
                self.ended = True
            raise
        with self._saying:
            self._asked = asked
        if self._stopped:
            # said to nobody, while there was none
            self._say(wire.Stop(asked.run_id))

    def _say(self, word: wire.More | wire.Stop) -> None:
        with self._saying:
            # after the end the connection may serve another run already
            if not self.ended:
                with suppress(OSError):
                    self._asked.channel.send(word, (), time.monotonic() + WORD_S)

    def _end(self, *, sound: bool) -> None:
        with self._saying:
            self.ended = True
        self._asked.give_back(sound)
