"""What a job cost: the seconds of cores that its processes used, at a price per core and hour."""

import msgspec


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts are in the currency of `per_core_hour`; None where no price is set.

    `per_thousand` and `per_million` are of rows that got an answer, None where none did.
    """

    core_hours: float
    per_core_hour: float | None = None
    total: float | None = None
    per_thousand: float | None = None
    per_million: float | None = None


def cost_of(core_s: float, rows: int, per_core_hour: float) -> Cost:
    """The cost of so many answers; a price of 0 is none."""
    hours = core_s / 3600
    if not per_core_hour:
        return Cost(core_hours=hours)
    total = hours * per_core_hour
    return Cost(
        core_hours=hours,
        per_core_hour=per_core_hour,
        total=total,
        per_thousand=total / rows * 1e3 if rows else None,
        per_million=total / rows * 1e6 if rows else None,
    )
