"""Segments, the files that records lie in, and their places in a store.

`<kind>/model=<model>/hour=<YYYY-MM-DDTHH>/<written at, ms>-<writer>-<digest>.parquet`
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SUFFIX = ".parquet"
MERGE_SUFFIX = ".merge"
HOUR = timedelta(hours=1)
HOUR_FORMAT = "%Y-%m-%dT%H"
_NAME = re.compile(r"(\d{13})-([0-9a-f]{8})-([0-9a-f]{16})")
_KEY = re.compile(
    r"([a-z_]{1,32})/model=([^/]{1,128})/hour=(\d{4}-\d\d-\d\dT\d\d)/([^/]+)(\.parquet|\.merge)"
)


class Segment(NamedTuple):
    """One file: rows of one kind, model and hour. `name` sorts by when it was written."""

    kind: str
    model: str
    hour: datetime
    name: str
    size_bytes: int

    @property
    def key(self) -> str:
        """Its place in the store."""
        return f"{hour_folder(self.kind, self.model, self.hour)}/{self.name}{SUFFIX}"

    @property
    def merge_key(self) -> str:
        """Where it stands which segments this one takes the place of."""
        return self.key.removesuffix(SUFFIX) + MERGE_SUFFIX

    @property
    def writer(self) -> str:
        """The node that wrote it."""
        return self.name[14:22]

    @property
    def digest(self) -> str:
        """The first 16 digits of the SHA-256 of its content."""
        return self.name[23:39]


def segment_name(written_at: datetime, writer: str, content: bytes) -> str:
    """A name that nothing else has: when, by whom, and of what."""
    return f"{int(written_at.timestamp() * 1000):013d}-{writer}-{content_digest(content)}"


def content_digest(content: bytes) -> str:
    """As it stands in the name of a segment."""
    return hashlib.sha256(content).hexdigest()[:16]


def kind_folder(kind: str) -> str:
    """Where all segments of a kind lie."""
    return f"{kind}/"


def model_folder(kind: str, model: str) -> str:
    """Where those of one model lie."""
    return f"{kind}/model={model}/"


def hour_folder(kind: str, model: str, hour: datetime) -> str:
    """Where those of one hour lie; an earlier hour sorts before a later one."""
    return f"{model_folder(kind, model)}hour={hour.astimezone(UTC).isoformat()[:13]}"


def hour_of(at: datetime) -> datetime:
    """The hour that a time lies in."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


class Found(NamedTuple):
    """What a key of the store stands for; a `merge` is a note, not a segment."""

    segment: Segment
    merge: bool


def found_of(key: str, size_bytes: int) -> Found | None:
    """None for a key that nobody here has written."""
    match = _KEY.fullmatch(key)
    if match is None or _NAME.fullmatch(match[4]) is None:
        return None
    try:
        hour = datetime.strptime(match[3], HOUR_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    segment = Segment(match[1], match[2], hour, match[4], size_bytes)
    return Found(segment, match[5] == MERGE_SUFFIX)
