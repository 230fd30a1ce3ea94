"""Batch sizes of which there are few: what is recorded once per size is recorded seldom."""

from collections.abc import Iterator

from augurium.core.tensors import Array


def size_for(rows: int, most: int) -> int:
    """The size that a batch of `rows` is filled up to: the next power of two, and `most` where
    that is less. A batch beyond `most` stays as it is.
    """
    if rows < 1 or rows >= most:
        return rows
    return min(most, 1 << (rows - 1).bit_length())


def sizes_up_to(most: int) -> Iterator[int]:
    """Every size that `size_for` gives for batches of at most `most` rows, small ones first."""
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def rows_of(arrays: list[Array]) -> int | None:
    """How many rows a batch has; None where its arrays do not agree."""
    found = {array.shape[0] if array.ndim else None for array in arrays}
    return found.pop() if len(found) == 1 else None
