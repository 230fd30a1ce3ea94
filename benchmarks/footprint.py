"""What an idle node costs: `python -m benchmarks.footprint` from the root of the checkout.

Starts `augurium serve` three times with one deployed model and reports the median time to its ready
line and the median memory of all its processes together (PSS: shared pages counted once).
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from statistics import median

from augurium.core.errors import AuguriumError
from benchmarks import workload as tabular
from benchmarks.augurium_node import AuguriumNode
from benchmarks.machine import machine_facts
from benchmarks.run import BENCH, RESULTS
from benchmarks.server import free_ports
from benchmarks.turn import only_one

STARTS = 3
ENGINES = 2
SETTLE_S = 3.0  # memory of the start itself is given back by then
MIB = 2**20


def main() -> int:
    """Prints and saves the footprint; 1 with a message when the node does not start."""
    argparse.ArgumentParser("benchmarks.footprint", description=__doc__).parse_args()
    try:
        with only_one(BENCH):
            footprint = _measure(BENCH / "augurium" / "footprint-home")
    except AuguriumError as error:
        print(f"footprint not measured: {error}", file=sys.stderr)
        return 1
    text = json.dumps(footprint, indent=1)
    (RESULTS / "footprint.json").write_text(text + "\n")
    print(text)
    return 0


def _measure(home: Path) -> dict[str, object]:
    shutil.rmtree(home, ignore_errors=True)
    with AuguriumNode(home, free_ports(), ENGINES) as node:
        node.register(tabular.build(BENCH / "tabular").ubj, tabular.MODEL)
    starts = [_start(home) for _ in range(STARTS)]
    ready_s, pss_mib, processes = zip(*starts, strict=True)
    return {
        "engines": ENGINES,
        "models": 1,
        "starts": STARTS,
        "ready_s": round(median(ready_s), 2),
        "idle_pss_mib": round(median(pss_mib), 1),
        "processes": int(median(processes)),
        "machine": machine_facts(),
    }


def _start(home: Path) -> tuple[float, float, int]:
    with AuguriumNode(home, free_ports(), ENGINES) as node:
        time.sleep(SETTLE_S)
        return node.ready_s, node.pss_bytes() / MIB, node.process_count()


if __name__ == "__main__":
    sys.exit(main())
