"""What the figures were taken on: facts of the machine and versions of the tools."""

import os
import platform
import re
import subprocess
from pathlib import Path

import psutil


def machine_facts() -> dict[str, str]:
    """Processor, cores, memory, kernel and Python, in words; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def tool_versions() -> dict[str, str]:
    """The load generators."""
    return {
        "wrk": _first_match(r"wrk (?:debian/)?(\S+)", ("wrk", "-v")),
        "h2load": _first_match(r"nghttp2/(\S+)", ("h2load", "--version")),
        "gcc": _first_match(r"(\d+\.\d+\.\d+)", ("gcc", "--version")),
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def _first_match(pattern: str, command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else "unknown"
