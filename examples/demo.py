"""Two real models from training to answers: `make demo` shows, `make serve` leaves them running."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tritonclient.grpc
from rich.console import Console
from rich.table import Table

from augurium.client import Client
from examples import load
from examples.flights import NUMBERS, Flights, Trained, load_flights, train_pipeline, train_xgboost

PIPELINE = "late-flights"
TREES = "late-flights-xgb"
SHOWN = 4
SERVE_HOME = ".demo-home"

console = Console(record=True)


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 when an answer differs from the framework's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    console.rule("[bold]1. Train on 33 000 real flights")
    flights = load_flights()
    pipeline, trees = train_pipeline(flights), train_xgboost(flights)
    console.print(f"scikit-learn pipeline (text and numbers): AUC {pipeline.auc:.3f}")
    console.print(f"XGBoost (numbers, 100 trees): AUC {trees.auc:.3f}")
    if "--serve" in arguments:
        return leave_running(pipeline, trees)
    with tempfile.TemporaryDirectory() as home, node(Path(home), free_ports=True) as urls:
        client = Client(urls["management"])
        console.rule("[bold]2. Register and deploy")
        register(client, pipeline, trees)
        console.rule("[bold]3. Ask, and compare with the frameworks")
        worst = compare(client, urls["gRPC"], flights, pipeline, trees)
        console.rule("[bold]4. A short load, from Python")
        show_load(client, flights)
        client.close()
        console.rule("[bold]5. Stop")
    console.print(f"done in {time.monotonic() - started:.1f} s; largest difference {worst:.1e}")
    if "--picture" in arguments:
        console.save_svg(arguments[arguments.index("--picture") + 1], title="make demo")
    return int(worst > 1e-4)


@contextlib.contextmanager
def node(home: Path, free_ports: bool) -> Iterator[dict[str, str]]:
    """Runs `augurium serve` and stops it with grace; gives its addresses by name."""
    command = [str(Path(sys.executable).parent / "augurium"), "serve", "--home", str(home)]
    if free_ports:
        command += ["--port", "0", "--grpc-port", "0", "--control-port", "0"]
    environment = {**os.environ, "AUGURIUM_LOG_LEVEL": "warning"}
    # in a session of its own: Ctrl-C in a terminal is for this process, which stops the node once
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "is ready" not in line:
            raise SystemExit("the node did not start; its words are above")
        console.print(line.strip())
        yield addresses(line)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def addresses(line: str) -> dict[str, str]:
    """The addresses in the line that `augurium serve` prints when it is ready."""
    parts = line.partition(" s: ")[2].partition(" (")[0].split(", ")
    return dict(part.split(" ") for part in parts)


def register(client: Client, pipeline: Trained, trees: Trained) -> None:
    """One model straight from memory, one from a file; no pickle is made of either."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "late.ubj"
        trees.model.save_model(file)
        for name, model, trained in ((PIPELINE, pipeline.model, pipeline), (TREES, file, trees)):
            began = time.monotonic()
            version = client.register(
                model, name=name, data=trained.table, metrics={"auc": round(trained.auc, 4)}
            )
            client.deploy(name, version.version)
            console.print(
                f"{name}@{version.version}: {version.framework} {version.framework_version}"
                " served by"
                f" {version.runtime}, live after {time.monotonic() - began:.1f} s"
            )


def compare(
    client: Client, grpc_address: str, flights: Flights, pipeline: Trained, trees: Trained
) -> float:
    """The same rows over three protocols beside the framework's own answers; the largest
    difference.
    """
    rows = flights.test.iloc[:: len(flights.test) // SHOWN][:SHOWN]
    native = pipeline.model.predict_proba(rows)[:, 1]
    native_trees = trees.model.predict_proba(rows[NUMBERS])[:, 1]
    over_v1 = [
        answer["probabilities"][1]
        for answer in client.predict(PIPELINE, rows.to_dict("records")).predictions
    ]
    matrix = rows[NUMBERS].to_numpy(np.float32)
    over_v2 = client.infer(TREES, {"features": matrix}).outputs["probabilities"][:, 1]
    over_grpc = ask_over_grpc(grpc_address, matrix)
    table = Table("flight, delay", "v1 REST", "scikit-learn", "v2 REST", "gRPC", "XGBoost")
    for i, (_, row) in enumerate(rows.iterrows()):
        name = f"{row['carrier']} {row['origin']}-{row['dest']} {row['dep_delay']:+.0f}'"
        values = (over_v1[i], native[i], over_v2[i], over_grpc[i], native_trees[i])
        table.add_row(name, *(f"{value:.6f}" for value in values))
    console.print(table)
    differences = [over_v1 - native, over_v2 - native_trees, over_grpc - native_trees]
    return float(np.abs(differences).max())


def ask_over_grpc(address: str, matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Through Triton's published client."""
    client = tritonclient.grpc.InferenceServerClient(address)
    features = tritonclient.grpc.InferInput("features", matrix.shape, "FP32")
    features.set_data_from_numpy(matrix)
    probabilities: np.ndarray[Any, Any] = client.infer(TREES, [features]).as_numpy("probabilities")
    client.close()
    return probabilities[:, 1]


def show_load(client: Client, flights: Flights) -> None:
    """Latencies of single rows with named features."""
    url = client.rest_url.removeprefix("http://")
    host, _, port = url.rpartition(":")
    row = flights.test.iloc[[0]].astype(object).where(flights.test.iloc[[0]].notna(), None)
    content = {"instances": row.to_dict("records")}
    table = Table("connections", "p50 ms", "p99 ms", "requests/s", "errors")
    for connections in (1, 8):
        found = load.measure(
            host, int(port), f"/v1/models/{PIPELINE}:predict", content, connections
        )
        table.add_row(
            str(connections),
            f"{found.p50_ms:.2f}",
            f"{found.p99_ms:.2f}",
            f"{found.per_second:.0f}",
            str(found.errors),
        )
    console.print(table)


def leave_running(pipeline: Trained, trees: Trained) -> int:
    """Serves both models on the usual ports until Ctrl-C."""
    with node(Path(SERVE_HOME), free_ports=False) as urls, Client(urls["management"]) as client:
        register(client, pipeline, trees)
        row = pd.Series(pipeline.table.iloc[0]).to_json()
        console.print("try:", style="bold")
        print(f"curl {urls['REST']}/v1/models/{PIPELINE}:predict -d '{{\"instances\": [{row}]}}'")
        console.print("stop with Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
