"""What the trial of one engine showed, and which engine serves."""

from collections.abc import Sequence

import msgspec

from augurium.importing.job import Verified
from augurium.runtimes.runtime import IN_ENGINE

# what a request pays for reaching another process and coming back, measured on a busy machine
HOP_MS = 0.15
CLEARLY_FASTER = 2.0
ONE_ROW = "1"
A_BATCH = "64"
OK = "ok"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One engine: how it ended and, if it passed parity, what was measured.

    `file` and `weights` are full paths; `outcome` is `ok` or as in `Tried`, or `mismatch: ...`,
    `failed: ...`, `not needed: ...`.
    """

    engine: str
    outcome: str
    options: dict[str, str] = {}
    file: str = ""
    weights: str | None = None
    verified: Verified | None = None

    def cost_ms(self, batch: str) -> float:
        """Time of a batch as a request sees it, with the way to the engine's process."""
        latency = self.verified.latency_ms if self.verified else {}
        found = latency.get(batch, max(latency.values(), default=0.0))
        return found + (0.0 if self.engine in IN_ENGINE else HOP_MS)


class Choice(msgspec.Struct, frozen=True):
    """The engine that serves, and why it does."""

    trial: Trial
    because: str


def is_beyond_reach(trial: Trial) -> bool:
    """Whether no engine of another process can be clearly faster than this one, which passed."""
    if trial.engine not in IN_ENGINE:
        return False
    return trial.cost_ms(ONE_ROW) <= HOP_MS or trial.cost_ms(A_BATCH) <= CLEARLY_FASTER * HOP_MS


def choose(trials: Sequence[Trial], wanted: str | None) -> Choice | None:
    """The first engine that passed, unless a later one is clearly faster; None if none passed.

    `trials` are in the order of engines. Clearly faster: half the time at batch 64, the way to
    another process included, and no slower on a single row.
    """
    passed = [trial for trial in trials if trial.verified]
    if not passed:
        return None
    best = passed[0]
    if wanted is not None:
        return Choice(best, f"engine {wanted} was asked for")
    because = _why_first(best, trials)
    for other in passed[1:]:
        if CLEARLY_FASTER * other.cost_ms(A_BATCH) <= best.cost_ms(A_BATCH) and other.cost_ms(
            ONE_ROW
        ) <= best.cost_ms(ONE_ROW):
            because = (
                f"{other.engine} answers {A_BATCH} rows in {other.cost_ms(A_BATCH):.2f} ms where "
                f"{best.engine} takes {best.cost_ms(A_BATCH):.2f} ms"
            )
            best = other
    return Choice(best, because)


def _why_first(best: Trial, trials: Sequence[Trial]) -> str:
    failed = [t.engine for t in trials[: trials.index(best)]]
    if failed:
        return f"{best.engine} passed parity; {', '.join(failed)} did not"
    if len(trials) == 1:
        return f"{best.engine} passed parity"
    return f"{best.engine} passed parity, and no other engine is clearly faster"
