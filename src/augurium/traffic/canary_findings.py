"""What a check of a canary found, and what follows from all of them."""

from enum import StrEnum

from msgspec import Struct


class Outcome(StrEnum):
    """Of one check: good, bad, not known yet, without data, or told only."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    NO_DATA = "no_data"
    TOLD = "told"


class Action(StrEnum):
    """Of all checks together."""

    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    NO_DATA = "no_data"


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one check found.

    `baseline` and `candidate` are the values that were compared, `statistic` what was held against
    `threshold`, `low` and `high` the limits of the difference, `n` the candidate's requests.
    """

    check: str
    outcome: Outcome
    reason: str
    baseline: float | None = None
    candidate: float | None = None
    statistic: float | None = None
    threshold: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


class Verdict(Struct, frozen=True):
    """What to do, and everything that was found."""

    action: Action
    findings: tuple[Finding, ...] = ()

    @property
    def reason(self) -> str:
        """The findings that decided, as one text."""
        deciding = {
            Action.ROLL_BACK: (Outcome.FAILED,),
            Action.HOLD: (Outcome.OPEN,),
            Action.NO_DATA: (Outcome.NO_DATA,),
            Action.PROMOTE: (Outcome.PASSED,),
        }[self.action]
        return "; ".join(one.reason for one in self.findings if one.outcome in deciding)


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """One check that failed rolls back, then one without data says nothing; all others must have
    passed.
    """
    outcomes = {one.outcome for one in findings}
    if Outcome.FAILED in outcomes:
        return Verdict(Action.ROLL_BACK, findings)
    if Outcome.NO_DATA in outcomes:
        return Verdict(Action.NO_DATA, findings)
    return Verdict(Action.HOLD if Outcome.OPEN in outcomes else Action.PROMOTE, findings)
