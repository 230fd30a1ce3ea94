"""Numbers as a report writes them for people."""

import math


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def counted(number: int, one: str) -> str:
    """So many of what `one` is the word for."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def share(value: float) -> str:
    """A share in percent, to three digits; never rounded to nothing or all where it is neither."""
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    if 0 < value < 0.0001:
        return "< 0.01 %"
    return f"{100 * value:.3g} %"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.3g} min" if minutes < 90 else f"{minutes / 60:.3g} h"


def size(number: int) -> str:
    """Bytes."""
    left = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if left < 1024:
            return f"{left:.3g} {unit}"
        left /= 1024
    return f"{left:.3g} TiB"


def amount(value: float) -> str:
    """Money: two decimals, or as many as show two digits of it."""
    digits = 2 if value >= 1 or value <= 0 else 1 - math.floor(math.log10(value))
    return f"{value:.{digits}f}"
