"""Which forms a body of rows may have, and which one a caller asks for.

Source: RFC 9110, section 12.5.1 (Accept).
"""

from enum import Enum
from typing import NamedTuple

from augurium.protocols.qualities import qualities


class Form(Enum):
    """How rows stand in a body; the value is its media type."""

    JSON = "application/json"
    ARROW = "application/vnd.apache.arrow.stream"
    LINES = "application/x-ndjson"


_FORMS = {form.value: form for form in Form} | {
    "application/jsonl": Form.LINES,
    "application/jsonlines": Form.LINES,
    "application/x-jsonlines": Form.LINES,
    "application/ndjson": Form.LINES,
}
_ANY = ("*/*", "application/*")


class Forms(NamedTuple):
    """How the rows of a request come, and how its answer is wanted."""

    rows: Form
    answer: Form


PLAIN = Forms(Form.JSON, Form.JSON)
# what most callers send, told apart at once
_USUAL_TYPES = frozenset({None, "application/json", "application/x-www-form-urlencoded"})
_USUAL_ACCEPTED = frozenset({None, "*/*", "application/json"})


def form_named(content_type: str) -> Form | None:
    """The form that a Content-Type names; None if it is not one of rows."""
    return _FORMS.get(_media_type(content_type))


def asked_forms(content_type: str | None, accept: str | None) -> Forms:
    """The forms that the two headers ask for. What is not known as a form of rows is JSON.

    An answer comes in the form of the request, unless the caller prefers another one.
    """
    if content_type in _USUAL_TYPES and accept in _USUAL_ACCEPTED:
        return PLAIN
    rows = _FORMS.get(_media_type(content_type or ""), Form.JSON)
    answer = _preferred(accept, rows) if accept else rows
    return PLAIN if rows is answer is Form.JSON else Forms(rows, answer)


def _preferred(accept: str, default: Form) -> Form:
    best, best_quality = default, 0.0
    for media_type, quality in qualities(accept):
        form = default if media_type in _ANY else _FORMS.get(media_type)
        if form is not None and quality > best_quality:
            best, best_quality = form, quality
    return best


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()
