"""What a preprocessing costs inside the graph: a model behind it against the same model alone.

An XGBoost classifier of 100 trees of depth 6 on 10 numbers (median and standardized) and 4 texts
(one-hot of 10 levels each), in ONNX Runtime with one thread. Rounds alternate; the ratio is the
median of the rounds' ratios.

Run: .venv/bin/python -m benchmarks.preprocessing [--rounds 15] [--profile]
"""

import argparse
import collections
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxmltools
import onnxruntime as ort
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from augurium.core.tensors import Array
from augurium.preprocessing import Impute, OneHot, Preprocessing, Standardize
from augurium.preprocessing.compiler import compiled
from augurium.preprocessing.merging import merged

ROWS = 20_000
NUMBERS = [f"number{i}" for i in range(10)]
TEXTS = [f"text{i}" for i in range(4)]
BATCHES = (1, 64, 1024)
ROUND_S = 0.15

Feeds = Mapping[str, Array]


def training_table() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    table: dict[str, Array] = {
        name: rng.normal(50, 20, ROWS).astype(np.float32) for name in NUMBERS
    }
    for name in NUMBERS[:3]:
        table[name][rng.random(ROWS) < 0.05] = np.nan
    levels = np.array([f"level {i}" for i in range(10)], np.object_)
    table |= {name: levels[rng.integers(0, 10, ROWS)] for name in TEXTS}
    return table


def session(model: onnx.ModelProto, profile: str = "") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def models() -> tuple[dict[str, onnx.ModelProto], Callable[[int], dict[str, Feeds]]]:
    """The three graphs by name, and a function that gives their inputs for so many rows."""
    table = training_table()
    declared = Preprocessing((Impute(NUMBERS), Standardize(NUMBERS), OneHot(TEXTS)))
    fitted = declared.fit(table)
    matrix, names = fitted.transform(table)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=ROWS)
    answers = (matrix[:, 0] * matrix[:, 1] + 2 * matrix[:, 12] + matrix[:, 25] + noise > 0.5) * 1
    trees = xgboost.XGBClassifier(n_estimators=100, max_depth=6, n_jobs=2).fit(matrix, answers)
    alone = onnxmltools.convert_xgboost(
        trees, initial_types=[("features", FloatTensorType([None, len(names)]))]
    )

    def inputs(rows: int) -> dict[str, Feeds]:
        raw = {name: table[name][:rows].reshape(-1, 1) for name in (*NUMBERS, *TEXTS)}
        return {"alone": {"features": matrix[:rows]}, "merged": raw, "preprocessing": raw}

    graphs = {"alone": alone, "merged": merged(alone, "features", fitted)}
    return {**graphs, "preprocessing": compiled(fitted)}, inputs


def once_us(run: Callable[[None, Feeds], object], feeds: Feeds) -> float:
    count, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < ROUND_S:
        run(None, feeds)
        count += 1
    return took / count * 1e6


def profile(model: onnx.ModelProto, feeds: Feeds) -> None:
    """Microseconds a run by operator."""
    with tempfile.TemporaryDirectory() as folder:
        profiled = session(model, str(Path(folder) / "profile"))
        for _ in range(2000):
            profiled.run(None, feeds)
        events = json.loads(Path(profiled.end_profiling()).read_text())
    spent: collections.Counter[str] = collections.Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["name"].removesuffix("_kernel_time")] += event["dur"] / 2000
    for name, microseconds in spent.most_common(40):
        print(f"{microseconds:8.2f} us  {name}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    graphs, inputs = models()
    if chosen.profile:
        profile(graphs["merged"], inputs(64)["merged"])
        return
    sessions = {name: session(graph) for name, graph in graphs.items()}
    same = inputs(1024)
    expected, found = (sessions[name].run(None, same[name]) for name in ("alone", "merged"))
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
    print("| batch | model alone | merged | preprocessing alone | merged / alone |")
    print("|---|---|---|---|---|")
    for rows in BATCHES:
        feeds = inputs(rows)
        rounds = [
            {name: once_us(run.run, feeds[name]) for name, run in sessions.items()}
            for _ in range(chosen.rounds)
        ]
        cells = [f"{statistics.median(r[name] for r in rounds):.1f} us" for name in sessions]
        ratio = statistics.median(r["merged"] / r["alone"] for r in rounds)
        print(f"| {rows} | {' | '.join(cells)} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
