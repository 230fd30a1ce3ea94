"""What is known of a canary: sums over its ticks, which are all that is kept of them."""

from msgspec import Struct
from msgspec.structs import replace

from augurium.core.arm_counts import ArmCounts
from augurium.core.canary_plan import CanaryPlan
from augurium.statistics.log_histogram import middle
from augurium.statistics.moments import Moments
from augurium.statistics.odds_e_process import OddsEProcess
from augurium.statistics.stratified_difference import StratifiedDifference

# of what hard limits look at, and whether a difference matters: the last one or two of these
WINDOW_S = 30.0


class ArmPair(Struct, frozen=True):
    """Both arms over the same time."""

    baseline: ArmCounts = ArmCounts()
    candidate: ArmCounts = ArmCounts()

    def merged(self, other: "ArmPair") -> "ArmPair":
        """Both times together."""
        return ArmPair(self.baseline.merged(other.baseline), self.candidate.merged(other.candidate))


class Quality(Struct, frozen=True):
    """Moments of the quality metric of both arms, of all outcomes since the canary began."""

    baseline: Moments = Moments()
    candidate: Moments = Moments()


class CanaryTick(Struct, frozen=True):
    """What both arms did in the `seconds` since the last tick.

    Ticks in which nobody asked have empty arms; of a time in which nobody looked there is none.
    `quality` is None where it has not been asked anew. `fault` says why the candidate cannot serve,
    if it cannot: not loaded, out of memory, ended again and again.
    """

    seconds: float
    baseline: ArmCounts = ArmCounts()
    candidate: ArmCounts = ArmCounts()
    quality: Quality | None = None
    fault: str = ""


class BinaryEvidence(Struct, frozen=True):
    """Whether errors, or breaches, are more likely, and how much."""

    process: OddsEProcess = OddsEProcess()
    difference: StratifiedDifference = StratifiedDifference()

    def updated(
        self, candidate: tuple[int, int], baseline: tuple[int, int], seconds: float
    ) -> "BinaryEvidence":
        """After a tick, of which events and requests of each arm are given."""
        (mine, n), (other, m) = candidate, baseline
        share = n / (n + m) if n + m else 0.0
        return BinaryEvidence(
            self.process.updated(mine, mine + other, share, seconds),
            self.difference.updated(mine, n, other, m),
        )


class Evidence(Struct, frozen=True):
    """All of it. `step` are the sums since the step began, `recent` and `earlier` those of the time
    just now and before.
    """

    errors: BinaryEvidence = BinaryEvidence()
    breaches: BinaryEvidence = BinaryEvidence()
    step: ArmPair = ArmPair()
    recent: ArmPair = ArmPair()
    earlier: ArmPair = ArmPair()
    recent_s: float = 0.0
    quality: Quality = Quality()
    fault: str = ""

    @property
    def window(self) -> ArmPair:
        """The last 30 to 60 seconds of this step."""
        return self.earlier.merged(self.recent)

    def watched(self, tick: CanaryTick) -> "Evidence":
        """After a tick that is held against hard limits only, as in warm-up."""
        old, counted = self.recent_s >= WINDOW_S, ArmPair(tick.baseline, tick.candidate)
        recent = ArmPair() if old else self.recent
        return Evidence(
            self.errors,
            self.breaches,
            self.step.merged(counted),
            recent.merged(counted),
            self.recent if old else self.earlier,
            (0.0 if old else self.recent_s) + tick.seconds,
            self.quality if tick.quality is None else tick.quality,
            tick.fault,
        )

    def compared(self, plan: CanaryPlan, tick: CanaryTick) -> "Evidence":
        """After a tick in which the arms are compared."""
        candidate, baseline = tick.candidate, tick.baseline
        return replace(
            self.watched(tick),
            errors=self.errors.updated(
                error_counts(candidate), error_counts(baseline), tick.seconds
            ),
            breaches=self.breaches.updated(
                breach_counts(plan, candidate), breach_counts(plan, baseline), tick.seconds
            ),
        )

    def at_next_step(self) -> "Evidence":
        """What stays known when the weight changes: nothing of how long and how many."""
        return Evidence(self.errors, self.breaches, quality=self.quality)


def error_counts(arm: ArmCounts) -> tuple[int, int]:
    """Errors, and requests."""
    return min(arm.errors, arm.requests), arm.requests


def breach_counts(plan: CanaryPlan, arm: ArmCounts) -> tuple[int, int]:
    """Answers that were too slow, and all whose time is known."""
    answers = sum(arm.latency.values())
    if plan.slo_ms is None:
        return min(arm.slo_breaches, answers), answers
    slo_s = plan.slo_ms / 1000
    return sum(n for place, n in arm.latency.items() if middle(place) > slo_s), answers
