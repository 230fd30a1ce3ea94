"""What Linux tells of processes in files, see proc(5)."""

from pathlib import Path

PROCESSES = Path("/proc")


def stat_fields(process: int) -> list[str]:
    """The fields of `/proc/PID/stat` after the name. Raises OSError when the process is gone."""
    text = (PROCESSES / str(process) / "stat").read_text(errors="replace")
    # the name may hold blanks and brackets; the fields begin after its last bracket
    return text.rpartition(")")[2].split()
