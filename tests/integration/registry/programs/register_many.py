"""Registers versions of one model, one after the other, and prints their numbers.

Arguments: database file, model, how many.
"""

import json
import sys
from pathlib import Path

from augurium.core.clock import SystemClock
from augurium.core.signature import Signature
from augurium.registry.database import open_database, sqlite_url
from augurium.registry.records import Artifact, VersionDraft
from augurium.registry.sql_registry import SqlRegistry


def main(database: Path, model: str, count: int) -> None:
    registry = SqlRegistry(open_database(sqlite_url(database), 60.0), SystemClock())
    draft = VersionDraft(
        framework="onnx",
        framework_version="1.21",
        runtime="onnx",
        source=Artifact("a" * 64, 1),
        source_name="model.onnx",
        servable=Artifact("a" * 64, 1),
        signature=Signature(inputs=(), outputs=()),
    )
    numbers = [registry.register(model, draft, "process").version for _ in range(count)]
    registry.close()
    sys.stdout.write(json.dumps(numbers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
