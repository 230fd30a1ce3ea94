"""Processes that stand still."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path


def freeze(pid: int, database: Path) -> None:
    """Stops a process while it holds no lock of an SQLite database, which nobody could break."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGSTOP)
        connection.rollback()
