"""Patterns of model names: plain names in which `*` stands for any characters, also for none."""

import re
from collections.abc import Iterable

from augurium.core.errors import InvalidArgument

MAX_PATTERNS = 64
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,128}")


def check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns, each once. Raises InvalidArgument for what can match no model name."""
    found = tuple(dict.fromkeys(patterns))
    if len(found) > MAX_PATTERNS:
        raise InvalidArgument(f"{len(found)} model patterns; at most {MAX_PATTERNS} are allowed")
    for pattern in found:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidArgument(
                f"model pattern {pattern[:64]!r} is not allowed: use 1 to 128 of the characters"
                " A-Z a-z 0-9 _ . - and * for any others, such as 'fraud-*'"
            )
    return found


def covers(wide: Iterable[str], narrow: str) -> bool:
    """Whether one of the `wide` patterns matches every name that `narrow` does.

    A plain name is a narrow pattern too. `*` of the narrow pattern is taken as a letter that only a
    `*` of the wide one matches.
    """
    return any(_covers(pattern, narrow) for pattern in wide)


def _covers(wide: str, narrow: str) -> bool:
    # where in `narrow` one may stand: at most one step per letter of each, whatever the pattern;
    # a regular expression of many stars could take years
    reached = {0}
    for letter in wide:
        if letter == "*":
            reached = set(range(min(reached), len(narrow) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(narrow) and narrow[at] == letter}
    return len(narrow) in reached
