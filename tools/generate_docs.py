"""Writes the reference pages that come from the code; with `--check`, says whether they are up to
date.
"""

import ast
import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from augurium.control.api_description import describe
from augurium.control.app import create_app
from augurium.control.metrics import NodeFacts, render
from augurium.core import errors, settings
from augurium.core.errors import AuguriumError
from augurium.protocols.errors_grpc import GRPC_STATUS
from augurium.protocols.errors_http import HTTP_STATUS
from augurium.serving.metrics import EngineMetrics

REFERENCE = Path(__file__).parent.parent / "docs/reference"
GENERATED = "<!-- Written by `make docs` from the code; change the code instead. -->\n\n"


def settings_page() -> str:
    """Every setting with its default and its meaning, from the structs and their docstrings."""
    lines = [
        "# Settings\n",
        "One tree, read from `augurium.toml` (or `--config FILE`), then `AUGURIUM_SECTION_KEY`"
        " variables, then flags; later ones win. Unknown keys are errors."
        " `augurium serve --print-settings` shows every value and where it came from.\n",
    ]
    for name, section in settings.SECTIONS.items():
        lines += [f"## `[{name}]`\n", str(inspect.getdoc(section)), ""]
        lines += ["| key | default | variable | meaning |", "|---|---|---|---|"]
        meanings = field_meanings(section)
        defaults = section()
        for field in section.__struct_fields__:
            variable = f"AUGURIUM_{name}_{field}".upper()
            default = getattr(defaults, field)
            lines.append(f"| `{field}` | `{default}` | `{variable}` | {meanings[field]} |")
        lines.append("")
    return "\n".join(lines)


def field_meanings(section: type) -> dict[str, str]:
    """The string that follows each field of a class."""
    body = ast.parse(inspect.getsource(section)).body[0]
    meanings: dict[str, str] = {}
    field = ""
    for statement in body.body if isinstance(body, ast.ClassDef) else []:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            field = statement.target.id
            meanings[field] = ""
        elif (
            field and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        ):
            meanings[field] = " ".join(str(statement.value.value).split())
    return meanings


def errors_page() -> str:
    """Every error kind with its codes and its meaning."""
    lines = [
        "# Errors\n",
        "Every refusal says what was wrong, what was expected and what to do. REST answers"
        ' `{"error": TEXT}`, gRPC puts the same text into the status. The management API adds'
        " the kind.\n",
        "| kind | HTTP | gRPC | when |",
        "|---|---|---|---|",
    ]
    for found in vars(errors).values():
        if (
            isinstance(found, type)
            and issubclass(found, AuguriumError)
            and found is not AuguriumError
        ):
            kind = found.kind
            lines.append(
                f"| `{kind}` | {HTTP_STATUS[kind]} | {GRPC_STATUS[kind].name} |"
                f" {inspect.getdoc(found)} |"
            )
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric with its type and its meaning, from the page that Prometheus reads."""
    lines = [
        "# Metrics\n",
        "`GET /metrics` on the management port, Prometheus text format 0.0.4, summed over all"
        " engines."
        " Series of a version carry the labels `model` and `version`.\n",
        "| metric | type | meaning |",
        "|---|---|---|",
    ]
    text = render(EngineMetrics(), NodeFacts(0, 0)).decode()
    helps = dict(line[7:].split(" ", 1) for line in text.splitlines() if line.startswith("# HELP "))
    types = dict(line[7:].split(" ", 1) for line in text.splitlines() if line.startswith("# TYPE "))
    lines += [f"| `{name}` | {types[name]} | {meaning} |" for name, meaning in helps.items()]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Every route of the management API, from its OpenAPI description."""
    services: Any = SimpleNamespace(access=None)  # describing asks nothing of them
    lines = [
        "# Management API\n",
        "JSON over HTTP on the management port; `GET /docs` shows the same with every shape.\n",
        "| method | path | what it does |",
        "|---|---|---|",
    ]
    for path, operations in describe(create_app(services))["paths"].items():
        for method, operation in operations.items():
            text = operation.get("description") or operation.get("summary", "")
            lines.append(f"| {method.upper()} | `{path}` | {' '.join(text.split())} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "management-api.md": api_page,
}


def main(arguments: list[str]) -> int:
    """Writes the pages, or with `--check` returns 1 when one is not what the code says."""
    stale = []
    for name, page in PAGES.items():
        file = REFERENCE / name
        text = GENERATED + page()
        if "--check" not in arguments:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale.append(name)
    if stale:
        print(f"not up to date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
