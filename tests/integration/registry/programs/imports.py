"""Imports all of `augurium.registry`; prints the modules, the threads, and what else was done."""

import importlib
import json
import pkgutil
import sys
import threading
from typing import Any

WORK = (
    "_thread.", "os.mkdir", "os.remove", "os.rename", "socket.", "sqlite3.", "subprocess.",
)  # fmt: skip


def main() -> None:
    work: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        # the import system's own writing of bytecode gives no mode
        wrote = event == "open" and "w" in str(arguments[1])
        if event.startswith(WORK) or wrote:
            work.append(f"{event} {arguments}")

    sys.addaudithook(watch)
    package = importlib.import_module("augurium.registry")
    names = [
        f"augurium.registry.{module.name}" for module in pkgutil.iter_modules(package.__path__)
    ]
    for name in names:
        importlib.import_module(name)
    sys.stdout.write(
        json.dumps({"modules": names, "threads": threading.active_count(), "work": work})
    )


if __name__ == "__main__":
    main()
