"""The bare predict calls: one array split over two processes, one thread each. A child of the batch
benchmark: waits for a line when its half is ready, then predicts and prints what it took.
"""

import json
import sys
import time

import numpy as np
import xgboost

from benchmarks.batch_data import file_rows, files_of


def main() -> None:
    model, rows, part, parts = sys.argv[1], *(int(word) for word in sys.argv[2:5])
    booster = xgboost.Booster(model_file=model)
    booster.set_param({"nthread": 1})
    mine = _part(rows, part, parts)
    booster.inplace_predict(mine[:1000], validate_features=False)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu_s = time.monotonic(), time.process_time()
    answers = booster.inplace_predict(mine, validate_features=False)
    ended, cpu_s = time.monotonic(), time.process_time() - cpu_s
    print(json.dumps([began, ended, cpu_s, len(answers), float(answers.sum(dtype=np.float64))]))


def _part(rows: int, part: int, parts: int) -> np.ndarray:
    """A share of every file."""
    blocks = [
        np.array_split(file_rows(number, count), parts)[part]
        for number, count in enumerate(files_of(rows))
    ]
    return np.concatenate(blocks)


if __name__ == "__main__":
    main()
