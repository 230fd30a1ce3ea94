"""What a version's metadata may hold: it is kept for ever and shown in lists, so all has a limit.

Tags, metrics and options count entries, texts bytes of UTF-8, report and signature bytes of JSON.
"""

import math
import re
from typing import Any

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import check_name, check_request_id
from augurium.registry.records import Artifact, Lineage, ModelEdit, VersionDraft

MAX_TAGS = 64
MAX_TAG_BYTES = 1024
MAX_METRICS = 256
MAX_OPTIONS = 64
MAX_OPTION_BYTES = 1024
MAX_WORD_BYTES = 128
MAX_FILE_NAME_BYTES = 255
MAX_DESCRIPTION_BYTES = 64 * 1024
MAX_REPORT_BYTES = 1024 * 1024
MAX_SIGNATURE_BYTES = 4 * 1024 * 1024
MAX_ACTOR_BYTES = 256
MAX_CARD_BYTES = 256 * 1024
MAX_REASON_BYTES = 4096
MAX_LINEAGE_BYTES = 2048
MAX_EXAMPLES = 10
MAX_EXAMPLES_BYTES = 256 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_draft(draft: VersionDraft) -> None:
    """Raises InvalidArgument, with the limit, for the first thing that may not be registered."""
    for what in ("framework", "framework_version", "runtime"):
        _check_word(what, getattr(draft, what))
    check_text("source_name", draft.source_name, MAX_FILE_NAME_BYTES)
    check_text("description", draft.description, MAX_DESCRIPTION_BYTES)
    for role in ("source", "servable", "weights", "profile", "preprocessing"):
        _check_artifact(role, getattr(draft, role))
    check_tags(draft.tags)
    _check_metrics(draft.metrics)
    _check_options(draft.options)
    _check_json("report", draft.report, MAX_REPORT_BYTES)
    _check_json("signature", draft.signature, MAX_SIGNATURE_BYTES)
    check_card(draft.card)
    check_lineage(draft.lineage)
    if len(draft.examples) > MAX_EXAMPLES:
        raise InvalidArgument(
            f"{len(draft.examples)} examples were given; at most {MAX_EXAMPLES} are allowed"
        )
    _check_json("examples", draft.examples, MAX_EXAMPLES_BYTES)
    if draft.trained_at is not None and draft.trained_at.utcoffset() is None:
        raise InvalidArgument(
            f"trained_at {draft.trained_at.isoformat()} has no time zone; "
            "add one, as in 2026-01-31T12:00:00Z"
        )
    if draft.idempotency_key is not None:
        check_key(draft.idempotency_key)


def check_actor(actor: str) -> None:
    """Raises InvalidArgument unless `actor` is a text of at most 256 bytes."""
    check_text("actor", actor, MAX_ACTOR_BYTES)


def check_card(card: str) -> None:
    """Raises InvalidArgument unless `card` is a text of at most 256 KiB."""
    check_text("card", card, MAX_CARD_BYTES)


def check_key(key: str) -> None:
    """Raises InvalidArgument unless an idempotency key is 1 to 256 printable ASCII characters."""
    if not key:
        raise InvalidArgument("idempotency key is empty; give 1 to 256 characters or none at all")
    try:
        check_request_id(key)
    except InvalidArgument as error:
        raise InvalidArgument(
            "idempotency key must be 1 to 256 printable ASCII characters"
        ) from error


def check_reason(reason: str) -> None:
    """Raises InvalidArgument unless `reason` is a text of at most 4096 bytes."""
    check_text("reason", reason, MAX_REASON_BYTES)


def check_edit(edit: ModelEdit) -> None:
    """Raises InvalidArgument for a description or a tag above the limits."""
    if edit.description is not None:
        check_text("description", edit.description, MAX_DESCRIPTION_BYTES)
    check_tags({key: value or "" for key, value in edit.tags.items()})


def check_tags(tags: dict[str, str]) -> None:
    """Raises InvalidArgument for more than 64 tags, a bad key or a value above 1024 bytes."""
    _check_count("tags", tags, MAX_TAGS)
    for key, value in tags.items():
        check_name("tag", key)
        check_text(f"tag '{key}'", value, MAX_TAG_BYTES)


def check_text(what: str, text: str, max_bytes: int) -> None:
    """Raises InvalidArgument unless `text` is UTF-8 without NUL, of at most `max_bytes`."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} is not valid Unicode text: {error.reason}") from error
    if size > max_bytes:
        raise InvalidArgument(f"{what} has {size} bytes; at most {max_bytes} are allowed")
    if "\0" in text:
        raise InvalidArgument(f"{what} holds a NUL character; remove it")


def _check_word(what: str, word: str) -> None:
    check_text(what, word, MAX_WORD_BYTES)
    if not word:
        raise InvalidArgument(f"{what} is empty; expected 1 to {MAX_WORD_BYTES} bytes of text")


def check_lineage(lineage: Lineage) -> None:
    """Raises InvalidArgument for texts above 2048 bytes and for a run URL that is none."""
    for field in ("code_revision", "dataset_uri", "dataset_digest", "run_url"):
        check_text(field, getattr(lineage, field), MAX_LINEAGE_BYTES)
    if lineage.run_url and not lineage.run_url.lower().startswith(("http://", "https://")):
        raise InvalidArgument(
            f"run_url {lineage.run_url[:64]!r} is not the address of a page; "
            "expected one such as https://host/runs/7"
        )


def _check_artifact(what: str, artifact: Artifact | None) -> None:
    if artifact is None:
        return
    if not _DIGEST.fullmatch(artifact.digest) or artifact.size_bytes < 0:
        raise InvalidArgument(
            f"{what} is not a stored artifact; expected a SHA-256 of 64 lower-case hexadecimal "
            "digits and a size of 0 or more"
        )


def _check_metrics(metrics: dict[str, float]) -> None:
    _check_count("metrics", metrics, MAX_METRICS)
    for name, value in metrics.items():
        _check_word("metric name", name)
        if not math.isfinite(value):
            raise InvalidArgument(
                f"metric '{name}' is {value}; metrics are finite numbers, leave it out instead"
            )


def _check_options(options: dict[str, str]) -> None:
    _check_count("options", options, MAX_OPTIONS)
    for key, value in options.items():
        _check_word("option name", key)
        check_text(f"option '{key}'", value, MAX_OPTION_BYTES)


def _check_count(what: str, entries: dict[str, Any], most: int) -> None:
    if len(entries) > most:
        raise InvalidArgument(f"{len(entries)} {what} were given; at most {most} are allowed")


def _check_json(what: str, value: Any, max_bytes: int) -> None:
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} cannot be written as JSON: {error}") from error
    if size > max_bytes:
        raise InvalidArgument(f"{what} has {size} bytes of JSON; at most {max_bytes} are allowed")
