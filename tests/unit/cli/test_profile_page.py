"""The small histograms of a profile's page."""

import pytest

from augurium.cli.profile_page import histogram


@pytest.mark.parametrize(
    ("bounds", "counts", "drawn"),
    [
        ((0, 1, 2), (5, 5), "\u2588" * 16),
        ((0, 1, 2), (5, 0), "\u2588" * 8 + " " * 8),
        ((0, 1, 16), (5, 5), "\u2588" + "\u2581" * 15),
        ((3, 3), (4,), "\u2588"),
        ((3, 3), (0,), ""),
        ((0, 2, 2), (0, 4), " " * 15 + "\u2588"),
    ],
)
def test_bars_show_where_values_crowd(
    bounds: tuple[float, ...], counts: tuple[int, ...], drawn: str
) -> None:
    assert histogram(bounds, counts) == drawn
