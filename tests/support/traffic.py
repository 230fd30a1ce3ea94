"""Callers at work while something else happens: every answer is compared, nothing is forgotten."""

import http.client
import json
import random
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.node import Node

CALLERS = 3


class Question(NamedTuple):
    """A request, and the JSON that is right for it."""

    path: str
    body: Any
    right: Any


class Traffic:
    """Threads that ask a node one question after the other, each on a connection of its own; a
    context manager. `right` counts answers as expected, `wrong` and `failed` say what else came.
    """

    def __init__(
        self, node: Node, question: Callable[[random.Random], Question], callers: int = CALLERS
    ) -> None:
        self.right = 0
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self._node = node
        self._question = question
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(seed,)) for seed in range(callers)
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _call(self, seed: int) -> None:
        chance = random.Random(seed)
        connection = self._connect()
        while not self._ended.is_set():
            question = self._question(chance)
            try:
                status, content = _ask(connection, question)
            except (OSError, http.client.HTTPException) as error:
                self._note(self.failed, repr(error))
                connection.close()
                connection = self._connect()
                continue
            if status != http.client.OK:
                self._note(self.failed, f"{status}: {content}")
            elif content != question.right:
                self._note(self.wrong, f"{content} to {question}")
            else:
                with self._lock:
                    self.right += 1
        connection.close()

    def _note(self, seen: list[str], what: str) -> None:
        with self._lock:
            seen.append(what)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._node.rest, timeout=30)


def _ask(connection: http.client.HTTPConnection, question: Question) -> tuple[int, Any]:
    headers = {"content-type": "application/json"}
    connection.request("POST", question.path, json.dumps(question.body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
