"""Blocks cut into batches, with the place of every row."""

import numpy as np
import pyarrow as pa

from augurium.batch.partition import RowBlock
from augurium.batch.row_batches import RowBatch, cut


def block(first: int, count: int, file: str = "a") -> RowBlock:
    rows = np.arange(first, first + count)
    return RowBlock(pa.record_batch({"x": rows}), file, rows)


def test_batches_hold_as_many_rows_as_they_may_and_none_of_two_blocks() -> None:
    batches = list(cut([block(1, 5), block(1, 3, "b")], 2))

    assert [(batch.file, batch.rows.tolist()) for batch in batches] == [
        ("a", [1, 2]),
        ("a", [3, 4]),
        ("a", [5]),
        ("b", [1, 2]),
        ("b", [3]),
    ]
    assert np.concatenate([batch.places for batch in batches]).tolist() == list(range(8))


def test_columns_are_those_of_the_rows() -> None:
    _, second = cut([block(10, 6)], 3)

    assert second.columns.column("x").to_pylist() == [13, 14, 15]


def one_batch(count: int) -> RowBatch:
    (batch,) = cut([block(1, count)], count)
    return batch


def test_halves_have_all_rows() -> None:
    first, second = one_batch(5).halves()

    assert (first.rows.tolist(), second.rows.tolist()) == ([1, 2], [3, 4, 5])


def test_rows_are_found_by_their_places() -> None:
    batch = one_batch(6)

    assert batch.between(2, 4).rows.tolist() == [3, 4]
    assert len(batch.between(6, 9)) == 0
    assert list(batch.at({1, 5, 77})) == [(1, 2), (5, 6)]


def test_rows_are_left_out_by_their_places() -> None:
    rest = one_batch(4).without({0, 2})

    assert rest.rows.tolist() == [2, 4]
    assert rest.places.tolist() == [1, 3]
    assert rest.columns.column("x").to_pylist() == [2, 4]
