"""Processes as the machine sees them: one may end at any moment, and be a zombie for another."""

from collections.abc import Sequence

import psutil


def command(process: psutil.Process) -> Sequence[str]:
    """The words it was started with; none when it has ended."""
    try:
        words: Sequence[str] = process.cmdline()
    except psutil.Error:
        return ()
    return words


def children_that_run(module: str, parent: int) -> Sequence[psutil.Process]:
    """The living children of a process that run a module (`python -m MODULE …`)."""
    try:
        children = psutil.Process(parent).children()
    except psutil.NoSuchProcess:
        return ()
    return [one for one in children if module in command(one)]
