"""What benchmarks with a script of their own have in common: one at a time, figures as JSON."""

import json
import sys
from collections.abc import Callable, Mapping

import msgspec

from augurium.core.errors import AuguriumError
from benchmarks.machine import machine_facts
from benchmarks.run import BENCH, RESULTS
from benchmarks.turn import only_one


def print_and_save(name: str, measure: Callable[[], Mapping[str, object]]) -> int:
    """Measures, prints the figures and saves them as `results/NAME.json`; 1 with a message when
    something does not start.
    """
    try:
        with only_one(BENCH):
            found = measure()
    except AuguriumError as error:
        print(f"{name} not measured: {error}", file=sys.stderr)
        return 1
    content = {**found, "machine": machine_facts()}
    text = json.dumps(msgspec.to_builtins(content), indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
    return 0
