"""Lists of CPUs as Linux writes them: `0-3,8`."""

import re

from augurium.core.errors import InvalidArgument

MOST_CPUS = 4096
MOST_CHARACTERS = 1000
PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def cpus_of(text: str) -> tuple[int, ...]:
    """The numbers of the CPUs, in order, each once; none for an empty text.

    Raises InvalidArgument for what is no list (cpuset(7), "List format").
    """
    if not text:
        return ()
    if len(text) > MOST_CHARACTERS:
        raise _no_list(text)
    found: set[int] = set()
    for part in text.split(","):
        matched = PART.fullmatch(part.strip(" "))
        if matched is None:
            raise _no_list(text)
        first = int(matched[1])
        last = int(matched[2] or first)
        if last < first or last >= MOST_CPUS:
            raise _no_list(text)
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def _no_list(text: str) -> InvalidArgument:
    return InvalidArgument(
        f"'{text[:64]}' is no list of CPUs; expected numbers and ranges below {MOST_CPUS}, such as"
        " 0-3,8"
    )
