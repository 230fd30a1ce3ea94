"""One model as the registry in memory keeps it."""

from dataclasses import dataclass, field
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

    def change(self, **changes: Any) -> None:
        self.model = msgspec.structs.replace(self.model, **changes)
