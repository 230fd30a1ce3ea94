"""Rows that tell a right conversion from a wrong one."""

import numpy as np

from augurium.importing.hard_rows import Column, hard_rows

AGES = np.array([20, 30, np.nan, 70], np.float32)
CITIES = np.array(["a", "b", None, "a"], object)


def test_every_category_a_gap_and_an_unseen_one_stand_in_some_row() -> None:
    rows = hard_rows([Column(name="city", is_text=True, categories=("x", "y", "z"))])
    assert {"x", "y", "z", None, "__unseen__", ""} <= set(rows["city"])


def test_unseen_categories_and_gaps_are_left_out_where_a_model_refuses_them() -> None:
    closed = Column(name="city", is_text=True, categories=("x", "y"), nullable=False, open=False)
    assert set(hard_rows([closed])["city"]) == {"x", "y"}


def test_numeric_categories_get_neighbours_that_were_not_seen() -> None:
    codes = hard_rows([Column(name="code", categories=(1, 2, 5))])["code"]
    assert {0.0, 1.0, 2.0, 5.0, 6.0} == set(codes[~np.isnan(codes)].tolist())


def test_thresholds_come_with_both_neighbours() -> None:
    threshold = np.float32(0.3)
    values = hard_rows([Column(name="x", landmarks=(float(threshold),))])["x"]
    for direction in (-np.inf, np.inf):
        assert np.nextafter(threshold, np.float32(direction)) in values
    assert threshold in values


def test_zeros_negatives_and_extremes_of_the_table_are_there() -> None:
    values = hard_rows([Column(name="age", values=AGES)])["age"]
    assert {0.0, -1.0, 20.0, 70.0, 700.0, -70.0} <= set(values.tolist())


def test_rows_of_the_table_stay_whole() -> None:
    rows = hard_rows(
        [Column(name="age", values=AGES), Column(name="city", is_text=True, values=CITIES)]
    )
    last = list(zip(rows["age"][-4:], rows["city"][-4:], strict=True))
    assert {(20.0, "a"), (30.0, "b"), (70.0, "a")} <= set(last)


def test_several_gaps_meet_in_a_row() -> None:
    rows = hard_rows([Column(name=name) for name in "abc"])
    assert np.isnan([rows[name] for name in "abc"]).all(axis=0).any()


def test_the_rows_are_the_same_every_time() -> None:
    columns = [Column(name=f"x{i}", landmarks=(0.0, 1.0)) for i in range(3)]
    first, second = hard_rows(columns), hard_rows(columns)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_wide_models_do_not_make_endless_rows() -> None:
    columns = [Column(name=f"x{i}", landmarks=tuple(range(50))) for i in range(1500)]
    rows = hard_rows(columns)
    assert len(rows) * len(rows["x0"]) < 12_000_000
