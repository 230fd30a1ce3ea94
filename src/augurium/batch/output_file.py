"""A file of a partition while it is written: hashed on its way, and whole or not there at all."""

import hashlib
from typing import TYPE_CHECKING

from augurium.batch.output_format import OutputFormat
from augurium.batch.partition import WrittenFile
from augurium.batch.storage_port import FileSink, OutputPlace

if TYPE_CHECKING:
    import pyarrow as pa


class OutputFile:
    """Rows go to `staged` below `place`, a group at a time; `name` is what it will be called."""

    def __init__(
        self,
        place: OutputPlace,
        form: OutputFormat,
        schema: "pa.Schema",
        staged: str,
        name: str,
        rejected: bool = False,
    ) -> None:
        import pyarrow as pa

        self._staged = staged
        self._name = name
        self._rejected = rejected
        self._rows = 0
        self._sink = _HashedSink(place.create(staged))
        try:
            self._file = form.open(pa.PythonFile(self._sink, mode="w"), schema)
        except BaseException:
            self.abort()
            raise

    def write(self, rows: "pa.Table") -> None:
        """A group of rows."""
        self._file.write(rows)
        self._rows += rows.num_rows

    def close(self) -> WrittenFile:
        """The file is there when this returns."""
        self._file.close()
        size_bytes, digest = self._sink.finish()
        return WrittenFile(self._staged, self._name, size_bytes, digest, self._rows, self._rejected)

    def abort(self) -> None:
        """Gives it up."""
        self._sink.abort()


class _HashedSink:
    """What pyarrow takes for a file. It closes what it writes to on its own account, also when it
    failed, so only `finish` ends the file.
    """

    closed = False

    def __init__(self, sink: FileSink) -> None:
        self._sink = sink
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._given_up = False

    def write(self, data: bytes) -> int:
        if self._given_up:
            # writers write their ends when they go
            return len(data)
        self._digest.update(data)
        self._size_bytes += len(data)
        return self._sink.write(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """See `finish`."""

    def finish(self) -> tuple[int, str]:
        """Ends the file; its size and digest."""
        self._sink.close()
        return self._size_bytes, self._digest.hexdigest()

    def abort(self) -> None:
        self._given_up = True
        self._sink.abort()
