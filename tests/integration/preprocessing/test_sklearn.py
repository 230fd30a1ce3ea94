"""A fitted ColumnTransformer of scikit-learn, taken over, gives what it gave."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.preprocessing import Preprocessing
from tests.support.preprocessing import assert_graph_agrees

RNG = np.random.default_rng(0)
ROWS = 600
FRAME = pd.DataFrame(
    {
        "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40, 12, ROWS)).astype("f4"),
        "fare": RNG.lognormal(2, 1, ROWS).astype("f4"),
        "city": RNG.choice(["Rome", "Oslo", "Lima", "Bern"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
        "sex": RNG.choice(["f", "m"], ROWS),
        "rooms": RNG.integers(0, 4, ROWS).astype("f4"),
    }
).astype({"age": "f8", "fare": "f8", "rooms": "f8"})
FRAME.loc[::9, "city"] = None
ANSWERS = RNG.integers(0, 2, ROWS)
IGNORE = {"handle_unknown": "ignore", "sparse_output": False}
BINS = {"encode": "onehot-dense", "quantile_method": "averaged_inverted_cdf"}

CASES: dict[str, tuple[Any, list[str]]] = {
    "median and standard": (
        make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
        ["age", "fare"],
    ),
    "standard without a mean": (StandardScaler(with_mean=False), ["fare"]),
    "min-max": (MinMaxScaler((-1, 2), clip=True), ["fare", "age"]),
    "max-abs": (MaxAbsScaler(), ["fare"]),
    "robust": (RobustScaler(), ["fare", "age"]),
    "yeo-johnson": (make_pipeline(SimpleImputer(), PowerTransformer()), ["age", "fare"]),
    "box-cox": (PowerTransformer("box-cox", standardize=False), ["fare"]),
    "log1p": (FunctionTransformer(np.log1p), ["fare"]),
    "identity": (FunctionTransformer(), ["fare"]),
    "bins": (KBinsDiscretizer(5, **BINS), ["fare"]),
    "bin numbers": (KBinsDiscretizer(5, encode="ordinal", strategy="uniform"), ["fare"]),
    "one-hot": (OneHotEncoder(**IGNORE), ["city", "sex", "rooms"]),
    "one-hot without the first": (OneHotEncoder(drop="first", sparse_output=False), ["sex"]),
    "one-hot with rare ones joined": (
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, sparse_output=False),
        ["city", "rooms"],
    ),
    "filled one-hot": (
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**IGNORE)),
        ["city"],
    ),
    "ordinal": (
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        ["city", "sex", "rooms"],
    ),
    "target": (TargetEncoder(), ["sex", "city", "rooms"]),
    "nested": (
        ColumnTransformer(
            [
                ("in", make_pipeline(SimpleImputer(), MinMaxScaler()), [0]),
                ("as is", "passthrough", [1]),
            ]
        ),
        ["age", "fare"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_transformer_is_taken_over_with_the_same_answers(case: str) -> None:
    transformer, columns = CASES[case]
    both = ColumnTransformer(
        [("t", transformer, columns), ("rest", "passthrough", ["rooms"]), ("no", "drop", ["fare"])],
        sparse_threshold=0,
    )
    expected = both.fit(FRAME, ANSWERS).transform(FRAME)

    fitted = Preprocessing.from_sklearn(both)

    found, names = fitted.transform(FRAME)
    np.testing.assert_allclose(found, np.asarray(expected, float), rtol=1e-5, atol=2e-6)
    assert names[-1] == "rest__rooms"
    assert_graph_agrees(fitted, FRAME)


def test_categories_never_seen_are_answered_as_scikit_learn_does() -> None:
    encoder = ColumnTransformer([("t", OneHotEncoder(**IGNORE), ["city", "rooms"])]).fit(FRAME)
    unseen = pd.DataFrame({"city": ["Paris", "Rome"], "rooms": [9.0, 1.0]})

    fitted = Preprocessing.from_sklearn(encoder)

    np.testing.assert_array_equal(fitted.transform(unseen)[0], encoder.transform(unseen))
    assert_graph_agrees(fitted, unseen)


def test_categories_that_scikit_learn_refuses_are_refused() -> None:
    encoder = ColumnTransformer([("t", OneHotEncoder(), ["sex"])]).fit(FRAME)
    fitted = Preprocessing.from_sklearn(encoder)

    assert fitted.inputs[0].categories == ("f", "m")
    with pytest.raises(InvalidArgument, match="category 'x' in row 0"):
        fitted.transform(pd.DataFrame({"sex": ["x"]}))


def test_a_transformer_fitted_on_a_matrix_takes_names_or_gets_them() -> None:
    scaler = StandardScaler().fit(FRAME[["fare", "rooms"]].to_numpy())

    assert Preprocessing.from_sklearn(scaler).outputs == ("x0", "x1")
    assert Preprocessing.from_sklearn(scaler, columns=["a", "b"]).outputs == ("a", "b")
    with pytest.raises(InvalidArgument, match="1 columns are named, but the transformer takes 2"):
        Preprocessing.from_sklearn(scaler, columns=["a"])


def test_text_that_no_encoder_gives_away_is_named() -> None:
    target = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder())
    fitted = Preprocessing.from_sklearn(target.fit(FRAME[["city"]]), text=["city"])

    assert [column.type for column in fitted.inputs] == ["text"]
    with pytest.raises(InvalidArgument, match="the text column 'town' is not one of"):
        Preprocessing.from_sklearn(target, text=["town"])


@pytest.mark.parametrize(
    ("transformer", "error", "said"),
    [
        (PCA(1).fit(FRAME[["fare", "rooms"]]), Unprocessable, "the PCA cannot be taken over"),
        (
            FunctionTransformer(lambda x: x * 2).fit(FRAME[["fare"]]),
            Unprocessable,
            "calls '<lambda>', which is code",
        ),
        (
            SimpleImputer(missing_values=0.0).fit(FRAME[["rooms"]]),
            Unprocessable,
            "replaces 0.0; only missing values",
        ),
        (
            TargetEncoder().fit(FRAME[["sex"]], RNG.integers(0, 3, ROWS)),
            Unprocessable,
            "fitted on several classes",
        ),
        (
            OrdinalEncoder(max_categories=2).fit(FRAME[["sex", "rooms"]]),
            Unprocessable,
            "joins infrequent categories",
        ),
        (StandardScaler(), InvalidArgument, "is not fitted"),
        (ColumnTransformer([]), InvalidArgument, "is not fitted"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_by_name(
    transformer: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        Preprocessing.from_sklearn(transformer)
