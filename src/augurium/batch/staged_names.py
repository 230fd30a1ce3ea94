"""How files of a job are called, before they are visible and after."""

import hashlib

FOLDER = "_augurium/"
REJECTED = "_rejected/"


def job_folder(job: str) -> str:
    """Where the files of a job wait to become visible, and what it has to remember."""
    return f"{FOLDER}{job}/"


def staged_name(job: str, token: int, name: str, mark: str = "") -> str:
    """What the file that will be `name` is called while it waits, with what one holder of the job
    has written apart from what others have; `mark` tells those apart who write for one holder. No
    pattern for data such as `*.parquet` matches it, because some readers look into every folder.
    """
    return f"{job_folder(job)}{token}{f'-{mark}' if mark else ''}/{name}.staged"


def manifest_name(job: str) -> str:
    """What is written last."""
    return f"{FOLDER}{job}.json"


def part_name(job: str, partition: int, sequel: int, suffix: str) -> str:
    """`part-00017-3f2a90b1c4de.parquet`: no other job has such a name, so that files of several may
    be in one folder. `sequel` counts further files of the same folder and partition.
    """
    more = f"-{sequel}" if sequel else ""
    return f"part-{partition:05d}-{_mark(job)}{more}{suffix}"


def rejected_name(job: str, partition: int, suffix: str) -> str:
    """As `part_name`, for rows that were set aside; `part-*` does not match it."""
    return f"{REJECTED}rejected-{partition:05d}-{_mark(job)}{suffix}"


def _mark(job: str) -> str:
    return hashlib.sha256(job.encode()).hexdigest()[:12]


def is_visible(name: str) -> bool:
    """Whether readers take a file for data: no part of its name begins with `_` or `.`."""
    return not any(part.startswith(("_", ".")) for part in name.split("/"))


def is_manifest(name: str) -> bool:
    """Whether it is what a published job has written last."""
    return name.startswith(FOLDER) and name.count("/") == 1 and name.endswith(".json")
