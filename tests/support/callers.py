"""Threads that ask a node again and again while something happens to it."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from tests.support.node import Node

# answers of each before the block begins
FIRST = 5
LONGEST_S = 30.0


class Answered(NamedTuple):
    """The answer to one row, and the model that was asked."""

    model: str
    prediction: Any


class Callers:
    """What they were told from a little before the block until its end; `choose` says which model
    to ask, and for which row.
    """

    def __init__(
        self, node: Node, choose: Callable[[random.Random], tuple[str, Any]], number: int
    ) -> None:
        self.failed: list[str] = []
        self.answers: list[Answered] = []
        self._base = f"http://{node.rest}/v1/models"
        self._choose = choose
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(number)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        # on a busy machine the first answers take a while
        until = time.monotonic() + LONGEST_S
        while len(self.answers) < FIRST * len(self._threads) and time.monotonic() < until:
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(timeout=30) as client:
            while not self._stopping.is_set():
                model, row = self._choose(chance)
                answer = client.post(f"{self._base}/{model}:predict", json={"instances": [row]})
                if answer.status_code == 200:
                    self.answers.append(Answered(model, answer.json()["predictions"][0]))
                else:
                    self.failed.append(f"{answer.status_code}: {answer.text}")
