"""Fetches a file for which the disk of the cache has no room, then others of which each has room
where the one before makes way.

Arguments: an empty folder; the store's URL; its endpoint; the digest of the large file; those of
the others, with commas between; the largest file the folder may hold, if it is not a small disk of
its own. Prints what happened.
"""

import json
import resource
import sys
from pathlib import Path

from augurium.core.errors import AuguriumError
from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts


def main(
    folder: Path, url: str, endpoint: str, large: str, fitting: str, max_file_bytes: str = ""
) -> None:
    settings = StorageSettings(artifacts_url=url, s3_endpoint=endpoint)
    store = open_artifacts(settings, folder / "unused", folder / "cache", {})
    if max_file_bytes:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(max_file_bytes), hard))
    refused = ""
    try:
        store.local_path(large)
    except AuguriumError as error:
        refused = f"{error.kind}: {error}"
    left = [path.name for path in (folder / "cache" / "staging").iterdir()]
    sizes = [len(store.local_path(digest).read_bytes()) for digest in fitting.split(",")]
    report = {"refused": refused, "left": left, "sizes": sizes}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
