"""Watches the engines load one version, and says why they did not."""

import asyncio
import contextlib

from augurium.control.engine_link import FAILED, READY, EngineLink
from augurium.control.link_hub import LinkHub
from augurium.core.errors import DeadlineExceeded, NotReady, Unprocessable

# engines that are just coming back, or that have not found a control which is, take about a second
PATIENCE_S = 5.0


class LoadWatch:
    """One version on its way into all engines.

    An engine that dies before it said how the load ended counts as a failure: most often the load
    is what killed it, and to try on would kill it again.
    """

    def __init__(self, hub: LinkHub, model: str, version: int, stopping: asyncio.Event) -> None:
        self._hub = hub
        self._model = model
        self._version = version
        self._stopping = stopping
        self._seen: dict[EngineLink, None] = {}

    async def until_somebody(self) -> None:
        """Returns once an engine is connected; as a rule, at once.

        Raises NotReady when none comes within `PATIENCE_S`, or when control is told to stop.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not self._hub.links() and not self._stopping.is_set():
                    await self._hub.change()
        self._require_engines()

    def _require_engines(self) -> None:
        if self._stopping.is_set():
            raise NotReady("the server is stopping; nothing was deployed")
        if not self._hub.links():
            raise NotReady(
                "no engine is connected, so nothing can be deployed; "
                "see /api/v1/ready for what is missing"
            )

    async def until_ready(self, revision: int, timeout_s: float) -> None:
        """Returns when every connected engine has the version ready, as of `revision` or later.

        Raises Unprocessable with the engine's reason when one failed, DeadlineExceeded when one
        takes longer than `timeout_s`, NotReady when control is told to stop.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self._all_ready(revision):
                    await self._hub.change()
        except TimeoutError:
            late = ", ".join(link.hello.engine for link in self._pending(revision))
            raise DeadlineExceeded(
                f"{self._named} was not ready within {timeout_s:g} s in {late}; it was not deployed"
            ) from None

    def _all_ready(self, revision: int) -> bool:
        self._seen |= dict.fromkeys(self._hub.links())
        for link in self._seen:
            self._raise_if_failed(link, revision)
        self._require_engines()
        return not self._pending(revision)

    def _raise_if_failed(self, link: EngineLink, revision: int) -> None:
        state = link.state_of(self._model, self._version, revision)
        engine = link.hello.engine
        if state is not None and state.state == FAILED:
            raise Unprocessable(f"{self._named} cannot be loaded in {engine}: {state.reason}")
        if not link.open and (state is None or state.state != READY):
            raise Unprocessable(
                f"{engine} ended while it loaded {self._named}; nothing was deployed. "
                "Look into its log; if it was stopped on purpose, deploy again"
            )

    def _pending(self, revision: int) -> list[EngineLink]:
        states = {
            link: link.state_of(self._model, self._version, revision) for link in self._hub.links()
        }
        return [link for link, state in states.items() if state is None or state.state != READY]

    @property
    def _named(self) -> str:
        return f"{self._model}@{self._version}"
