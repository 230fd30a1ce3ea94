"""When a job has set aside more rows than it may."""

from augurium.batch.partition import RejectedRow
from augurium.core.batch_job import BadRows
from augurium.core.errors import Unprocessable


class BadRowLimit:
    """The limit of a job whose input has `rows`, None if only reading tells."""

    def __init__(self, limit: BadRows, rows: int | None) -> None:
        none_given = limit.count is None and limit.share is None
        self._count = 0 if none_given else limit.count
        self._share = limit.share
        self._rows = rows

    def check(self, rejected: int, example: RejectedRow | None = None) -> None:
        """Raises Unprocessable as soon as it is sure that the job will be above its limit;
        `example` is a row that was set aside.
        """
        if self._count is not None and rejected > self._count:
            raise _too_many(rejected, f"at most {self._count} rows may be", example)
        if self._rows is not None:
            self._check_share(rejected, self._rows, example)

    def check_end(self, rejected: int, considered: int) -> None:
        """The same of the whole input; `considered` rows were not left out by the filter."""
        self.check(rejected)
        self._check_share(rejected, considered)

    def _check_share(self, rejected: int, of: int, example: RejectedRow | None = None) -> None:
        if self._share is not None and rejected > self._share * of:
            share = f"{100 * self._share:g}%"
            raise _too_many(rejected, f"at most {share} of {of} rows may be", example)


def _too_many(rejected: int, allowed: str, example: RejectedRow | None) -> Unprocessable:
    told = ""
    if example is not None:
        column = f", column '{example.column}'" if example.column else ""
        such_as = "such as " if rejected > 1 else ""
        told = f" ({such_as}{example.file}, row {example.row}{column}: {example.reason})"
    return Unprocessable(
        f"{rejected} {'rows' if rejected > 1 else 'row'} cannot be scored{told}, and {allowed} set"
        " aside (max_bad_rows); mend the input, or submit the job again with another limit"
    )
