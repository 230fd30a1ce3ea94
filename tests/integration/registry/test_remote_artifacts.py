"""Artifacts on a real S3 server, with what goes wrong between here and there."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augurium.core.errors import InsufficientStorage, NotFound, NotReady, Unprocessable
from augurium.core.settings import StorageSettings
from augurium.registry.artifact_location import open_artifacts
from augurium.registry.artifacts import ArtifactStore
from tests.support.fault_proxy import Exchange, FaultProxy, fault_proxy
from tests.support.s3_server import BUCKET, S3Server

MIB = 1024 * 1024
LARGE = os.urandom(20 * MIB)
LARGE_DIGEST = hashlib.sha256(LARGE).hexdigest()
# patience where a test waits for it to end, and enough of it elsewhere
PAUSE_S = {"503": 30.0, "403": 30.0, "cut": 30.0, "reset": 30.0, "stall": 1.0}
Open = Callable[..., ArtifactStore]


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def open_store(s3: S3Server, tmp_path: Path) -> Open:
    """A node's store in this test's part of the bucket; each cache is another node."""

    def opened(
        endpoint: str = s3.endpoint, cache: str = "cache", **settings: float
    ) -> ArtifactStore:
        storage = StorageSettings(
            artifacts_url=s3.url(tmp_path.name),
            s3_endpoint=endpoint,
            **settings,  # type: ignore[arg-type]
        )
        return open_artifacts(storage, tmp_path / "unused", tmp_path / cache, {})

    return opened


@pytest.fixture
def objects(s3: S3Server, tmp_path: Path) -> Callable[[], list[Path]]:
    """The objects of this test, as files of the server."""
    return lambda: s3.files(tmp_path.name)


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]


def store_large(store: ArtifactStore) -> None:
    assert store.put(pieces(LARGE), len(LARGE)).digest == LARGE_DIGEST


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.parent != folder]


def test_a_file_of_several_parts_comes_back_on_another_node(
    open_store: Open, tmp_path: Path
) -> None:
    store_large(open_store())

    path = open_store(cache="other").local_path(LARGE_DIGEST)

    assert path.read_bytes() == LARGE
    assert path.is_relative_to(tmp_path / "other")


def test_a_download_tells_how_far_it_is(open_store: Open) -> None:
    store_large(open_store())
    seen: list[tuple[str, float]] = []

    open_store(cache="other").local_path(
        LARGE_DIGEST, lambda stage, share: seen.append((stage, share))
    )

    assert {stage for stage, _ in seen} == {"downloading"}
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1][1] == 1.0


def test_what_a_node_stored_it_need_not_fetch(open_store: Open, proxy: FaultProxy) -> None:
    store = open_store(proxy.endpoint)
    store_large(store)

    store.local_path(LARGE_DIGEST)

    assert "GET" not in {exchange.method for exchange in proxy.seen}


def test_twenty_threads_that_want_one_file_fetch_it_once(
    open_store: Open, proxy: FaultProxy
) -> None:
    store_large(open_store())
    store = open_store(proxy.endpoint, cache="other")

    with ThreadPoolExecutor(20) as threads:
        paths = set(threads.map(lambda _: store.local_path(LARGE_DIGEST), range(20)))

    assert len(paths) == 1
    ranges = [exchange for exchange in proxy.seen if exchange.method == "GET"]
    # three ranges of 8 MiB, and one byte to find out how this server answers
    assert len(ranges) == 4


def every_third_fails(exchange: Exchange) -> str:
    return "503" if exchange.number % 3 == 0 else "pass"


def every_third_is_cut(exchange: Exchange) -> str:
    return "cut" if exchange.method == "GET" and exchange.number % 3 == 0 else "pass"


def every_third_is_reset(exchange: Exchange) -> str:
    return "reset" if exchange.number % 3 == 0 else "pass"


def one_answer_is_damaged(exchange: Exchange) -> str:
    return "corrupt" if exchange.method == "GET" and exchange.number == 3 else "pass"


@pytest.mark.parametrize(
    "fault", [every_third_fails, every_third_is_cut, every_third_is_reset, one_answer_is_damaged]
)
def test_passing_trouble_is_overcome(
    open_store: Open, proxy: FaultProxy, fault: Callable[[Exchange], str]
) -> None:
    proxy.fault = fault

    store_large(open_store(proxy.endpoint))
    path = open_store(proxy.endpoint, cache="other").local_path(LARGE_DIGEST)

    assert path.read_bytes() == LARGE


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "503"),
        ("403", "refused access"),
        ("cut", "broke off"),
        ("reset", "cannot be reached|broke off"),
        ("stall", "did not answer in time|broke off|cannot be reached"),
    ],
)
def test_trouble_that_stays_is_told_and_leaves_nothing(
    open_store: Open, proxy: FaultProxy, tmp_path: Path, fault: str, reason: str
) -> None:
    store_large(open_store())
    store = open_store(proxy.endpoint, cache="other", retries=2, read_timeout_s=PAUSE_S[fault])
    proxy.fault = lambda exchange: fault if exchange.method == "GET" else "pass"

    with pytest.raises(NotReady, match=reason):
        store.local_path(LARGE_DIGEST)

    assert files_in(tmp_path / "other") == []


@pytest.mark.parametrize("fault", ["503", "403", "reset", "stall"])
def test_an_upload_that_fails_leaves_nothing_in_the_store(
    open_store: Open,
    proxy: FaultProxy,
    tmp_path: Path,
    objects: Callable[[], list[Path]],
    fault: str,
) -> None:
    store = open_store(proxy.endpoint, retries=1, read_timeout_s=PAUSE_S[fault])
    proxy.fault = lambda exchange: fault if exchange.method == "PUT" else "pass"

    with pytest.raises(NotReady, match=f"s3://{BUCKET}/"):
        store_large(store)

    proxy.fault = lambda exchange: "pass"
    assert not store.contains(LARGE_DIGEST)
    assert objects() == []
    assert files_in(tmp_path / "cache") == []


def test_an_upload_damaged_on_its_way_is_never_handed_out(
    open_store: Open, proxy: FaultProxy
) -> None:
    proxy.fault = lambda exchange: "corrupt upload" if exchange.method == "PUT" else "pass"

    def send_and_fetch() -> Path:
        stored = open_store(proxy.endpoint, retries=1).put([b"model"], 1000)
        return open_store(cache="other").local_path(stored.digest)

    # a server that holds an upload against its signature refuses it; elsewhere nobody can read it
    with pytest.raises((NotReady, Unprocessable)):
        send_and_fetch()


def test_an_object_damaged_in_the_store_is_refused_and_mended_by_storing_it_again(
    open_store: Open, tmp_path: Path, objects: Callable[[], list[Path]]
) -> None:
    store_large(open_store())
    [stored] = objects()
    stored.write_bytes(LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    store = open_store(cache="other")

    with pytest.raises(Unprocessable, match="is damaged"):
        store.local_path(LARGE_DIGEST)
    assert files_in(tmp_path / "other") == []

    store_large(open_store())
    assert store.local_path(LARGE_DIGEST).read_bytes() == LARGE


def test_a_server_that_ignores_ranges_is_not_believed(open_store: Open, proxy: FaultProxy) -> None:
    store_large(open_store())
    proxy.fault = lambda exchange: "whole" if "Signature" in exchange.target else "pass"

    with pytest.raises(NotReady, match="expected a store that answers range requests"):
        open_store(proxy.endpoint, cache="other", retries=1).local_path(LARGE_DIGEST)


def test_a_damaged_copy_is_fetched_again(open_store: Open) -> None:
    store_large(open_store())
    path = open_store().local_path(LARGE_DIGEST)
    path.chmod(0o600)
    path.write_bytes(b"dust")

    assert open_store().local_path(LARGE_DIGEST).read_bytes() == LARGE


def test_finding_a_copy_does_not_change_it(open_store: Open) -> None:
    # engines hash a file again when anything about it has changed
    store_large(open_store())
    before = open_store().local_path(LARGE_DIGEST).stat()

    after = open_store().local_path(LARGE_DIGEST).stat()

    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_copy_damaged_behind_its_seal_is_fetched_again_when_somebody_notices(
    open_store: Open,
) -> None:
    store_large(open_store())
    path = open_store().local_path(LARGE_DIGEST)
    found = path.stat()
    path.chmod(0o600)
    path.write_bytes(bytes(len(LARGE)))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    assert open_store().mended(LARGE_DIGEST).read_bytes() == LARGE


def test_a_store_that_nobody_runs_is_told_at_once(open_store: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    store = open_store(f"http://127.0.0.1:{port}")
    started = time.monotonic()

    with pytest.raises(NotReady, match="cannot be reached"):
        store.contains(LARGE_DIGEST)

    assert time.monotonic() - started < 3


def test_a_store_that_accepts_no_connection_is_told_soon(open_store: Open) -> None:
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        # the queue of length zero takes one connection; those after it are left waiting
        first.connect(deaf.getsockname())
        store = open_store(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect_timeout_s=0.3)
        started = time.monotonic()

        with pytest.raises(NotReady):
            store.contains(LARGE_DIGEST)

        assert time.monotonic() - started < 5


def test_wrong_credentials_are_named_without_being_shown(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")

    with pytest.raises(NotReady, match="refused access") as refusal:
        open_store().put([b"model"], 1000)

    assert "a-wrong-secret" not in str(refusal.value)


def test_a_missing_bucket_is_named(s3: S3Server, tmp_path: Path) -> None:
    settings = StorageSettings(artifacts_url="s3://absent-bucket/x", s3_endpoint=s3.endpoint)
    store = open_artifacts(settings, tmp_path, tmp_path / "cache", {})

    with pytest.raises(NotReady, match="absent-bucket"):
        store.put([b"model"], 1000)


def content_of_size(size: int) -> tuple[bytes, str]:
    content = os.urandom(size)
    return content, hashlib.sha256(content).hexdigest()


def test_the_cache_keeps_to_its_bytes_and_drops_what_was_used_longest_ago(
    open_store: Open, proxy: FaultProxy, tmp_path: Path
) -> None:
    contents = [content_of_size(MIB) for _ in range(4)]
    for content, _ in contents:
        open_store(cache="writer").put([content], MIB)
    store = open_store(proxy.endpoint, cache_bytes=3 * MIB)

    for _, digest in contents[:3]:
        store.local_path(digest)
    store.local_path(contents[0][1])
    store.local_path(contents[3][1])

    cached = {path.name for path in files_in(tmp_path / "cache")}
    assert cached == {contents[0][1], contents[2][1], contents[3][1]}


def test_pinned_and_leased_copies_are_never_dropped(open_store: Open, tmp_path: Path) -> None:
    contents = [content_of_size(MIB) for _ in range(4)]
    for content, _ in contents:
        open_store(cache="writer").put([content], MIB)
    store = open_store(cache_bytes=2 * MIB)
    pinned, leased, *others = (digest for _, digest in contents)
    store.local_path(pinned)
    store.pin([pinned])

    # another process of this node: pins and leases are known to it
    neighbour = open_store(cache_bytes=2 * MIB)
    with store.lease(leased) as path:
        for digest in others:
            with pytest.raises(InsufficientStorage, match=r"storage\.cache_bytes"):
                neighbour.local_path(digest)
        assert path.read_bytes() == contents[1][0]
    assert neighbour.local_path(others[0]).read_bytes() == contents[2][0]

    assert {path.name for path in files_in(tmp_path / "cache")} == {pinned, others[0]}


def test_a_file_that_can_never_fit_is_stored_but_not_copied(open_store: Open) -> None:
    store = open_store(cache_bytes=MIB)

    store_large(store)

    assert store.contains(LARGE_DIGEST)
    with pytest.raises(InsufficientStorage, match=r"storage\.cache_bytes"):
        store.local_path(LARGE_DIGEST)
    assert open_store(cache="other").local_path(LARGE_DIGEST).read_bytes() == LARGE


def test_many_nodes_and_threads_under_a_small_cache_always_get_the_right_bytes(
    open_store: Open,
) -> None:
    contents = {digest: content for content, digest in (content_of_size(MIB) for _ in range(8))}
    for content in contents.values():
        open_store(cache="writer").put([content], MIB)
    stores = [open_store(cache_bytes=6 * MIB) for _ in range(2)]

    def use(number: int) -> bool:
        digest = list(contents)[number % len(contents)]
        with stores[number % 2].lease(digest) as path:
            return path.read_bytes() == contents[digest]

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(use, range(60)))


def test_a_killed_fetch_leaves_nothing_that_counts(open_store: Open, tmp_path: Path) -> None:
    store_large(open_store(cache="writer"))
    (tmp_path / "cache" / "staging").mkdir(parents=True)
    (tmp_path / "cache" / "staging" / "half").write_bytes(b"half of a fi")
    store = open_store()

    assert store.sweep_staging() == 1  # type: ignore[attr-defined]
    assert store.local_path(LARGE_DIGEST).read_bytes() == LARGE


def test_a_missing_file_is_not_found_there_either(open_store: Open) -> None:
    with pytest.raises(NotFound, match="not in the store"):
        open_store().local_path("0" * 64)


def test_a_stalled_sender_is_not_waited_for_by_others(open_store: Open) -> None:
    store = open_store()
    released = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"begin"
        released.wait(20)
        yield b"end"

    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(store.put, slow(), 1000)
        assert store.put([b"other"], 1000).size_bytes == 5
        released.set()
        assert stuck.result().size_bytes == 8


def test_copies_are_used_while_the_store_is_down_also_after_a_restart(
    open_store: Open, proxy: FaultProxy
) -> None:
    store_large(open_store(proxy.endpoint))
    proxy.fault = lambda exchange: "reset"

    restarted = open_store(proxy.endpoint)
    restarted.pin([LARGE_DIGEST])

    with restarted.lease(LARGE_DIGEST) as path:
        assert path.read_bytes() == LARGE
