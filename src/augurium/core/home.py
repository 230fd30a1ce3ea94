"""A node's folder, and the resolved configuration that its processes share."""

import hashlib
import tempfile
from pathlib import Path

import msgspec

from augurium.core.settings import Settings

LONGEST_SOCKET_PATH = 100  # the kernel allows 108 bytes, 104 on macOS


class Home(msgspec.Struct, frozen=True):
    """The folder of a node; everything it keeps lies in here."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite registry."""
        return self.path / "registry.db"

    @property
    def artifacts(self) -> Path:
        """Model files by content."""
        return self.path / "artifacts"

    @property
    def cache(self) -> Path:
        """Copies of artifacts that are kept in an object store."""
        return self.path / "cache"

    @property
    def records(self) -> Path:
        """What was recorded of predictions, unless that is in an object store."""
        return self.path / "records"

    @property
    def record_copies(self) -> Path:
        """Copies of records that are kept in an object store."""
        return self.path / "record-copies"

    @property
    def record_work(self) -> Path:
        """Temporary files of whoever reads and writes records; emptied at every start."""
        return self.path / "record-work"

    @property
    def record_writer(self) -> Path:
        """The name under which this node writes records."""
        return self.state / "record-writer"

    @property
    def keys(self) -> Path:
        """The key this node signs with, and the keys it trusts."""
        return self.path / "keys"

    @property
    def staging(self) -> Path:
        """Uploads and imports in progress; emptied at start."""
        return self.path / "staging"

    @property
    def batch(self) -> Path:
        """What batch jobs write beside their output while they run."""
        return self.path / "batch"

    @property
    def state(self) -> Path:
        """The engines' last snapshots."""
        return self.path / "state"

    def snapshot(self, engine: str) -> Path:
        """What the engine of a slot served last; it starts with that."""
        return self.state / f"{engine}.snapshot"

    @property
    def verified(self) -> Path:
        """Which files the engines hashed, and how these were then."""
        return self.state / "verified"

    @property
    def proven(self) -> Path:
        """Which versions went through their warm-up on this machine, by engine."""
        return self.state / "proven"

    @property
    def run(self) -> Path:
        """Sockets, process configuration and the lock of the running node."""
        return self.path / "run"

    @property
    def lock(self) -> Path:
        return self.run / "node.lock"

    @property
    def config(self) -> Path:
        return self.run / "config.json"

    @property
    def link_socket(self) -> Path:
        """Where control listens for engines."""
        return short_socket_path(self.run / "link.sock")

    def neighbour_socket(self, engine: str) -> Path:
        """Where the engine of a slot answers for the others."""
        return short_socket_path(self.run / f"{engine}.sock")

    def load_note(self, engine: str) -> Path:
        """What the engine of a slot is loading."""
        return self.state / f"{engine}.loading"

    @property
    def ledger(self) -> Path:
        """When credentials were used, for their rates; shared by the processes of the node."""
        return self.run / "ledger"

    @property
    def issuer_keys(self) -> Path:
        """The identity provider's public keys, as they were last read."""
        return self.state / "issuer.jwks"

    @property
    def replicas(self) -> Path:
        """How many replicas each model has."""
        return self.state / "replicas.json"

    @property
    def load_overrides(self) -> Path:
        """How versions batch where whoever loaded them said so."""
        return self.state / "load-overrides.json"

    @property
    def batch_lock(self) -> Path:
        """Held by every process of a batch job, in common: so it is known whether there is one."""
        return self.run / "batch.lock"

    @property
    def batch_processors(self) -> Path:
        """The numbers of the processors on which batch jobs are kept; missing: they may use all."""
        return self.run / "batch-processors.json"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor and control tell each other how things stand."""
        return short_socket_path(self.run / "supervisor.sock")

    def create(self) -> None:
        """Makes the folders that are missing; only the owner may look inside."""
        for folder in (self.path, self.artifacts, self.staging, self.state, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def short_socket_path(wanted: Path) -> Path:
    """`wanted`, or a path in the temporary folder that stands for it if it is too long for a
    socket.
    """
    absolute = str(wanted.absolute())
    if len(absolute.encode()) <= LONGEST_SOCKET_PATH:
        return Path(absolute)
    name = hashlib.sha256(absolute.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"augurium-{name}.sock"


class NodeConfig(msgspec.Struct, frozen=True):
    """What every process of one node needs to know; the supervisor writes it, the others read it.

    `engines` are the slots to be filled at the start, such as `engine-0`; the ports in `settings`
    are the ones really used.
    """

    settings: Settings
    engines: tuple[str, ...]

    @property
    def most_engines(self) -> int:
        """How many engines there may be at the same time."""
        return max(1, len(self.engines), self.settings.scaling.max_engines)

    @property
    def home(self) -> Home:
        return Home(Path(self.settings.node.home))


def read_config(file: Path) -> NodeConfig:
    """The configuration the supervisor wrote."""
    return msgspec.json.decode(file.read_bytes(), type=NodeConfig)
