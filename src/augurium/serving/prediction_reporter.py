"""Takes what an engine's prediction log holds to control, without holding up a request."""

import asyncio
from concurrent.futures import Executor

from augurium.serving.control_link import ControlLink
from augurium.serving.link import Predictions
from augurium.serving.prediction_log import PredictionLog

INTERVAL_S = 0.25
# rows of one message: text is made of them on a thread, while requests wait for the interpreter
BLOCK = 512


class PredictionReporter:
    """Sends blocks of rows as long as control reads them; otherwise they wait in the log."""

    def __init__(self, log: PredictionLog, link: ControlLink, threads: Executor) -> None:
        self._log = log
        self._link = link
        self._threads = threads
        self._told_dropped = 0

    async def run(self) -> None:
        """Sends until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(INTERVAL_S)
            while self._due and self._link.listening:
                rows = self._log.take(BLOCK)
                content = await loop.run_in_executor(self._threads, self._log.encoded, rows)
                self._send(content, len(rows))

    async def finish(self) -> None:
        """Sends what is left, as far as control reads it."""
        while self._due and self._link.listening:
            rows = self._log.take(BLOCK)
            self._send(self._log.encoded(rows), len(rows))
            await asyncio.sleep(0)

    @property
    def _due(self) -> bool:
        return self._log.waiting > 0 or self._log.dropped > self._told_dropped

    def _send(self, content: bytes, count: int) -> None:
        dropped = self._log.dropped
        self._link.send_predictions(Predictions(content, count, dropped - self._told_dropped))
        self._told_dropped = dropped
