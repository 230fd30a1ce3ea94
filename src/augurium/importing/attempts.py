"""Making candidates one engine after the other, inside the converting child.

Converters hang and crash; the parent reads from a small file which engine was being worked on, and
starts the child again without it.
"""

from collections.abc import Callable
from pathlib import Path

from augurium.core.errors import AuguriumError
from augurium.importing.conversion import Candidate, Tried

ENGINE_FILE = "engine"
SAID_CHARACTERS = 600


class Attempts:
    """Candidates of the engines that are wanted, and why others made none.

    `versions` is for those of converters, which are known only where one was used.
    """

    def __init__(self, engines: frozenset[str]) -> None:
        self._engines = engines
        self._candidates: list[Candidate] = []
        self._tried: list[Tried] = []
        self.versions: dict[str, str] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(self._candidates)

    @property
    def tried(self) -> tuple[Tried, ...]:
        return tuple(self._tried)

    def wants(self, engine: str) -> bool:
        """Whether the engine is still in question."""
        return engine in self._engines

    def make(self, engine: str, candidate: Callable[[], Candidate]) -> None:
        """Calls `candidate` if the engine is wanted; what it raises is recorded as the outcome."""
        if not self.wants(engine):
            return
        note = Path(ENGINE_FILE)
        note.write_text(engine)
        try:
            self._candidates.append(candidate())
        except MemoryError:
            self._tried.append(Tried(engine=engine, outcome="out of memory"))
        except AuguriumError as error:
            self._tried.append(Tried(engine=engine, outcome=f"unsupported: {_said(error)}"))
        except Exception as error:  # converters raise whatever they like
            outcome = f"unsupported: {type(error).__name__}: {_said(error)}"
            self._tried.append(Tried(engine=engine, outcome=outcome))
        finally:
            note.unlink(missing_ok=True)

    def skip(self, engine: str, why: str) -> None:
        """Records an engine that is known to fail, so that nobody waits for it."""
        if self.wants(engine):
            self._tried.append(Tried(engine=engine, outcome=f"unsupported: {why}"))

    def refuse(self, engine: str, why: str) -> None:
        """Records an engine that is known to answer wrongly without a word."""
        if self.wants(engine):
            self._tried.append(Tried(engine=engine, outcome=f"refused: {why}"))


def _said(error: Exception) -> str:
    # further lines are traces of native code
    lines = str(error).splitlines()
    return lines[0][:SAID_CHARACTERS] if lines else ""
