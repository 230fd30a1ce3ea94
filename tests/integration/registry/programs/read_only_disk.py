"""Makes the disk under an artifact store and a registry read-only; prints what they say then.

Arguments: an empty folder; `mounted` if it is a disk of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from augurium.core.clock import SystemClock
from augurium.core.errors import AuguriumError
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.sql_registry import SqlRegistry

NOBODY = 65534


def make_read_only(folder: Path, mounted: bool) -> None:
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        return
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    # root may write everywhere
    if os.geteuid() == 0:
        os.setuid(NOBODY)


def refusal(work: Callable[[], Any]) -> str | None:
    """The kind and the text of the error that `work` raises."""
    try:
        work()
    except AuguriumError as error:
        return f"{error.kind}: {error}"
    return None


def main(folder: Path, mounted: bool) -> None:
    url = sqlite_url(folder / "registry.db")
    artifacts = ObstoreArtifacts(folder / "artifacts")
    known = artifacts.put([b"content"], 1000)
    SqlRegistry(open_database(url), SystemClock()).close()
    make_read_only(folder, mounted)
    reports = {
        "put": refusal(lambda: artifacts.put([b"more"], 1000)),
        "put_again": refusal(lambda: artifacts.put([b"content"], 1000)),
        "new_store": refusal(lambda: ObstoreArtifacts(folder / "other")),
        "open_database": refusal(lambda: open_database(url)),
        "content": artifacts.local_path(known.digest).read_text(),
    }
    sys.stdout.write(json.dumps(reports))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["mounted"])
