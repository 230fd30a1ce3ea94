"""Counts of arms add up."""

from augurium.core.arm_counts import ArmCounts


def test_counts_of_ticks_add_up_bin_by_bin() -> None:
    one = ArmCounts(10, 1, 2, 0, {5: 7, 6: 3}, 0.4, 2, 1.5, 1.25)
    other = ArmCounts(5, 0, 1, 1, {6: 4, 9: 1}, 0.2, 1, 0.5, 0.25)

    assert one.merged(other) == ArmCounts(15, 1, 3, 1, {5: 7, 6: 7, 9: 1}, 0.4 + 0.2, 3, 2.0, 1.5)
    assert one.merged(ArmCounts()) == one
