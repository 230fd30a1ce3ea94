import pytest

from augurium.core.sparkline import sparkline, thinned


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 0], "  "),
        ([1, 2, 4, 8], "▁▂▄█"),
        ([0.001, 0, 0.001], "█ █"),
    ],
)
def test_a_line_has_a_block_for_each_value(values: list[float], line: str) -> None:
    assert sparkline(values, 10) == line


def test_of_many_values_the_largest_of_a_few_are_shown() -> None:
    assert thinned([1, 5, 2, 3, 4, 0], 3) == [5, 3, 4]
    assert sparkline([0] * 99 + [1], 10) == " " * 9 + "█"
