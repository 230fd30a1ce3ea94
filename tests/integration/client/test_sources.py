"""Sources elsewhere: objects of S3 and files of a web server, whole, cut off and gone on with."""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from augurium.client.sources import open_source
from augurium.core.errors import InvalidArgument, NotFound, NotReady
from augurium.importing.archives import unpack
from tests.support.fault_proxy import fault_proxy
from tests.support.s3_server import BUCKET, S3Server

CONTENT = os.urandom(3_000_000)


class WebServer(ThreadingHTTPServer):
    """Serves CONTENT at /model.onnx and breaks off as often as `breaks` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks = 0
        self.ranges: list[str | None] = []
        self.with_tag = True
        self.with_head = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_HEAD(self) -> None:
        if not self.server.with_head:
            self.send_error(405)
            return
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("location", "http://192.0.2.1/model.onnx")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path.startswith("/moved"):
            self.send_response(307)
            self.send_header("location", "/model.onnx?signature=x")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if not self.path.startswith("/model.onnx"):
            self.send_error(404)
            return
        wanted = self.headers.get("range")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if start else 200)
        self.send_header("content-length", str(len(CONTENT) - start))
        if self.server.with_tag:
            self.send_header("etag", '"tag"')
        if start:
            self.send_header("content-range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        if body:
            self.server.ranges.append(wanted)
            self.send_body(start)

    def send_body(self, start: int) -> None:
        if self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(CONTENT[start : start + 1_100_000])
            self.close_connection = True
            return
        self.wfile.write(CONTENT[start:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def put(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts an object into this test's part of the bucket; returns its URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)

    bucket = S3Store(
        BUCKET, endpoint=s3.endpoint, region="us-east-1", client_options={"allow_http": True}
    )

    def write(name: str, content: bytes) -> str:
        obstore.put(bucket, f"{tmp_path.name}/{name}", content)
        return s3.url(f"{tmp_path.name}/{name}")

    return write


def read(uri: str) -> bytes:
    return b"".join(open_source(uri).chunks())


def test_an_object_is_read(put: Callable[..., str]) -> None:
    content = open_source(put("model.onnx", CONTENT))

    assert (content.name, content.size_bytes) == ("model.onnx", len(CONTENT))
    assert b"".join(content.chunks()) == CONTENT
    # and again, from its beginning
    assert b"".join(content.chunks()) == CONTENT


def test_objects_below_a_prefix_are_one_tar(
    put: Callable[..., str], s3: S3Server, tmp_path: Path
) -> None:
    put("mlflow/MLmodel", b"flavors: {}")
    put("mlflow/data/model.onnx", CONTENT)

    content = open_source(s3.url(f"{tmp_path.name}/mlflow"))
    archive, folder = tmp_path / "sent.tar", tmp_path / "unpacked"
    archive.write_bytes(b"".join(content.chunks()))
    folder.mkdir()
    unpack(archive, folder)

    assert content.name == "mlflow.tar"
    assert (folder / "data" / "model.onnx").read_bytes() == CONTENT


def test_an_object_that_is_not_there_is_not_found(put: Callable[..., str], s3: S3Server) -> None:
    with pytest.raises(NotFound, match=f"s3://{BUCKET}/absent does not exist"):
        open_source(s3.url("absent"))


def test_wrong_credentials_are_told(
    put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put("model.onnx", CONTENT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(NotReady, match="check the credentials"):
        open_source(url)


def test_missing_credentials_are_told_by_their_names(
    put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put("model.onnx", CONTENT)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    # where a machine in a cloud would be asked for its role: nobody listens there
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(NotReady, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_source(url)


def test_a_store_that_refuses_for_a_moment_is_asked_again(
    put: Callable[..., str], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put("model.onnx", CONTENT)
    with fault_proxy(s3.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        proxy.fault = lambda exchange: "503" if exchange.number == 1 else "pass"

        assert read(url) == CONTENT


def test_plain_http_to_another_machine_is_refused(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")

    with pytest.raises(InvalidArgument, match="in the clear"):
        open_source("s3://bucket/key")


def test_a_file_of_the_web_is_read(web: WebServer) -> None:
    content = open_source(f"{web.url}/model.onnx?signature=secret")

    assert (content.name, content.size_bytes) == ("model.onnx", len(CONTENT))
    assert b"".join(content.chunks()) == CONTENT


def test_a_redirection_on_one_machine_is_followed(web: WebServer) -> None:
    assert read(f"{web.url}/moved") == CONTENT


def test_a_redirection_to_plain_http_elsewhere_is_not_followed(web: WebServer) -> None:
    with pytest.raises(InvalidArgument, match="expected https"):
        open_source(f"{web.url}/elsewhere")


def test_a_server_without_head_is_read_all_the_same(web: WebServer) -> None:
    web.with_head = False

    content = open_source(f"{web.url}/model.onnx")

    assert content.size_bytes is None
    assert b"".join(content.chunks()) == CONTENT


def test_a_stream_that_breaks_off_goes_on_where_it_broke(web: WebServer) -> None:
    web.breaks = 2

    assert read(f"{web.url}/model.onnx") == CONTENT
    assert web.ranges == [None, "bytes=1048576-", "bytes=2097152-"]


def test_a_stream_that_breaks_off_is_not_patched_without_a_tag(web: WebServer) -> None:
    web.breaks, web.with_tag = 1, False

    with pytest.raises(NotReady, match="cannot be read"):
        read(f"{web.url}/model.onnx")


def test_a_file_that_is_not_there_is_not_found(web: WebServer) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        read(f"{web.url}/absent?signature=secret")


def test_a_server_that_nobody_runs_is_told(web: WebServer) -> None:
    with pytest.raises(NotReady, match="does not answer") as refusal:
        open_source("http://127.0.0.1:9/model.onnx?signature=secret")

    assert "secret" not in str(refusal.value)
