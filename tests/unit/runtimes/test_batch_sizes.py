import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from augurium.runtimes.batch_sizes import rows_of, size_for, sizes_up_to
from augurium.runtimes.placement import most_room, no_such_device


@given(rows=st.integers(1, 5000), most=st.integers(1, 4096))
def test_a_batch_is_filled_up_to_a_size_of_which_there_are_few(rows: int, most: int) -> None:
    size = size_for(rows, most)

    assert size >= rows
    if rows <= most:
        assert size in set(sizes_up_to(most))
        assert size < 2 * rows or size == 1
    else:
        assert size == rows


def test_the_sizes_are_powers_of_two_and_the_largest_batch() -> None:
    assert list(sizes_up_to(48)) == [1, 2, 4, 8, 16, 32, 48]
    assert list(sizes_up_to(1)) == [1]


def test_an_empty_batch_stays_empty() -> None:
    assert size_for(0, 32) == 0


def test_arrays_that_do_not_agree_have_no_rows() -> None:
    assert rows_of([np.zeros((3, 2)), np.zeros(3)]) == 3
    assert rows_of([np.zeros(3), np.zeros(4)]) is None
    assert rows_of([np.zeros(())]) is None
    assert rows_of([]) is None


def test_the_device_with_the_most_room_is_the_first_among_equals() -> None:
    assert most_room([5, 9, 9]) == 1
    assert most_room([7]) == 0


def test_whoever_names_a_device_that_is_not_there_hears_which_are() -> None:
    said = no_such_device("cuda:7", 2)
    assert "'cuda:7'" in said
    assert "cuda:0, cuda:1" in said
