"""The page of one version: facts, signature, import report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from augurium.cli.import_report import report_fields
from augurium.cli.output import print_fields, print_table, size

if TYPE_CHECKING:
    from augurium.client.results import Version
    from augurium.core.tensors import TensorSpec

TENSOR_COLUMNS = ("tensor", "datatype", "shape", "may be missing", "features")
SHOWN_FEATURES = 10


def print_version(version: "Version") -> None:
    """All about a version on standard output."""
    print_fields(_facts(version))
    signature = version.signature
    for title, tensors in (("Inputs", signature.inputs), ("Outputs", signature.outputs)):
        typer.echo(f"\n{title}")
        print_table(TENSOR_COLUMNS, map(_row, tensors))
    if version.report:
        typer.echo("Import report")
        print_fields(report_fields(version.report, indent="  "))


def _facts(version: "Version") -> list[tuple[str, object]]:
    return [
        ("version", f"{version.model}@{version.version}"),
        ("description", version.description),
        ("framework", f"{version.framework} {version.framework_version}"),
        ("engine", version.runtime),
        ("engine options", version.options),
        ("deployed", "yes" if version.deployed else "no"),
        ("registered", version.created_at),
        ("trained", version.trained_at),
        ("metrics", version.metrics),
        ("tags", version.tags),
        ("source", f"{version.source_name}, {size(version.source.size_bytes)}"),
        ("source SHA-256", version.source.digest),
        ("servable", size(version.servable.size_bytes)),
        ("servable SHA-256", version.servable.digest),
    ]


def _row(tensor: "TensorSpec") -> tuple[object, ...]:
    return (
        tensor.name,
        tensor.datatype,
        f"[{', '.join(map(str, tensor.shape))}]",
        "yes" if tensor.nullable else "no",
        _shortened(tensor.features),
    )


def _shortened(features: Sequence[str]) -> str:
    shown = ", ".join(features[:SHOWN_FEATURES])
    more = len(features) - SHOWN_FEATURES
    return f"{shown} and {more} more" if more > 0 else shown
