"""How much a request matters when not all can be answered."""

from enum import IntEnum
from typing import Any

from augurium.core.errors import InvalidArgument

HEADER = "augurium-priority"


class Priority(IntEnum):
    """Smaller matters more: what is refused first comes last."""

    CRITICAL = 0
    NORMAL = 1
    BATCH = 2

    @property
    def word(self) -> str:
        """As callers write it."""
        return self.name.lower()


_BY_WORD = {priority.word: priority for priority in Priority}


def priority_of(text: str) -> Priority:
    """The priority that a header names. Raises InvalidArgument for an unknown one."""
    found = _BY_WORD.get(text)
    if found is None:
        raise InvalidArgument(
            f"priority '{text[:32]}' is not known; expected one of {', '.join(_BY_WORD)}"
        )
    return found


def priority_of_level(level: Any) -> Priority | None:
    """The priority that Triton's request parameter means, None for its default.

    There 1 is the highest level and 0 the default one; how many levels there are is a model's own
    matter, so 2 is normal here, and whatever lies below it is batch. The words are taken as well.
    Raises InvalidArgument for what is neither.
    """
    if isinstance(level, str):
        return priority_of(level)
    if isinstance(level, bool) or not isinstance(level, int) or level < 0:
        raise InvalidArgument(
            "parameter 'priority' must be 0 for the default, 1 for critical, 2 for normal, more"
            f" for batch, or one of {', '.join(_BY_WORD)}"
        )
    return None if level == 0 else Priority(min(level, 3) - 1)
