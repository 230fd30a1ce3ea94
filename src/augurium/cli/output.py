"""Output: JSON and tables on standard output, progress and remarks on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import msgspec
import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Progress = Callable[[str, float], None]
# a file or a pipe has no width; tables in it keep every word
UNLIMITED_WIDTH = 10_000
KIB = 1024


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    typer.echo(msgspec.json.encode(value).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; None becomes a dash."""
    show(table(columns, rows))


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """One line per field on standard output: its name and its value; None becomes a dash."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, value in fields:
        grid.add_row(_cell(name), _cell(value))
    show(grid)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "RenderableType":
    """A table to be shown."""
    from rich import box
    from rich.table import Table

    # cells are shown whole and as they are: names may contain what would be markup
    found = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        found.add_row(*map(_cell, row))
    return found


def show(content: "RenderableType") -> None:
    """Anything of rich on standard output."""
    console(sys.stdout).print(content)


def remark(text: str) -> None:
    """A line for people on standard error."""
    typer.echo(printable(text), err=True)


def size(size_bytes: int) -> str:
    """A size for people, such as `1.5 MiB`."""
    amount, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < KIB:
            break
        amount, unit = amount / KIB, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


@contextmanager
def progress_bar(shown: bool = True) -> Iterator[Progress | None]:
    """A progress bar on standard error, for as long as the block runs; None if no one sees it."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        console=console(sys.stderr),
        transient=True,
    )
    with bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda stage, fraction: bar.update(task, description=stage, completed=fraction)


@contextmanager
def spinner(text: str, shown: bool = True) -> Iterator[None]:
    """A sign of life on standard error, for as long as the block runs, if someone sees it."""
    if not (shown and sys.stderr.isatty()):
        yield
        return
    with console(sys.stderr).status(text):
        yield


def console(stream: IO[str]) -> "Console":
    """Rich on a stream, which takes names for names and no markup."""
    from rich.console import Console

    return Console(
        file=stream,
        width=None if stream.isatty() else UNLIMITED_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
    )


def _cell(value: object) -> Any:
    from rich.text import Text

    return Text(printable(_text(value)), overflow="fold")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(entry)}" for key, entry in value.items()) or "-"
    if isinstance(value, list | tuple):
        # entries that hold commas themselves are told apart
        separator = "; " if any(isinstance(entry, dict) for entry in value) else ", "
        return separator.join(map(_text, value)) or "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    # what a server or a model says must not steer the terminal
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
