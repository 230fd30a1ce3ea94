"""What a worker writes of one partition: files that wait, which nobody else knows of yet."""

from typing import TYPE_CHECKING

from augurium.batch.folder_files import FolderFiles, SingleFile
from augurium.batch.output_file import OutputFile
from augurium.batch.output_format import OutputFormat, output_format
from augurium.batch.partition import RejectedRow, WrittenFile
from augurium.batch.rejected_rows import RejectedRows
from augurium.batch.staged_names import part_name, rejected_name, staged_name
from augurium.batch.storage_port import OutputPlace
from augurium.core.batch_job import OutputSpec

if TYPE_CHECKING:
    import pyarrow as pa

REJECTED_AT_ONCE = 65_536


class PartitionWriter:
    """Answers and rejected rows of a partition. The same rows give the same bytes, whatever the
    blocks they come in.

    `write` is for one thread, `reject` for any. After an error, `abort`. Raises what the place
    raises, and InvalidArgument for a value that no folder can be named by.
    """

    def __init__(self, files: "PartFiles", partition_by: tuple[str, ...]) -> None:
        self._files = files
        self._partition_by = partition_by
        self._rejected = RejectedRows()
        self._data: SingleFile | FolderFiles | None = None

    def write(self, batch: "pa.RecordBatch") -> None:
        """Rows of the output, all batches with the same columns. One without rows makes sure that
        there is a file, which says what columns there would have been.
        """
        if self._data is None:
            self._data = self._opened(batch.schema)
        self._data.write(batch)

    def reject(self, row: RejectedRow) -> None:
        """A row that is not answered."""
        self._rejected.add(row)

    def close(self) -> tuple[WrittenFile, ...]:
        """All files, whole and safe, in the order of their names."""
        written = [] if self._data is None else self._data.close()
        rejected = self._rejected.table()
        if rejected is not None:
            written.append(self._write_rejected(rejected))
        return tuple(sorted(written, key=lambda file: file.name))

    def abort(self) -> None:
        """Gives up what is being written; what is whole already waits to be swept."""
        if self._data is not None:
            self._data.abort()

    def _opened(self, schema: "pa.Schema") -> SingleFile | FolderFiles:
        if self._partition_by:
            return FolderFiles(self._files, schema, self._partition_by)
        return SingleFile(self._files, schema)

    def _write_rejected(self, table: "pa.Table") -> WrittenFile:
        file = self._files.open_rejected(table.schema)
        try:
            for start in range(0, table.num_rows, REJECTED_AT_ONCE):
                file.write(table.slice(start, REJECTED_AT_ONCE))
            return file.close()
        except BaseException:
            file.abort()
            raise


class PartFiles:
    """Opens the files of one partition."""

    def __init__(
        self,
        place: OutputPlace,
        form: OutputFormat,
        job: str,
        token: int,
        partition: int,
        mark: str,
    ) -> None:
        self._place = place
        self._form = form
        self._job = job
        self._token = token
        self._partition = partition
        self._mark = mark

    def open(self, schema: "pa.Schema", folder: str = "", sequel: int = 0) -> OutputFile:
        """A file of answers in `folder`, which is empty or ends in `/`."""
        name = folder + part_name(self._job, self._partition, sequel, self._form.suffix)
        staged = staged_name(self._job, self._token, name, self._mark)
        return OutputFile(self._place, self._form, schema, staged, name)

    def open_rejected(self, schema: "pa.Schema") -> OutputFile:
        """The file of rows that were set aside."""
        name = rejected_name(self._job, self._partition, self._form.suffix)
        staged = staged_name(self._job, self._token, name, self._mark)
        return OutputFile(self._place, self._form, schema, staged, name, rejected=True)


def open_writer(
    spec: OutputSpec, place: OutputPlace, job: str, token: int, partition: int, mark: str = ""
) -> PartitionWriter:
    """The writer of a partition, for the holder of the job who has `token`; `mark` as in
    `staged_name`.
    """
    files = PartFiles(place, output_format(spec), job, token, partition, mark)
    return PartitionWriter(files, spec.partition_by)
