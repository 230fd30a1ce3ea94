"""Parts of the report's page that several of its sections have."""

from collections.abc import Iterable, Iterator, Sequence

from augurium.batch.page_style import STYLE
from augurium.core.drawing import markup

STATUSES = {
    "ok": "✓ ok",
    "warn": "▲ warning",
    "alert": "■ alert",
    "insufficient_data": "? too few rows",
}


def head(title: str) -> Iterator[str]:
    """What stands before the body of a page, and its beginning."""
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{markup(title)}</title><style>{STYLE}</style></head><body>"


def legend(filled: str, outlined: str) -> str:
    """What is filled and what is an outline."""
    return (
        f'<p class="legend"><span><i class="job"></i>{filled}</span> '
        f'<span><i class="outline"></i>{outlined}</span></p>'
    )


def table(caption: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its caption is not shown but read out."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption class="unseen">{markup(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
