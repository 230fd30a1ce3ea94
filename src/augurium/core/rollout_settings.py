"""Settings of what is kept and told of predictions, their outcomes and the rollouts they decide."""

from typing import Annotated

from msgspec import Meta

from augurium.core.settings_section import Count, Seconds, Section

WEBHOOK_PATTERN = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"


class SeriesSettings(Section, frozen=True):
    """How long it is kept what variants of models did, in the registry's database."""

    keep_minutes_s: Seconds = 48 * 3600.0
    """By the minute; 0: for ever."""
    keep_hours_s: Seconds = 90 * 86400.0
    """By the hour; 0: for ever."""
    keep_days_s: Seconds = 0.0
    """By the day; 0: for ever."""


class PredictionLogSettings(Section, frozen=True):
    """What is recorded of predictions, in Parquet. Inputs and outputs may be personal data: which
    of a model's are left out is said per model.
    """

    enabled: bool = True
    """Record predictions; false keeps nothing of any model."""
    sample: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """Share of the requests that are recorded with their inputs and outputs, chosen by their id; a
    model may have its own.
    """
    max_bytes: Count = 10 * 1024**3
    """Recorded predictions of all models, at most; the oldest hours leave first."""
    keep_days: Annotated[float, Meta(gt=0, le=36_500)] = 30.0
    """How long they are kept."""
    record_bytes: Annotated[int, Meta(ge=256, le=1024 * 1024)] = 16 * 1024
    """The inputs of one request as JSON, at most, and its outputs; of longer ones the first rows
    are kept.
    """
    ring_records: Annotated[int, Meta(ge=1, le=10_000_000)] = 32_768
    """Requests whose records an engine keeps in memory until control takes them; more are not
    recorded, and counted.
    """
    ring_bytes: Count = 16 * 1024 * 1024
    """The same in bytes."""
    flush_interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    """How often control writes what engines sent. So much is lost when it is killed."""
    flush_records: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    """With so many waiting it writes at once."""


class FeedbackSettings(Section, frozen=True):
    """Outcomes of predictions."""

    keep_days: Annotated[float, Meta(gt=0, le=36500)] = 400.0
    """How long feedback is kept after it was received."""
    compact_rows: Count = 100_000
    """So many rows in the journal, which is in the database, are put into a Parquet file."""
    compact_s: Annotated[float, Meta(ge=1)] = 3600.0
    """And so are fewer when the oldest of them was received so long ago."""


class WebhookSettings(Section, frozen=True):
    """Who is told of what happens in rollouts and how runs of schedules end, by an HTTP request for
    each event.
    """

    urls: tuple[Annotated[str, Meta(pattern=WEBHOOK_PATTERN)], ...] = ()
    """Where events are sent, `https://...` or `http://...`. Redirects are not followed."""
    secret_file: str = ""
    """File with the secret that signs what is sent: text, or `whsec_` and base64. Empty for no
    signature.
    """
    kinds: tuple[str, ...] = ()
    """Events that are told, such as `rolled_back` or `batch_failed`; empty for all."""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """How long a receiver may take to answer."""
    attempts: Annotated[int, Meta(ge=1, le=20)] = 8
    """How often an event is sent until it is taken, with growing pauses of a second to a minute."""
    queue_size: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Events that wait for a receiver, at most; newer ones are dropped and counted."""
