"""A running node with real models, shared by the acceptance tests; each test leaves it serving."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from tests.support.models import (
    FEATURES,
    Mixed,
    Tabular,
    picky_model,
    simple_model,
    slow_model,
    text_model,
)
from tests.support.node import Node


@pytest.fixture(scope="session")
def tabular() -> Tabular:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, FEATURES)).astype(np.float32)
    labels = (rows[:, :3].sum(axis=1) > 0).astype(int)
    model = XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1).fit(rows, labels)
    asked = rows[:16].copy()
    asked[3, 2] = np.nan
    return Tabular(model, asked)


@pytest.fixture(scope="session")
def mixed() -> Mixed:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "city": rng.choice(["rome", "oslo", "lima"], 300).astype(object),
            "age": rng.integers(18, 80, 300).astype(np.float32),
            "income": rng.gamma(2, 20_000, 300).astype(np.float32),
        }
    )
    labels = np.where((table["city"] == "rome") | (table["age"] > 60), "yes", "no")
    table.loc[::11, "city"] = None
    table.loc[::7, "age"] = np.nan
    text = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("text", text, ["city"]),
            ("age", numbers, ["age"]),
            ("rest", StandardScaler(), ["income"]),
        ]
    )
    model = Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(table, labels)
    rows = table.iloc[[0, 1, 5, 7]].copy()
    rows.loc[rows.index[1], "city"] = "atlantis"
    return Mixed(model, table, rows)


@contextmanager
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    """Starts nodes, which are stopped at the end."""
    nodes: list[Node] = []

    def start(home: Path | None = None, *flags: str, prefix: Sequence[str] = ()) -> Node:
        place = home or tmp_path_factory.mktemp("node") / "home"
        nodes.append(Node(place, *flags, prefix=prefix))
        return nodes[-1]

    yield start
    with ThreadPoolExecutor() as threads:
        list(threads.map(Node.stop, nodes))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    """Starts nodes for the tests of one file: many that nobody needs any more slow others down."""
    with started(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def node(
    tmp_path_factory: pytest.TempPathFactory, tabular: Tabular, mixed: Mixed
) -> Iterator[Node]:
    """The shared node with every model deployed."""
    onnx_models = {
        "simple": simple_model(),
        "text": text_model(),
        "picky": picky_model(),
        "slow": slow_model(),
    }
    with started(tmp_path_factory) as start:
        node = start()
        with node.client() as client:
            client.register(tabular.model, name="tabular")
            client.register(mixed.model, name="mixed", data=mixed.table)
            for name, content in onnx_models.items():
                client.register(onnx.load_from_string(content), name=name)
            for model in client.models():
                client.deploy(model.name, 1)
        yield node


@pytest.fixture(autouse=True)
def still_serving(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the shared node is alive and answers correctly."""
    yield
    if "node" not in request.fixturenames:
        return
    node: Node = request.getfixturevalue("node")
    assert node.ask("/v2/health/live").status == 200
    ones = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
    answer = node.ask(
        "/v2/models/simple/infer",
        {"inputs": [{"name": "INPUT0", **ones}, {"name": "INPUT1", **ones}]},
    )
    assert answer.status == 200, answer.body
    assert answer.json["outputs"][0]["data"] == [2] * 16
