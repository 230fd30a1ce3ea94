"""One model as the registry in memory keeps it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from augurium.registry.records import Model, Version
from augurium.registry.rules import version_not_found

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Version)


@dataclass
class Shelf:
    """One model. Versions are kept as JSON, so that nobody outside holds a part of them."""

    model: Model
    card: str = ""
    versions: dict[int, bytes] = field(default_factory=dict)
    purged: bool = False

    def take(self, version: int) -> Version:
        if version not in self.versions:
            raise version_not_found(self.model.name, version)
        return _decoder.decode(self.versions[version])

    def put(self, version: Version) -> Version:
        self.versions[version.version] = _encoder.encode(version)
        return self.take(version.version)

    def goes(self, moment: datetime, used: Collection[tuple[str, int]]) -> bool:
        """Whether the whole model was deleted before a time, and none of it is used."""
        return _is_before(self.model, moment) and all(name != self.model.name for name, _ in used)

    def purgeable(self, moment: datetime, used: Collection[tuple[str, int]]) -> list[int]:
        """The versions that were deleted before a time, or whose model was; none that is used."""
        everything = self.goes(moment, used)
        return [
            number
            for number in sorted(self.versions)
            if everything
            or (_is_before(self.take(number), moment) and (self.model.name, number) not in used)
        ]

    def change(self, **changes: Any) -> None:
        self.model = msgspec.structs.replace(self.model, **changes)


def _is_before(found: Model | Version, moment: datetime) -> bool:
    return found.deleted_at is not None and found.deleted_at < moment
