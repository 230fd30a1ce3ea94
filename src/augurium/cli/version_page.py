"""The page of one version: facts, signature, import report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import typer

from augurium.cli.import_report import ENGINE_COLUMNS, engine_rows, report_fields
from augurium.cli.output import print_fields, print_table, printable, size

if TYPE_CHECKING:
    from augurium.client.results import Lineage, Version
    from augurium.core.tensors import TensorSpec

TENSOR_COLUMNS = ("tensor", "datatype", "shape", "may be missing", "features")
SHOWN_FEATURES = 10
STREAMED = "streamed: any number for a request (generate_stream, ModelStreamInfer)"


def print_version(version: "Version") -> None:
    """All about a version on standard output."""
    print_fields(_facts(version))
    signature = version.signature
    for title, tensors in (("Inputs", signature.inputs), ("Outputs", signature.outputs)):
        typer.echo(f"\n{title}")
        print_table(TENSOR_COLUMNS, map(_row, tensors))
    if version.examples:
        typer.echo("\nExample")
        typer.echo(printable(msgspec.json.encode(version.examples[0]).decode()) + "\n")
    if version.card:
        typer.echo("Model card")
        typer.echo(printable(version.card.strip()) + "\n")
    if version.report:
        if version.report.get("engines"):
            typer.echo("Engines")
            print_table(ENGINE_COLUMNS, engine_rows(version.report))
            typer.echo(f"* serves: {printable(str(version.report.get('chosen_because', '')))}\n")
        typer.echo("Import report")
        print_fields(report_fields(version.report, indent="  "))


def _facts(version: "Version") -> list[tuple[str, object]]:
    return [
        ("version", f"{version.model}@{version.version}"),
        ("description", version.description),
        ("framework", f"{version.framework} {version.framework_version}"),
        ("engine", version.runtime),
        ("engine options", version.options),
        *([("answers", STREAMED)] if version.signature.streamed else []),
        ("deployed", "yes" if version.deployed else "no"),
        ("approval", version.approval),
        *([("deleted", version.deleted_at)] if version.deleted_at else []),
        ("registered", version.created_at),
        ("trained", version.trained_at),
        ("metrics", version.metrics),
        ("tags", version.tags),
        ("source", f"{version.source_name}, {size(version.source.size_bytes)}"),
        ("source SHA-256", version.source.digest),
        ("servable", size(version.servable.size_bytes)),
        ("servable SHA-256", version.servable.digest),
        *_beside(version),
        *_lineage(version.lineage),
    ]


def _beside(version: "Version") -> list[tuple[str, object]]:
    """What not every version has."""
    files = (
        ("weights", version.weights),
        ("preprocessing", version.preprocessing),
        ("profile", version.profile),
    )
    shown: list[tuple[str, object]] = [
        (name, size(file.size_bytes)) for name, file in files if file is not None
    ]
    if version.allowed_code:
        shown.append(("code", "its source ran code when it was loaded, which was allowed"))
    return shown


def _lineage(lineage: "Lineage") -> list[tuple[str, object]]:
    said = (
        ("code revision", lineage.code_revision),
        ("dataset", lineage.dataset_uri),
        ("dataset SHA-256", lineage.dataset_digest),
        ("training run", lineage.run_url),
        ("parent version", lineage.parent_version),
    )
    return [(name, value) for name, value in said if value]


def _row(tensor: "TensorSpec") -> tuple[object, ...]:
    return (
        tensor.name,
        tensor.datatype,
        f"[{', '.join(map(str, tensor.shape))}]",
        "yes, or left out" if tensor.optional else "yes" if tensor.nullable else "no",
        _shortened(tensor.features),
    )


def _shortened(features: Sequence[str]) -> str:
    shown = ", ".join(features[:SHOWN_FEATURES])
    more = len(features) - SHOWN_FEATURES
    return f"{shown} and {more} more" if more > 0 else shown
