"""Fuzzes one of the APIs in this process: `python -m tests.fuzz rest|grpc [libFuzzer options]`.

Coverage of `protocols`, `core` and `serving` guides it. It ends with a finding, whose input it
prints, or when its options say so, as with `-max_total_time=60`.
"""

import sys

import atheris

with atheris.instrument_imports(
    include=["augurium.protocols", "augurium.core", "augurium.serving"],
    exclude=["augurium.protocols.generated"],
):
    from tests.fuzz.served import Served

from tests.fuzz.seeds import SEEDS

HEADERS = (
    ("", ""),
    ("inference-header-content-length", "0"),
    ("content-encoding", "gzip"),
    ("content-encoding", "deflate"),
    ("accept-encoding", "gzip"),
    ("accept", "application/x-ndjson"),
    ("augurium-timeout-ms", "5000"),
)


def rest(served: Served, content: bytes) -> None:
    """The first byte chooses a good request, the second a header, the third how often its length
    is told truly; the rest is the body.
    """
    if len(content) < 3:
        return
    method, path, headers, _ = SEEDS[content[0] % len(SEEDS)]
    sent = dict(headers)
    name, value = HEADERS[content[1] % len(HEADERS)]
    if name:
        sent[name] = value
    if content[2] % 4 == 0:
        sent["inference-header-content-length"] = str(len(content[3:]) - content[2])
    served.ask_rest(method, path, sent, content[3:])


def grpc(served: Served, content: bytes) -> None:
    """The first byte chooses a method; the rest is the message."""
    methods = sorted(served.grpc_methods)
    if content:
        served.ask_grpc(methods[content[0] % len(methods)], content[1:])


def main() -> None:
    target = {"rest": rest, "grpc": grpc}[sys.argv.pop(1)]
    served = Served()
    atheris.Setup(sys.argv, lambda content: target(served, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
