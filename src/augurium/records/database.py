"""DuckDB, within folders, memory and threads that it is given, and without network.

It is loaded with the first use, never in an engine. Parquet is part of it: nothing is installed.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from augurium.core.errors import DeadlineExceeded, InsufficientStorage, NotReady
from augurium.core.files import remove_folder
from augurium.records.schema import quoted_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_BYTES = 256 * 1024 * 1024
THREADS = 2
TIMEOUT_S = 60.0


class RecordDatabase:
    """An instance in memory for reading and writing Parquet files in `folders`, and no others.

    What does not fit into its memory goes to `temporary`, which it empties and owns. May be used
    from several threads, each with a connection of its own.
    """

    def __init__(
        self,
        temporary: Path,
        folders: Sequence[Path],
        memory_bytes: int = MEMORY_BYTES,
        threads: int = THREADS,
    ) -> None:
        self.temporary = temporary.absolute()
        self._folders = [self.temporary, *(folder.absolute() for folder in folders)]
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes // 1024} KiB",
            "threads": threads,
            "temp_directory": str(self.temporary / "spilled"),
            "max_temp_directory_size": f"{8 * memory_bytes // 1024} KiB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "preserve_insertion_order": True,
        }
        self._lock = threading.Lock()
        self._instance: DuckDBPyConnection | None = None

    def close(self) -> None:
        """Ends the instance; the next use starts another."""
        with self._lock:
            instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    @contextlib.contextmanager
    def connection(self, timeout_s: float = TIMEOUT_S) -> Iterator["DuckDBPyConnection"]:
        """A connection for one piece of work, which is broken off after `timeout_s`.

        Raises DeadlineExceeded then, InsufficientStorage where memory and temporary files do not
        suffice or the disk is full, and NotReady where files cannot be read.
        """
        import duckdb

        cursor = self._started().cursor()
        watch = threading.Timer(timeout_s, cursor.interrupt)
        watch.daemon = True
        watch.start()
        try:
            yield cursor
        except duckdb.InterruptException as error:
            raise DeadlineExceeded(
                f"the records could not be read within {timeout_s:g} s; ask for a shorter time"
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise InsufficientStorage(
                "the records need more memory than is set aside for reading them; ask for a "
                "shorter time"
            ) from error
        except duckdb.IOException as error:
            raise _io_error(error) from error
        finally:
            watch.cancel()
            cursor.close()

    def _started(self) -> "DuckDBPyConnection":
        with self._lock:
            if self._instance is None:
                self._instance = self._start()
            return self._instance

    def _start(self) -> "DuckDBPyConnection":
        import duckdb

        if self.temporary.exists():
            remove_folder(self.temporary)
        self.temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        instance = duckdb.connect(":memory:", config=self._config)
        # a path in a statement, should one ever come from a stranger, leads nowhere
        allowed = ", ".join(quoted_text(f"{folder}/") for folder in self._folders)
        instance.execute(f"SET allowed_directories = [{allowed}]")
        instance.execute("SET enable_external_access = false")
        instance.execute("SET lock_configuration = true")
        return instance


def _io_error(error: Exception) -> InsufficientStorage | NotReady:
    text = str(error)
    if "No space left" in text or "File too large" in text or "quota" in text:
        return InsufficientStorage("the disk of the records is full; free some space")
    return NotReady("records cannot be read or written at the moment; try again")
