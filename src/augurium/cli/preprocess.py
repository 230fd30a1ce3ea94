"""`augurium preprocess`: fit transforms on a table, look at them, apply, compile and check them.

Works on files of this machine; no server is asked.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.exit_codes import ExitCode
from augurium.cli.group import Commands
from augurium.cli.output import print_fields, print_json, print_table, progress_bar, size, spinner

if TYPE_CHECKING:
    from augurium.preprocessing.fitted import FittedPreprocessing
    from augurium.preprocessing.skew import SkewReport

MAX_SHOWN = 12

preprocess = typer.Typer(
    name="preprocess", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False
)


def _file(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, exists=True, dir_okay=False, help=text)


Spec = Annotated[Path, _file("SPEC", "The transforms, in JSON or TOML.")]
Table = Annotated[Path, _file("TABLE", "A table: Parquet, CSV or Arrow IPC.")]
Fitted = Annotated[Path, _file("FITTED", "A fitted preprocessing.")]
Output = Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")]


@preprocess.callback()
def preprocess_command() -> None:
    """Fits feature transforms, shows, applies and compiles them, and checks for skew."""


@preprocess.command()
def fit(
    spec: Spec,
    table: Table,
    output: Output,
    target: Annotated[
        str | None, typer.Option(help="The column of answers, for target_mean.")
    ] = None,
    max_levels: Annotated[
        int, typer.Option(help="How many levels a column may have where all are needed.")
    ] = 10_000,
    json: JsonFlag = False,
) -> None:
    """Learns what the transforms need from a training table, in one pass if it can."""
    from augurium.preprocessing.declaration import read_preprocessing

    declared = read_preprocessing(spec)
    with progress_bar(shown=not json) as progress:
        fitted = declared.fit(table, target=target, max_levels=max_levels, progress=progress)
    output.write_bytes(fitted.to_json())
    _print(fitted, json)


@preprocess.command()
def show(fitted: Fitted, json: JsonFlag = False) -> None:
    """Shows the raw columns, the steps and the columns that come out."""
    _print(_read(fitted), json)


@preprocess.command()
def apply(fitted: Fitted, table: Table, output: Output, json: JsonFlag = False) -> None:
    """Writes the transformed columns of a table, as Parquet or CSV by the name of the output."""
    from augurium.preprocessing.transformed_table import write_transformed

    found = _read(fitted)
    with progress_bar(shown=not json) as progress:
        rows = write_transformed(found, table, output, progress)
    facts = {"rows": rows, "columns": len(found.outputs), "file": str(output)}
    print_json(facts) if json else print_fields(facts.items())


@preprocess.command(name="compile")
def compile_(fitted: Fitted, output: Output, json: JsonFlag = False) -> None:
    """Writes the transforms as an ONNX graph of their own: raw columns in, a matrix out."""
    from augurium.preprocessing.compiler import compiled

    found = _read(fitted)
    with spinner("compiling", shown=not json):
        model = compiled(found)
    content = model.SerializeToString()
    output.write_bytes(content)
    if json:
        facts = {"file": str(output), "nodes": len(model.graph.node), "size_bytes": len(content)}
        print_json(facts)
        return
    print_fields(
        [
            ("file", str(output)),
            ("inputs", [value.name for value in model.graph.input]),
            ("operators", len(model.graph.node)),
            ("size", size(len(content))),
        ]
    )


@preprocess.command()
def skew(
    fitted: Fitted,
    raw: Annotated[Path, _file("RAW", "The raw training table.")],
    expected: Annotated[
        Path | None,
        typer.Option(
            metavar="TRANSFORMED",
            exists=True,
            dir_okay=False,
            help="The same rows as you transformed them; the NumPy reference if not given.",
        ),
    ] = None,
    rtol: Annotated[float, typer.Option(help="Allowed difference, relative to the value.")] = 1e-5,
    atol: Annotated[float, typer.Option(help="Allowed difference besides.")] = 1e-6,
    json: JsonFlag = False,
) -> None:
    """Compares the compiled graph with the training table as you transformed it.

    Ends with 1 when a value differs.
    """
    from augurium.preprocessing.skew import skew as compare

    found = _read(fitted)
    with spinner("comparing", shown=not json):
        report = compare(found, raw, expected, rtol, atol)
    if json:
        print_json(report)
    else:
        _print_skew(report)
    if not report.agrees:
        raise typer.Exit(ExitCode.FAILED)


def _read(file: Path) -> "FittedPreprocessing":
    from augurium.preprocessing.fitted import read_fitted

    return read_fitted(file)


def _print(fitted: "FittedPreprocessing", json: bool) -> None:
    if json:
        print_json(fitted)
        return
    print_fields(
        [
            ("source", fitted.source),
            ("rows", fitted.rows),
            ("schema hash", fitted.schema_hash),
            ("columns out", _some(fitted.outputs)),
            ("notes", list(fitted.notes) or None),
        ]
    )
    print_table(
        ["raw column", "type", "missing", "left out", "default", "categories"],
        [
            (
                column.name,
                column.type,
                "taken" if column.nullable else "refused",
                "allowed" if column.optional else "refused",
                column.default,
                _some(column.categories) if column.categories else None,
            )
            for column in fitted.inputs
        ],
    )
    print_table(["step", "column", "values"], map(_step_row, fitted.steps))


def _step_row(step: Any) -> tuple[object, ...]:
    fields = msgspec.to_builtins(step)
    kind = fields.pop("step")
    column = fields.pop("column", None) or _some(fields.pop("columns", ()))
    return kind, column, {name: _shortened(value) for name, value in fields.items()}


def _shortened(value: Any) -> Any:
    return _some(value) if isinstance(value, list | tuple) else value


def _some(values: Any) -> str:
    shown = ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in values[:MAX_SHOWN])
    hidden = len(values) - MAX_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _print_skew(report: "SkewReport") -> None:
    print_fields(
        [
            ("agrees", "yes" if report.agrees else "no"),
            ("rows", report.rows),
            ("against", report.against),
            ("allowed", f"{report.atol:g} + {report.rtol:g} of the value"),
            ("not made", report.unknown_columns or None),
        ]
    )
    print_table(
        ["column", "largest difference", "rows beyond", "first row", "expected", "found"],
        [
            (
                column.name,
                column.max_abs_difference,
                column.rows_beyond_tolerance,
                column.first_row,
                column.expected,
                column.found,
            )
            for column in report.columns
        ],
    )
