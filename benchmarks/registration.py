"""How soon a new version is live: `python -m benchmarks.registration` from the checkout's root.

Registers and deploys the demo's two models several times over on a running node, from memory and
with their training tables, and reports the medians of three times: the import (upload, conversion,
parity, choice of the engine), the deployment after it, measured until the data plane has answered
with the new version, and both together.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import msgspec

from augurium.client import Client
from benchmarks.augurium_node import AuguriumNode
from benchmarks.run import BENCH
from benchmarks.saved import print_and_save
from benchmarks.server import free_ports
from examples.flights import NUMBERS, Trained, load_flights, train_pipeline, train_xgboost

ROUNDS = 5


class Times(msgspec.Struct, frozen=True):
    """Seconds of one registration."""

    import_s: float
    live_s: float


def main() -> int:
    """Prints and saves the medians; 1 with a message when the node does not start."""
    argparse.ArgumentParser("benchmarks.registration", description=__doc__).parse_args()
    return print_and_save("registration", _measured)


def _measured() -> dict[str, Any]:
    home, ports = BENCH / "augurium" / "registration-home", free_ports()
    shutil.rmtree(home, ignore_errors=True)
    with (
        AuguriumNode(home, ports, 2),
        Client(f"http://127.0.0.1:{ports.other}", timeout_s=120) as client,
    ):
        found = {name: _rounds(client, name, trained, row) for name, trained, row in _models()}
    return {"rounds": ROUNDS, **found}


def _models() -> Iterator[tuple[str, Trained, dict[str, Any]]]:
    """Each model with a row to ask about."""
    flights = load_flights()
    row = flights.test.dropna().iloc[0].to_dict()
    yield "pipeline", train_pipeline(flights), row
    yield "xgboost", train_xgboost(flights), {name: row[name] for name in NUMBERS}


def _rounds(client: Client, name: str, trained: Trained, row: dict[str, Any]) -> dict[str, float]:
    times = [_once(client, name, trained, row) for _ in range(ROUNDS)]
    return {
        "import_s": round(median(t.import_s for t in times), 2),
        "live_after_import_s": round(median(t.live_s for t in times), 2),
        "live_s": round(median(t.import_s + t.live_s for t in times), 2),
    }


def _once(client: Client, name: str, trained: Trained, row: dict[str, Any]) -> Times:
    began = time.monotonic()
    version = client.register(trained.model, name=name, data=trained.table)
    imported = time.monotonic()
    client.deploy(name, version.version)
    while client.predict(name, [row]).version != version.version:
        pass
    return Times(imported - began, time.monotonic() - imported)


if __name__ == "__main__":
    sys.exit(main())
