"""The options of a batch job, for every command that asks for one."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from augurium.client.batch_spec import BatchOptions

Texts = list[str] | None
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A model: name, name@3 or name@champion."),
]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders or globs that the server sees, or s3://, gs:// or az:// URLs.",
    ),
]
Output = Annotated[
    str, typer.Argument(metavar="OUTPUT", help="The folder that answers are written to, or a URL.")
]


def job_options(
    *,
    format: Annotated[
        str, typer.Option(help="parquet, arrow, csv or jsonl; told by the names if not given.")
    ] = "",
    map: Annotated[
        Texts,
        typer.Option(
            "--map", metavar="FEATURE=COLUMN", help="The column of a feature; may be given again."
        ),
    ] = None,
    keep: Annotated[
        Texts,
        typer.Option(metavar="COLUMN", help="Passed through, `*` for all; may be given again."),
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="SQL", help="Score only rows for which this is true.")
    ] = "",
    delimiter: Annotated[str | None, typer.Option(help="Between fields of CSV.")] = None,
    quote: Annotated[str | None, typer.Option(help="Around fields of CSV.")] = None,
    header: Annotated[
        bool, typer.Option("--header/--no-header", help="CSV files begin with names of columns.")
    ] = True,
    names: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns of CSV files without a header.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of CSV files, such as latin-1.")] = None,
    null: Annotated[
        Texts, typer.Option("--null", metavar="TEXT", help="Means no value in CSV, such as NA.")
    ] = None,
    output_format: Annotated[str | None, typer.Option(help="parquet, arrow, csv or jsonl.")] = None,
    mode: Annotated[
        str | None, typer.Option(help="If the output is not empty: fail, append or overwrite.")
    ] = None,
    partition_by: Annotated[
        Texts,
        typer.Option(metavar="COLUMN", help="A folder for each value; may be given again."),
    ] = None,
    outputs: Annotated[
        Texts,
        typer.Option("--outputs", metavar="NAME", help="Only these outputs of the model."),
    ] = None,
    compression: Annotated[
        str | None, typer.Option(help="Of the files that are written, such as zstd or gzip.")
    ] = None,
    max_bad_rows: Annotated[
        str | None,
        typer.Option(
            metavar="100|0.1%", help="Set aside so many rows that cannot be scored; else none."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows scored at once; measured if not given.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; else one per core.")] = None,
    partition_rows: Annotated[
        int | None, typer.Option(help="About so many rows are committed together.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of what is random in a job.")] = None,
    priority: Annotated[
        int | None, typer.Option(help="0 to 100; of jobs that wait the highest begins first.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="auto, local or ray.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="What runs the model; the fastest if not given.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also write what every feature contributed.")
    ] = False,
    label: Annotated[
        Texts, typer.Option(metavar="KEY=VALUE", help="A label; may be given again.")
    ] = None,
) -> "BatchOptions":
    """What the flags say of a job, as `Client.batch` takes it."""
    said: dict[str, Any] = {
        "format": format,
        "columns": _pairs(map, "--map", "amount=order_amount"),
        "keep": keep,
        "where": where,
        "delimiter": _letter(delimiter),
        "quote": quote,
        "header": None if header else False,
        "names": names.split(",") if names else None,
        "encoding": encoding,
        "null_values": null,
        "output_format": output_format,
        "mode": mode,
        "partition_by": partition_by,
        "outputs": outputs,
        "compression": compression,
        "max_bad_rows": max_bad_rows,
        "batch_size": batch_size,
        "workers": workers,
        "partition_rows": partition_rows,
        "seed": seed,
        "priority": priority,
        "engine": engine,
        "runtime": runtime,
        "explain": explain,
        "labels": _pairs(label, "--label", "team=risk"),
    }
    # what was not said is left to the server
    unsaid: tuple[object, ...] = (None, "", {}, [])
    options: Any = {name: value for name, value in said.items() if value not in unsaid}
    return options  # type: ignore[no-any-return]


def takes_job(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these flags; it takes what they say as its argument `options`."""
    flags = inspect.signature(job_options).parameters
    own = inspect.signature(command)

    @functools.wraps(command)
    def taken(**given: Any) -> None:
        options = job_options(**{name: given.pop(name) for name in flags})
        command(**given, options=options)

    mine = [found for found in own.parameters.values() if found.name != "options"]
    parameters = [*mine, *flags.values()]
    taken.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    taken.__annotations__ = {found.name: found.annotation for found in parameters}
    return taken


def _pairs(texts: Texts, flag: str, example: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts or ()]
    for name, separator, value in pairs:
        if not (name and separator and value):
            raise typer.BadParameter(
                f"'{name}{separator}{value}' is not NAME=VALUE; expected one such as {example}",
                param_hint=flag,
            )
    return {name: value for name, _, value in pairs}


def _letter(delimiter: str | None) -> str | None:
    """Shells make a tab hard to write."""
    return "\t" if delimiter in ("\\t", "tab") else delimiter


def checked(model: str, inputs: Sequence[str], output: str, options: "BatchOptions") -> Any:
    """The job that this asks for. Raises BadParameter where it says so before any server does."""
    from augurium.client.batch_spec import batch_spec
    from augurium.core.errors import InvalidArgument

    try:
        return batch_spec(model, inputs, output, **options)
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from error
