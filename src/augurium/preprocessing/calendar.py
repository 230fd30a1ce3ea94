"""Parts of a point in time, from seconds since 1970 in UTC, in the proleptic Gregorian calendar.

Everything is arithmetic on whole numbers held in doubles, where it is exact, so that the same steps
make the compiled graph. Days to dates: Howard Hinnant, "chrono-Compatible Low-Level Date
Algorithms", `civil_from_days`.
"""

from functools import cached_property
from typing import Any, Protocol

# year 1 to year 9999
FIRST_SECOND = -62135596800.0
END_SECOND = 253402300800.0
PARTS = ("year", "month", "day", "hour", "weekday", "day_of_year", "is_weekend", "epoch_day")


class Arithmetic(Protocol):
    """The operations that the calendar needs, on NumPy arrays or on values of a graph."""

    def add(self, value: Any, other: Any) -> Any:
        """Value + other."""
        ...

    def times(self, value: Any, factor: float) -> Any:
        """Value * factor."""
        ...

    def quotient(self, value: Any, divisor: float) -> Any:
        """The largest whole number not above value / divisor."""
        ...


class Calendar:
    """The parts of one column of seconds; what several need is computed once.

    Seconds are whole or not, missing (NaN) or in the years 1 to 9999.
    """

    def __init__(self, seconds: Any, arithmetic: Arithmetic) -> None:
        self._do = arithmetic
        self._seconds = arithmetic.quotient(seconds, 1.0)

    def part(self, name: str) -> Any:
        """The part of that name; see `PARTS`."""
        return getattr(self, f"_{name}")

    @cached_property
    def _epoch_day(self) -> Any:
        return self._do.quotient(self._seconds, 86400.0)

    @cached_property
    def _hour(self) -> Any:
        second_of_day = self._remainder(self._seconds, self._epoch_day, 86400.0)
        return self._do.quotient(second_of_day, 3600.0)

    @cached_property
    def _weekday(self) -> Any:
        shifted = self._do.add(self._epoch_day, 3.0)
        return self._remainder(shifted, self._do.quotient(shifted, 7.0), 7.0)

    @cached_property
    def _is_weekend(self) -> Any:
        # through the weekday, not by comparing alone: missing stays missing
        return self._do.quotient(self._do.add(self._weekday, 2.0), 7.0)

    @cached_property
    def _shifted_day(self) -> Any:
        return self._do.add(self._epoch_day, 719468.0)

    @cached_property
    def _era(self) -> Any:
        return self._do.quotient(self._shifted_day, 146097.0)

    @cached_property
    def _day_of_era(self) -> Any:
        return self._remainder(self._shifted_day, self._era, 146097.0)

    @cached_property
    def _year_of_era(self) -> Any:
        do, day = self._do, self._day_of_era
        found = do.add(day, do.times(do.quotient(day, 1460.0), -1.0))
        found = do.add(found, do.quotient(day, 36524.0))
        found = do.add(found, do.times(do.quotient(day, 146096.0), -1.0))
        return do.quotient(found, 365.0)

    @cached_property
    def _day_from_march(self) -> Any:
        do, year = self._do, self._year_of_era
        before = do.add(do.times(year, 365.0), do.quotient(year, 4.0))
        before = do.add(before, do.times(do.quotient(year, 100.0), -1.0))
        return do.add(self._day_of_era, do.times(before, -1.0))

    @cached_property
    def _month_from_march(self) -> Any:
        do = self._do
        return do.quotient(do.add(do.times(self._day_from_march, 5.0), 2.0), 153.0)

    @cached_property
    def _in_next_year(self) -> Any:
        """1 in January and February, which end the year that begins in March."""
        return self._do.quotient(self._month_from_march, 10.0)

    @cached_property
    def _month(self) -> Any:
        do = self._do
        return do.add(do.add(self._month_from_march, 3.0), do.times(self._in_next_year, -12.0))

    @cached_property
    def _day(self) -> Any:
        do = self._do
        before = do.quotient(do.add(do.times(self._month_from_march, 153.0), 2.0), 5.0)
        return do.add(do.add(self._day_from_march, 1.0), do.times(before, -1.0))

    @cached_property
    def _year(self) -> Any:
        do = self._do
        found = do.add(self._year_of_era, do.times(self._era, 400.0))
        return do.add(found, self._in_next_year)

    @cached_property
    def _day_of_year(self) -> Any:
        do = self._do
        past = do.add(self._year, -1.0)
        before = do.add(do.times(past, 365.0), do.quotient(past, 4.0))
        before = do.add(before, do.times(do.quotient(past, 100.0), -1.0))
        before = do.add(before, do.quotient(past, 400.0))
        return do.add(do.add(self._epoch_day, 719163.0), do.times(before, -1.0))

    def _remainder(self, value: Any, quotient: Any, divisor: float) -> Any:
        return self._do.add(value, self._do.times(quotient, -divisor))
