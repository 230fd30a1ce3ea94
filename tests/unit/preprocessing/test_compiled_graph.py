"""The compiled graph answers what the reference answers, on hard rows and for any transforms."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import (
    Bucketize,
    Clip,
    Column,
    Copy,
    Cross,
    DateParts,
    Drop,
    Frequency,
    Hash,
    Impute,
    Log,
    MinMax,
    OneHot,
    Ordinal,
    Power,
    Preprocessing,
    Robust,
    Select,
    Standardize,
    TargetMean,
    Text,
)
from augurium.preprocessing.compiler import compiled
from augurium.preprocessing.transforms import AnyTransform, DatePartName, columns_of
from tests.support.preprocessing import (
    HARD_MOMENTS,
    HARD_NUMBERS,
    HARD_TEXTS,
    assert_graph_agrees,
    texts,
)

RNG = np.random.default_rng(0)
NUMBERS = ("a", "b", "c")
TEXTS = ("s", "t")
TRAINING: dict[str, Any] = {
    **{name: RNG.normal(i, 10.0**i, 60).astype(np.float32) for i, name in enumerate(NUMBERS)},
    **{name: RNG.choice(np.array(["a", "b", "ä", ""], np.object_), 60) for name in TEXTS},
    "when": RNG.uniform(-3e9, 5e9, 60),
    "y": RNG.integers(0, 2, 60),
}
RAW = (
    *(Column(name, missing="ignore") for name in (*NUMBERS, *TEXTS)),
    Column("when", "datetime", missing="ignore"),
)
PARTS: tuple[DatePartName, ...] = (
    "year",
    "month",
    "day",
    "hour",
    "weekday",
    "day_of_year",
    "is_weekend",
    "epoch_day",
)

in_place = st.sampled_from(
    [
        lambda c: Impute(c, "mean"),
        lambda c: Impute(c, "median", indicator=True),
        lambda c: Impute(c, "constant", 0.1),
        Standardize,
        MinMax,
        Robust,
        Log,
        lambda c: Log(c, plus_one=False),
        Power,
        lambda c: Clip(c, -1.5, 20.25),
        lambda c: Clip(c, high=3.0),
    ]
)
last_of_number = st.sampled_from(
    [
        None,
        lambda c: (Bucketize(c, buckets=3),),
        lambda c: (Bucketize(c, "edges", edges=(-1.0, 0.0, 7.0)), OneHot(c)),
        lambda c: (Bucketize(c, "uniform", buckets=4), Standardize(c)),
        lambda c: (OneHot(c, "default", max_categories=3),),
        lambda c: (Ordinal(c, max_categories=5),),
        lambda c: (Bucketize(c, buckets=3), Cross((c, "s"), f"{c}_s"), OneHot(f"{c}_s")),
        lambda c: (Bucketize(c, buckets=3), Cross((c, "t"), f"{c}_t"), Hash(f"{c}_t", 7, 9)),
    ]
)
of_text = st.sampled_from(
    [
        lambda c: (OneHot(c),),
        lambda c: (OneHot(c, "default", missing="category"), Standardize(f"{c}_a")),
        lambda c: (Impute(c, "constant", "b"), OneHot(c, max_categories=2)),
        lambda c: (Impute(c, "most_frequent", indicator=True), Ordinal(c)),
        lambda c: (Ordinal(c, default=None), Impute(c, "median")),
        lambda c: (Hash(c, 13, 4, one_hot=True),),
        lambda c: (Hash(c, 1000), MinMax(c)),
        lambda c: (Frequency(c), Log(c)),
        lambda c: (TargetMean(c, 3.0), Standardize(c)),
        lambda c: (
            Copy(c, f"{c}2"),
            Copy(c, f"{c}3"),
            Frequency(f"{c}2"),
            Ordinal(f"{c}3"),
            OneHot(c),
        ),
        lambda c: (Impute(c, "constant", "x"), Hash(c, 5)),
    ]
)


@st.composite
def pipelines(draw: Any) -> Preprocessing:
    """A few transforms of every column, those of different columns interleaved."""
    chains: list[list[Any]] = []
    for name in NUMBERS:
        chain = [make(name) for make in draw(st.lists(in_place, max_size=3))]
        # one indicator a column: a second would have its name
        imputes = [x for x in chain if isinstance(x, Impute) and x.indicator]
        chain = [x for x in chain if x not in imputes[1:]] if imputes[1:] else chain
        chain = [x for i, x in enumerate(chain) if x not in chain[:i]]
        last = draw(last_of_number)
        chains.append([*chain, *(last(name) if last else ())])
    ends = [list(draw(of_text)(name)) for name in TEXTS]
    dates = [DateParts("when", tuple(draw(st.permutations(PARTS)))[: draw(st.integers(1, 8))])]
    return Preprocessing((*[x for chain in chains for x in chain], *ends[0], *ends[1], *dates), RAW)


def hard_table(seed: int, rows: int = 40) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    known = {name: rng.choice(TRAINING[name], rows) for name in (*NUMBERS, "when")}
    hard = {name: rng.choice(np.array(HARD_NUMBERS, np.float32), rows) for name in NUMBERS}
    hard["when"] = rng.choice(np.array(HARD_MOMENTS), rows)
    table: dict[str, Any] = {
        name: np.where(rng.random(rows) < 0.5, known[name], hard[name]) for name in known
    }
    for name in TEXTS:
        table[name] = texts(*(HARD_TEXTS[i] for i in rng.integers(0, len(HARD_TEXTS), rows)))
    return table


@settings(max_examples=60)
@given(pipelines(), st.integers(0, 2**32 - 1))
def test_any_transforms_give_what_the_reference_gives_on_hard_rows(
    declared: Preprocessing, seed: int
) -> None:
    try:
        fitted = declared.fit(TRAINING, target="y")
    except InvalidArgument:
        # such as a power transform of a column that an earlier transform has made constant
        reject()

    assert_graph_agrees(fitted, hard_table(seed))
    assert_graph_agrees(fitted, hard_table(seed, rows=1))


def test_the_logarithm_of_one_plus_hardly_anything_is_not_lost() -> None:
    chain = (Log("a"), Log("a", plus_one=False))
    fitted = Preprocessing(chain).fit({"a": np.array([1.0, 2.0, 3.0], np.float32)})
    near = (1e-20, 1e-9, 1e-5, 0.1, 0.49, 0.51, 1e10, -0.4, -0.6)

    # the second logarithm makes the difference between 1e-30 and 0 infinite
    assert_graph_agrees(fitted, {"a": np.array([*HARD_NUMBERS[1:], *near], np.float32)})


@settings(max_examples=100)
@given(st.lists(st.text(max_size=12) | st.none(), min_size=1, max_size=20), st.integers(0, 9))
def test_any_text_is_hashed_and_looked_up_as_the_reference_does(
    values: list[str | None], seed: int
) -> None:
    table = {"s": texts(*(None if v is None or "\x00" in v else v for v in values))}
    declared = Preprocessing(
        (Copy("s", "h"), Hash("h", 97, seed), OneHot("s")), (Column("s", "text", "ignore"),)
    )
    fitted = declared.fit({"s": texts("a", *table["s"])})

    assert_graph_agrees(fitted, table)


@settings(max_examples=200)
@given(st.lists(st.floats(-6.3e10, 2.54e11), min_size=1, max_size=30))
def test_the_parts_of_any_moment_are_those_of_the_reference(seconds: list[float]) -> None:
    declared = Preprocessing((DateParts("d", PARTS),), (Column("d", "datetime", "ignore"),))
    table = {"d": np.array(seconds)}

    assert_graph_agrees(declared.fit(table), table)


ALONE: dict[type, tuple[Any, ...]] = {
    Impute: (
        Impute("a", "mean"),
        Impute("b", "median", indicator=True),
        Impute("c", "constant", 0.1),
        Impute("s", "most_frequent", indicator=True),
        OneHot("s"),
        Impute("t", "constant", "a"),
        Ordinal("t"),
    ),
    Standardize: (Standardize(NUMBERS),),
    MinMax: (MinMax(NUMBERS, -3, 7),),
    Robust: (Robust(NUMBERS, 0.1, 0.8),),
    Log: (Log("a"), Log("b", plus_one=False)),
    Power: (Power("a"), Power("b", standardize=False), Clip("c", low=1.0), Power("c", "box_cox")),
    Clip: (Clip("a", -0.5, 0.5), Clip("b", low=0.0), Clip("c", high=1e30)),
    Bucketize: (
        Bucketize("a"),
        Bucketize("b", "uniform", buckets=7),
        Bucketize("c", "edges", edges=(-1.0, 0.0, 0.5, 7.0)),
    ),
    OneHot: (
        OneHot("a", "default", max_categories=3),
        OneHot("s", missing="category"),
        OneHot("t", "default", "a"),
    ),
    Ordinal: (Ordinal("a"), Ordinal("s", default=None), Ordinal("t", categories=("b", "", "a"))),
    Hash: (Hash("s", 13, 7), Hash("t", 5, one_hot=True)),
    Frequency: (Frequency("a"), Frequency(TEXTS)),
    TargetMean: (TargetMean("a", 0.0), TargetMean(TEXTS)),
    Text: (Text("s"), Text("t", trim=False), OneHot(TEXTS)),
    DateParts: (DateParts("when", PARTS),),
    Cross: (
        Bucketize("a"),
        Cross(("s", "t", "a"), "all"),
        Copy("all", "hashed"),
        OneHot("all"),
        Hash("hashed", 31),
        Drop(TEXTS),
    ),
    Copy: (Copy("a", "again"), Standardize("again"), Copy("s", "s2"), OneHot(("s", "s2"))),
    Drop: (Drop(("b", "c")), OneHot("s"), Drop("s_a")),
    Select: (OneHot("s"), Select(("c", "s_b", "a"))),
}


@pytest.mark.parametrize("transform", AnyTransform.__args__)
def test_every_transform_gives_what_the_reference_gives_on_hard_rows(transform: type) -> None:
    transforms = ALONE[transform]
    read = {name for x in transforms for name in columns_of(x)}
    columns = [column for column in RAW if column.name in read]
    assert any(isinstance(x, transform) for x in transforms)
    fitted = Preprocessing(transforms, columns).fit(TRAINING, target="y")

    for seed in range(3):
        assert_graph_agrees(fitted, hard_table(seed, rows=200))


def test_numbers_alone_come_as_one_matrix() -> None:
    table = {"a": TRAINING["a"], "b": TRAINING["b"]}
    fitted = Preprocessing((Standardize(("a", "b")), Log("b"))).fit(table)

    (spec,) = fitted.input_specs
    assert (spec.name, spec.shape, spec.features) == ("features", (-1, 2), ("a", "b"))
    assert_graph_agrees(fitted, table)


def test_columns_that_go_the_same_way_share_their_operators() -> None:
    names = [f"n{i}" for i in range(40)]
    table = dict.fromkeys(names, TRAINING["b"])
    few = Preprocessing((Impute(names[:2]), Standardize(names[:2]))).fit(table)
    many = Preprocessing((Impute(names), Standardize(names[5:]))).fit(table)

    assert len(compiled(many).graph.node) == len(compiled(few).graph.node)


@pytest.mark.parametrize("exponent", [0.0, 2.0, 1.0, -3.5])
def test_every_exponent_of_a_power_transform_agrees(exponent: float) -> None:
    from augurium.preprocessing import fitted as f

    fitted = f.FittedPreprocessing(
        inputs=(f.RawColumn("x", "number", nullable=True),),
        steps=(f.Copied("x", "z"), f.YeoJohnson("x", exponent), f.BoxCox("z", exponent)),
        outputs=("x", "z"),
    ).sealed()

    assert_graph_agrees(fitted, {"x": np.array(HARD_NUMBERS, np.float32)})
