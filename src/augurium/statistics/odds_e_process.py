"""Whether bad events have become more likely in one of two arms, asked as often as one likes.

Given how many events a tick had in both arms, those of the candidate are binomial with its share of
the requests, if its odds are those of the baseline, and fewer if they are less. So neither what
strikes both nor shares that change from tick to tick matter. The evidence is a mixture of
likelihood ratios over log odds ratios and over the times at which they set in. While the candidate
is no worse, it exceeds 1 / a with a probability of at most a, at all times together (Ville 1939).
"""

import math

import msgspec
import numpy as np
from scipy.special import logsumexp

from augurium.core.tensors import Array

LOG_ODDS = np.arange(1, 31) / 10
ODDS = np.exp(LOG_ODDS)
# half of the weight is on a candidate that is bad from the start, and half of the rest on one that
# becomes so within these seconds
AT_THE_START = 0.5
HALF_S = 600.0


class OddsEProcess(msgspec.Struct, frozen=True):
    """The evidence after some ticks.

    `logs` holds for each log odds ratio the logarithm of what its likelihood ratios have made of
    the weight that has begun, and `begun` is that weight.
    """

    seconds: float = 0.0
    begun: float = 0.0
    logs: tuple[float, ...] = ()
    at_the_start: float = AT_THE_START

    def updated(
        self, events: float, of_both: float, share: float, seconds: float
    ) -> "OddsEProcess":
        """After a tick in which `events` of those `of_both` arms were the candidate's, who had this
        share of the requests. A tick in which only one arm was asked says nothing.
        """
        begun = weight_begun(self.seconds, self.at_the_start)
        logs = np.array(self.logs) if self.logs else np.full(len(ODDS), -np.inf)
        after = advanced(logs, begun - self.begun, events, of_both, share)
        return OddsEProcess(self.seconds + seconds, begun, tuple(after.tolist()), self.at_the_start)

    @property
    def log_e(self) -> float:
        """The logarithm of the evidence that the candidate is worse."""
        return float(log_evidence(np.array(self.logs), self.begun)) if self.logs else 0.0


def weight_begun(seconds: float, at_the_start: float = AT_THE_START) -> float:
    """The weight of changes that set in before so many seconds."""
    return at_the_start + (1 - at_the_start) * seconds / (seconds + HALF_S)


def advanced(
    logs: Array, fresh: float, events: Array | float, of_both: Array | float, share: Array | float
) -> Array:
    """The next `logs`, of shape [..., odds], where the weight `fresh` begins with this tick."""
    ratios = log_ratios(np.asarray(events), np.asarray(of_both), np.asarray(share))
    begun = np.logaddexp(logs, math.log(fresh)) if fresh > 0 else logs
    return np.asarray(begun + ratios)


def log_ratios(events: Array, of_both: Array, share: Array) -> Array:
    """The log likelihood ratio of each odds ratio to none: [...] to [..., odds]."""
    mixed = np.where((share > 0) & (share < 1), share, 0.0)[..., None]
    spread = np.log1p(mixed * (ODDS - 1))
    # ln(q(theta) / q) is theta less the spread, and ln((1 - q(theta)) / (1 - q)) the spread alone
    found = events[..., None] * LOG_ODDS - of_both[..., None] * spread
    return np.asarray(np.where(mixed > 0, found, 0.0))


def log_evidence(logs: Array, begun: float) -> Array:
    """The logarithm of the evidence: [..., odds] to [...]."""
    known = logsumexp(logs, axis=-1) - math.log(logs.shape[-1])
    return np.asarray(np.logaddexp(known, math.log(1 - begun)) if begun < 1 else known)
