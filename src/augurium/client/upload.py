"""An upload: a file or bytes, sent in pieces so that memory stays flat."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

from augurium.core.errors import InvalidArgument
from augurium.core.files import CHUNK_BYTES

Source = str | os.PathLike[str] | bytes
Progress = Callable[[str, float], None]


class Upload:
    """What is sent and how large it is.

    Raises InvalidArgument when there is no file at the path.
    """

    def __init__(self, source: Source) -> None:
        self._source = source if isinstance(source, bytes) else _existing(Path(source))
        self.size_bytes = (
            len(self._source) if isinstance(self._source, bytes) else self._source.stat().st_size
        )

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """The content in pieces; `progress` gets the stage `uploading` and the fraction sent."""
        source, sent_bytes = self._source, 0
        with closing(BytesIO(source) if isinstance(source, bytes) else source.open("rb")) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
                sent_bytes += len(chunk)
                if progress is not None:
                    progress("uploading", min(1.0, sent_bytes / self.size_bytes))


def _existing(path: Path) -> Path:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InvalidArgument(f"{path} {what}; expected the path of a file")
    return path
