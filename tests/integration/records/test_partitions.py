"""Records in segments: written by hour, read by range, merged, let go; in a folder and in S3."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import DeadlineExceeded, NotReady
from augurium.core.home import Home
from augurium.core.settings import StorageSettings
from augurium.records.location import open_records
from augurium.records.merging import Merging
from augurium.records.query import RecordQuery, RecordRange
from augurium.records.schema import Schema
from augurium.registry.artifact_location import open_artifacts
from tests.support.s3_server import S3Server

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
SCHEMA: Schema = {"at": "number", "id": "text", "note": "texts", "score": "number", "n": "integer"}
WEEK = timedelta(days=7)
ENOUGH = 10**9


class Node:
    """A node's records, on a clock of the test's."""

    def __init__(self, settings: StorageSettings, home: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.partitions = open_records(settings, Home(home), clock, {})
        self.query = RecordQuery(self.partitions)
        self.merging = Merging(self.partitions, clock)

    def write(self, *ids: str, hour: int = 0, model: str = "churn", **others: Any) -> None:
        at = (START + timedelta(hours=hour)).timestamp()
        columns: Mapping[str, Sequence[Any]] = {
            "at": [at + number for number in range(len(ids))],
            "id": list(ids),
            "note": others.get("note", [None] * len(ids)),
            "score": others.get("score", [0.5] * len(ids)),
            "n": others.get("n", [1] * len(ids)),
        }
        self.clock.advance(0.01)
        self.partitions.write("predictions", model, SCHEMA, columns)

    def ids(self, **wanted: Any) -> list[str]:
        found = RecordRange("predictions", wanted.pop("model", "churn"), SCHEMA, **wanted)
        with self.query.open({"rows": found}) as connection:
            answer = connection.execute('SELECT id FROM rows ORDER BY "at", id').fetchall()
        return [str(id_) for (id_,) in answer]

    def files(self) -> int:
        return len(list(self.partitions.store.keys("predictions/")))


Open = Callable[..., Node]


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    if request.param == "folder":
        return StorageSettings()
    s3: S3Server = request.getfixturevalue("s3")
    return StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=s3.endpoint)


@pytest.fixture
def opened(settings: StorageSettings, tmp_path: Path) -> Iterator[Open]:
    """Nodes of one store; the same home is the same node."""
    nodes: list[Node] = []

    def opened(home: str = "home's") -> Node:
        clock = nodes[0].clock if nodes else ManualClock(START)
        nodes.append(Node(settings, tmp_path / home, clock))
        return nodes[-1]

    yield opened
    for node in nodes:
        node.partitions.database.close()


@pytest.fixture
def node(opened: Open) -> Node:
    return opened()


@pytest.fixture
def folder_node(tmp_path: Path) -> Iterator[Node]:
    node = Node(StorageSettings(), tmp_path / "home", ManualClock(START))
    yield node
    node.partitions.database.close()


def segment_files(home: Path) -> list[Path]:
    return sorted(home.rglob("*.parquet"))


def test_rows_come_back_as_they_were_written(node: Node) -> None:
    node.write("a", "b'\0ü\ud800", note=["x", None], score=[0.25, None], n=[2**62, -1])

    with node.query.open({"rows": RecordRange("predictions", "churn", SCHEMA)}) as connection:
        rows = connection.execute("SELECT id, note, score, n FROM rows ORDER BY id").fetchall()

    assert rows == [("a", "x", 0.25, 2**62), ("b'\0ü?", None, None, -1)]


def test_texts_that_are_absent_for_a_long_time_are_texts_all_the_same(node: Node) -> None:
    node.write(*(str(n) for n in range(3000)), note=[None] * 2999 + ["last"])

    with node.query.open({"rows": RecordRange("predictions", "churn", SCHEMA)}) as connection:
        answer = connection.execute("SELECT id FROM rows WHERE note = 'last'").fetchall()

    assert answer == [("2999",)]


def test_rows_of_several_hours_become_a_segment_each(node: Node) -> None:
    at = [START.timestamp() + hours * 3600.0 for hours in (1.5, 0.5, 1.2)]
    columns: dict[str, Sequence[Any]] = {"at": at, "id": ["c", "a", "b"], "n": [1] * 3}
    columns |= {"note": [""] * 3, "score": [0.0] * 3}

    segments = node.partitions.write("predictions", "churn", SCHEMA, columns)

    assert [segment.hour.hour for segment in segments] == [12, 13]
    assert node.ids() == ["a", "b", "c"]


def test_only_hours_of_the_range_are_opened(node: Node) -> None:
    for hour in range(4):
        node.write(f"hour-{hour}", hour=hour)

    start, end = START + timedelta(hours=1, minutes=30), START + timedelta(hours=3)

    assert node.ids(start=start, end=end) == ["hour-1", "hour-2"]
    assert node.ids(start=start) == ["hour-1", "hour-2", "hour-3"]
    assert node.ids(end=start) == ["hour-0", "hour-1"]


def test_models_do_not_see_each_other(node: Node) -> None:
    node.write("a")
    node.write("b", model="churn-2")

    assert node.ids() == ["a"]
    assert node.ids(model="churn-2") == ["b"]
    assert node.ids(model="unknown") == []
    assert node.partitions.models("predictions") == ["churn", "churn-2"]


def test_a_deleted_model_leaves_nothing(node: Node) -> None:
    node.write("a")
    node.write("b", model="churn-2")

    removed = node.partitions.forget("churn")

    assert removed.segments == 1
    assert removed.size_bytes > 0
    assert node.ids() == []
    assert node.ids(model="churn-2") == ["b"]


def test_hours_leave_by_their_age(node: Node) -> None:
    for hour in range(3):
        node.write(f"hour-{hour}", hour=hour)
    node.clock.advance(WEEK.total_seconds() + 2 * 3600)

    removed = node.partitions.retain("predictions", ENOUGH, WEEK)

    assert removed.segments == 2
    assert node.ids() == ["hour-2"]


def test_the_oldest_hours_leave_when_there_are_too_many_bytes(node: Node) -> None:
    for hour in range(4):
        node.write(f"hour-{hour}", hour=hour, model=f"model-{hour % 2}")
    sizes = [segment.size_bytes for segment in node.partitions.segments("predictions")]

    node.partitions.retain("predictions", sum(sizes[2:]), WEEK)

    assert node.ids(model="model-0") == ["hour-2"]
    assert node.ids(model="model-1") == ["hour-3"]


def test_what_is_being_read_stays_until_it_has_been(node: Node) -> None:
    node.write("a")
    with node.query.open({"rows": RecordRange("predictions", "churn", SCHEMA)}) as connection:
        assert node.partitions.retain("predictions", 0, WEEK).segments == 0
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1,)

    assert node.partitions.retain("predictions", 0, WEEK).segments == 1


def test_segments_of_an_hour_that_is_over_become_one(node: Node) -> None:
    for id_ in "abc":
        node.write(id_, note=[id_])
    node.write("later", hour=1)
    node.clock.advance(3600 + 700)

    assert node.merging.run("predictions") == 3

    assert node.files() == 2
    assert node.ids() == ["a", "b", "c", "later"]
    assert node.merging.run("predictions") == 0


def test_an_hour_that_is_not_over_is_left_alone(node: Node) -> None:
    node.write("a")
    node.write("b")

    assert node.merging.run("predictions") == 0


def test_nodes_of_one_store_merge_what_they_wrote_themselves(s3: S3Server, tmp_path: Path) -> None:
    settings = StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=s3.endpoint)
    clock = ManualClock(START)
    first, second = (Node(settings, tmp_path / home, clock) for home in ("first", "second"))
    for node, ids in ((first, "ab"), (second, "cd")):
        for id_ in ids:
            node.write(id_)
    clock.advance(2 * 3600)

    assert first.merging.run("predictions") == 2
    assert second.merging.run("predictions") == 2

    assert first.files() == 2
    assert first.ids() == second.ids() == ["a", "b", "c", "d"]
    for node in (first, second):
        node.partitions.database.close()


def test_a_merge_that_was_interrupted_shows_no_row_twice_and_is_finished(opened: Open) -> None:
    node = opened()
    node.write("a")
    node.write("b")
    before = node.partitions.segments("predictions")
    with node.partitions.reading(before):
        node.clock.advance(2 * 3600)
        # the sources are being read, so that they stay behind
        node.merging.run("predictions")
        assert node.files() == 4
        assert node.ids() == ["a", "b"]

    again = opened()
    again.merging.run("predictions")

    assert again.files() == 1
    assert again.ids() == ["a", "b"]


def test_a_note_of_a_merge_that_never_came_hides_nothing(node: Node) -> None:
    node.write("a")
    (segment,) = node.partitions.segments("predictions")
    never = segment._replace(name=segment.name[:-4] + "0000")
    node.partitions.store.put(never.merge_key, b'["' + segment.name.encode() + b'"]')

    assert node.ids() == ["a"]
    node.merging.run("predictions")
    assert node.files() == 1


def test_a_damaged_segment_is_left_out_and_counted(folder_node: Node, tmp_path: Path) -> None:
    folder_node.write("a")
    folder_node.write("b")
    first, _ = segment_files(tmp_path / "home")
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)

    assert folder_node.ids() == ["b"]
    assert folder_node.partitions.damaged == 1


def test_a_segment_that_is_cut_short_is_left_out(folder_node: Node, tmp_path: Path) -> None:
    folder_node.write("a")
    folder_node.write("b")
    first, _ = segment_files(tmp_path / "home")
    first.write_bytes(first.read_bytes()[:20])

    assert folder_node.ids() == ["b"]
    folder_node.clock.advance(2 * 3600)
    assert folder_node.merging.run("predictions") == 0


def test_a_damaged_object_is_left_out_too(s3: S3Server, tmp_path: Path) -> None:
    settings = StorageSettings(artifacts_url=s3.url(tmp_path.name), s3_endpoint=s3.endpoint)
    node = Node(settings, tmp_path / "home", ManualClock(START))
    node.write("a")
    (stored,) = s3.files(tmp_path.name)
    stored.write_bytes(b"x" * stored.stat().st_size)

    assert node.ids() == []
    assert node.partitions.damaged == 1
    node.partitions.database.close()


def test_a_store_that_is_away_is_said(tmp_path: Path, s3: S3Server) -> None:
    settings = StorageSettings(
        artifacts_url=s3.url(tmp_path.name), s3_endpoint="http://127.0.0.1:9", retries=0
    )
    node = Node(settings, tmp_path / "home", ManualClock(START))

    with pytest.raises(NotReady):
        node.write("a")
    with pytest.raises(NotReady):
        node.ids()
    node.partitions.database.close()


def test_files_of_others_are_no_segments(folder_node: Node, tmp_path: Path) -> None:
    folder_node.write("a")
    hour = segment_files(tmp_path / "home")[0].parent
    (hour / "notes.parquet").write_bytes(b"not ours")
    (hour / ".half.parquet").write_bytes(b"being written")

    assert folder_node.ids() == ["a"]


def test_what_a_killed_writer_left_is_swept_at_the_start(folder_node: Node, tmp_path: Path) -> None:
    folder_node.write("a")
    half = segment_files(tmp_path / "home")[0].parent / ".half.parquet"
    half.write_bytes(b"being written")

    again = Node(StorageSettings(), tmp_path / "home", folder_node.clock)

    assert not half.exists()
    assert again.ids() == ["a"]
    assert again.partitions.writer == folder_node.partitions.writer
    again.partitions.database.close()


def test_statements_reach_no_other_file_and_no_extension(folder_node: Node) -> None:
    import duckdb

    folder_node.write("a")
    wanted = RecordRange("predictions", "churn", SCHEMA)
    for statement in (
        "SELECT * FROM read_csv('/etc/hostname')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "COPY rows TO '/tmp/stolen.parquet' (FORMAT parquet)",
    ):
        with (
            pytest.raises(duckdb.Error),
            folder_node.query.open({"rows": wanted}) as connection,
        ):
            connection.execute(statement)


def test_a_question_that_takes_too_long_is_broken_off(folder_node: Node) -> None:
    folder_node.write("a")
    wanted = RecordRange("predictions", "churn", SCHEMA)
    with (
        pytest.raises(DeadlineExceeded, match="shorter time"),
        folder_node.query.open({"rows": wanted}, timeout_s=0.1) as connection,
    ):
        connection.execute("SELECT sum(a.range * b.range) FROM range(10000000) a, range(100000) b")


def test_older_segments_may_lack_a_column(node: Node) -> None:
    node.write("a")
    schema: Schema = {**SCHEMA, "added": "number"}

    with node.query.open({"rows": RecordRange("predictions", "churn", schema)}) as connection:
        assert connection.execute("SELECT id, added FROM rows").fetchall() == [("a", None)]


def test_threads_write_and_read_at_the_same_time(node: Node) -> None:
    def write(writer: int) -> None:
        for number in range(5):
            columns: dict[str, Sequence[Any]] = {
                "at": [START.timestamp()],
                "id": [f"{writer}-{number}"],
                "note": [None],
                "score": [None],
                "n": [writer],
            }
            node.partitions.write("predictions", "churn", SCHEMA, columns)
            node.ids()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(node.ids()) == 15


def test_parquet_files_can_be_read_by_others(folder_node: Node, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder_node.write("a", "b")

    table = parquet.read_table(segment_files(tmp_path / "home")[0])

    assert table.column("id").to_pylist() == ["a", "b"]


def test_collections_of_artifacts_do_not_see_records(
    settings: StorageSettings, tmp_path: Path
) -> None:
    if not settings.artifacts_url:
        settings = StorageSettings(artifacts_url=f"file://{tmp_path}/store")
    node = Node(settings, tmp_path / "beside", ManualClock(START))
    node.write("a")

    artifacts = open_artifacts(settings, tmp_path / "unused", tmp_path / "cache", {})

    assert list(artifacts.stored()) == []
    artifacts.sweep_staging()
    assert node.ids() == ["a"]
    node.partitions.database.close()


def test_partitions_make_no_folder_before_there_is_a_row(tmp_path: Path) -> None:
    node = Node(StorageSettings(), tmp_path / "home", ManualClock(START))

    assert node.ids() == []
    assert not (tmp_path / "home" / "records").exists()
    node.partitions.database.close()
