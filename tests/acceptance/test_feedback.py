"""Feedback to a running node, kind and hostile."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.node import Node, Reply

MANY = 1_000_000
HUGE_LINE = 40 * 1024 * 1024
LINES = "application/x-ndjson"


def row(of: str, value: Any = 1, model: str = "simple") -> dict[str, Any]:
    return {"model": model, "prediction_id": of, "name": "hostile", "value": value}


def ask(node: Node, method: str, path: str, body: Any = None, media: str = LINES) -> Reply:
    place = urlsplit(node.management)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=300)
    chunked = isinstance(body, Iterator)
    try:
        connection.request(
            method, path, body, {"content-type": media} if body else {}, encode_chunked=chunked
        )
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send(node: Node, body: Any, media: str = LINES) -> Reply:
    return ask(node, "POST", "/api/v1/feedback", body, media)


def outcomes(node: Node, model: str) -> dict[str, int]:
    found = ask(node, "GET", f"/api/v1/models/{model}/feedback/summary").json
    return {metric["name"]: metric["outcomes"] for metric in found["metrics"]}


def alive(node: Node) -> bool:
    return ask(node, "GET", "/api/v1/live").status == 200


def test_a_prediction_and_what_became_of_it(node: Node) -> None:
    said = {"model": "tabular", "prediction_id": "p-1", "name": "churned", "value": True}

    assert send(node, json.dumps(said), "application/json").json["accepted"] == 1
    with node.client() as client:
        assert client.send_feedback([said, said | {"value": False}]).accepted == 2
        (value,) = client.feedback("tabular", metric="churned").values
        (metric,) = client.feedback_summary("tabular").metrics
    assert (value.prediction_id, value.value) == ("p-1", 0.0)
    assert (metric.outcomes, metric.received, metric.conflicting) == (1, 3, 1)
    page = ask(node, "GET", "/metrics").body.decode()
    assert 'augurium_feedback_received_total{model="tabular"} 3' in page


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "simple", "prediction_id": "p", "name": "x", "value": NaN}',
        b'{"model": "simple", "prediction_id": "p", "name": "x", "value": Infinity}',
        b'{"model": "simple", "prediction_id": "p", "name": "x", "value": 1e999}',
        b'{"model": "simple", "prediction_id": "\\u0000", "name": "x", "value": 1}',
        b'{"model": "simple", "prediction_id": "\\ud800", "name": "x", "value": 1}',
        b'{"model": "../../etc", "prediction_id": "p", "name": "x", "value": 1}',
        b'{"model": {"a": 1}, "prediction_id": ["p"], "name": 7, "value": "1"}',
        b"[" * 1_000_000,
        b"\xff\xfe\x00",
        b"not json",
        b'"' + b"x" * 100_000,
    ],
)
def test_hostile_rows_are_rejected_beside_good_ones(node: Node, body: bytes) -> None:
    before = outcomes(node, "simple").get("hostile", 0)
    good = json.dumps(row(f"good-{abs(hash(body))}")).encode()

    reply = send(node, body + b"\n" + good)

    assert reply.status == 200, reply.body
    assert (reply.json["accepted"], reply.json["rejected"]) == (1, 1)
    assert reply.json["rejections"][0]["line"] == 1
    assert outcomes(node, "simple")["hostile"] == before + 1
    assert alive(node)


def test_a_line_without_an_end_is_passed_over(node: Node) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"model": "'
        for _ in range(HUGE_LINE // 65536):
            yield b"x" * 65536
        yield b"\n" + json.dumps(row("after-the-huge-line")).encode()

    reply = send(node, body())

    assert (reply.json["accepted"], reply.json["rejected"]) == (1, 1)
    assert alive(node)


def test_a_million_rows_in_one_stream_are_all_there_once(node: Node) -> None:
    def body() -> Iterator[bytes]:
        for first in range(0, MANY, 10_000):
            yield b"".join(
                b'{"model":"mixed","prediction_id":"m%d","name":"bulk","value":%d}\n'
                % (place, place % 2)
                for place in range(first, first + 10_000)
            )

    for _ in range(2):
        reply = send(node, body())
        assert reply.status == 200, reply.body
        assert (reply.json["accepted"], reply.json["rejected"]) == (MANY, 0)

    found = ask(node, "GET", "/api/v1/models/mixed/feedback/summary").json["metrics"]
    (bulk,) = [metric for metric in found if metric["name"] == "bulk"]
    assert (bulk["outcomes"], bulk["received"], bulk["conflicting"]) == (MANY, 2 * MANY, 0)
    assert bulk["mean"] == 0.5
    assert alive(node)


def test_a_sender_that_leaves_in_the_middle_leaves_nothing(node: Node) -> None:
    place = urlsplit(node.management)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as leaving:
        head = (
            f"POST /api/v1/feedback HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: {LINES}\r\n"
        )
        leaving.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        told = {"model": "text", "prediction_id": "gone", "name": "left", "value": 1}
        lines = (json.dumps(told) + "\n").encode() * 30_000
        leaving.sendall(f"{len(lines):x}\r\n".encode() + lines + b"\r\n")

    assert alive(node)
    assert "left" not in outcomes(node, "text")
