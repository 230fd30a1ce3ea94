"""The places of variants: every unit falls into one of 10 000 slots, every slot is a variant's.

When shares change, a variant that loses gives up its last slots and one that gains takes them; all
others stay, so that as few units move as the new weights allow.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from msgspec import Struct

# 0.01 percent each
SLOTS = 10_000
NOBODY = ""


class SlotRun(Struct, frozen=True):
    """So many slots one after another."""

    variant: str
    slots: int


def rearranged(before: Sequence[SlotRun], wanted: Mapping[str, int]) -> tuple[SlotRun, ...]:
    """The places with so many slots for each variant, `SLOTS` together, moving as few as can be.

    Without variants they are as before: a split that comes back finds its units again.
    """
    if not wanted:
        return tuple(before)
    places = [run.variant for run in before for _ in range(run.slots)]
    places += [NOBODY] * (SLOTS - len(places))
    missing = Counter(wanted)
    missing.subtract(Counter(places))
    for place in range(SLOTS - 1, -1, -1):
        if missing[places[place]] < 0:
            missing[places[place]] += 1
            places[place] = NOBODY
    takers = (name for name in wanted for _ in range(missing[name]))
    taken = (name or next(takers) for name in places)
    return tuple(SlotRun(name, sum(1 for _ in run)) for name, run in groupby(taken))
