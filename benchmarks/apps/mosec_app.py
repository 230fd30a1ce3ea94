"""The model behind mosec, under the Open Inference Protocol's path and with its bodies."""

import os
from typing import Any

import numpy as np
import orjson
from mosec import Runtime, Server, Worker  # type: ignore[import-not-found]
from tabular_session import TabularSession, row_of  # type: ignore[import-not-found]

PATH = "/v2/models/tabular/infer"


class Tabular(Worker):  # type: ignore[misc]
    """One process; `forward` gets a list of rows where batching is on."""

    def __init__(self) -> None:
        super().__init__()
        self._session = TabularSession()

    def deserialize(self, data: bytes) -> Any:
        return row_of(orjson.loads(data))

    def serialize(self, data: Any) -> bytes:
        body: bytes = orjson.dumps(data)
        return body

    def forward(self, data: Any) -> Any:
        if not isinstance(data, list):
            labels, probabilities = self._session.run(data)
            return self._session.answer(labels[0], probabilities[0])
        labels, probabilities = self._session.run(np.vstack(data))
        return [self._session.answer(*row) for row in zip(labels, probabilities, strict=True)]


def main() -> None:
    """Settings come from the environment: BENCH_PROCESSES, BENCH_BATCH, BENCH_WAIT_MS."""
    runtime = Runtime(
        Tabular,
        num=int(os.environ["BENCH_PROCESSES"]),
        max_batch_size=int(os.environ["BENCH_BATCH"]),
        max_wait_time=int(os.environ["BENCH_WAIT_MS"]),
    )
    server = Server()
    server.register_runtime({PATH: [runtime]})
    server.run()


if __name__ == "__main__":
    main()
