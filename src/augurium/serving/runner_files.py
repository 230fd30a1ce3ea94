"""Files for a runner that may read one folder only, and is asked for versions that were not known
when it started.
"""

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from augurium.core.errors import ModelFailed
from augurium.core.files import remove_folder

_numbers = itertools.count()


class LentFiles:
    """A folder that a runner may read and not write; a file is in it while it is loaded.

    A file is linked, which takes no room; where that is refused (another file system, or another's
    file: protected_hardlinks in proc_sys_fs(5)), it is copied.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        """The folder, empty; before the runner starts. Raises OSError."""
        remove_folder(self.folder)
        self.folder.mkdir(mode=0o700)

    @contextmanager
    def lent(self, files: Sequence[str | None]) -> Iterator[list[str | None]]:
        """The paths under which the runner finds these files, within the block. What is missing is
        missing there too. Raises ModelFailed when there is no room.
        """
        lent: list[str | None] = []
        try:
            # one by one: what was lent before one could not be is taken back too
            lent.extend(self._lent(file) if file else None for file in files)
            yield lent
        finally:
            for path in lent:
                if path:
                    Path(path).unlink(missing_ok=True)

    def _lent(self, file: str) -> str:
        # of this engine and this load alone: nobody else takes it away
        target = self.folder / f"{os.getpid()}-{next(_numbers)}"
        source = os.path.realpath(file)
        try:
            os.link(source, target)
        except FileNotFoundError:
            pass
        except OSError:
            _copy(source, target)
        return str(target)


def _copy(source: str, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ModelFailed(f"its file cannot be lent to its runner: {error.strerror}") from error
