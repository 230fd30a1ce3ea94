"""What many versions of one framework take: in a process each, and in one that they share.

    python -m benchmarks.runner_memory [--versions 10] [--trees 100]

XGBoost models of a few hundred kilobytes, loaded as one engine loads them. Resident memory counts
what processes share once for each of them; the proportional share (PSS) counts it once.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import xgboost

from augurium.core.files import sha256_of_file
from augurium.core.home import NodeConfig
from augurium.core.serving_policy import PlacementPolicy
from augurium.core.settings import LimitSettings, NodeSettings, Settings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.serving.loading import Loader
from augurium.serving.snapshot import DesiredVersion

MEGABYTE = 1024**2
FEATURES = 30
# as residency does
AT_A_TIME = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--trees", type=int, default=100)
    arguments = parser.parse_args()
    print(f"{'':>10} {'processes':>10} {'RSS':>9} {'PSS':>9} {'loaded in':>10}")
    with tempfile.TemporaryDirectory() as name:
        file = trained(Path(name), arguments.trees)
        for isolation in ("dedicated", "shared"):
            with loaded(Path(name) / isolation, file, isolation, arguments.versions) as seconds:
                found = [process.memory_full_info() for process in runners(Path(name))]
                rss = sum(memory.rss for memory in found) / MEGABYTE
                pss = sum(memory.pss for memory in found) / MEGABYTE
                print(
                    f"{isolation:>10} {len(found):>10} {rss:>6.0f} MB {pss:>6.0f} MB"
                    f" {seconds:>8.1f} s"
                )


def trained(folder: Path, trees: int) -> Path:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, FEATURES)).astype(np.float32)
    booster = xgboost.train(
        {"max_depth": 6, "nthread": 1}, xgboost.DMatrix(rows, rows.sum(axis=1)), trees
    )
    booster.save_model(folder / "model.ubj")
    return folder / "model.ubj"


@contextmanager
def loaded(home: Path, file: Path, isolation: str, versions: int) -> Iterator[float]:
    """The versions in their runners; gives the seconds that took."""
    settings = Settings(node=NodeSettings(home=str(home)), limits=LimitSettings())
    config = NodeConfig(settings, ("engine-0",))
    config.home.create()
    signature = Signature(
        (TensorSpec("features", "FP32", (-1, FEATURES)),),
        (TensorSpec("prediction", "FP32", (-1,)),),
    )
    wanted = [
        DesiredVersion(
            f"model{number}",
            1,
            "xgboost",
            str(file),
            sha256_of_file(file),
            signature,
            placement=PlacementPolicy(isolation="shared" if isolation == "shared" else "dedicated"),
        )
        for number in range(versions)
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        executors = list(threads.map(Loader(config).load, wanted))
    try:
        yield time.monotonic() - began
    finally:
        for executor in executors:
            executor.close()


def runners(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and process.status() != "zombie":
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


if __name__ == "__main__":
    main()
