"""What Linux says of a process or one of its threads in `stat`."""

from pathlib import Path


def stat_fields(folder: Path) -> list[str]:
    """The fields after the name, which may contain anything: the state first. `folder` is that of a
    process, or of a thread, in /proc. Raises OSError.

    Source: proc_pid_stat(5), whose field 3 is the first one here.
    """
    return (folder / "stat").read_text().rpartition(")")[2].split()
