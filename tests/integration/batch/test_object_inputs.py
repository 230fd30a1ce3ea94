"""Input in a real object store, with what goes wrong between here and there."""

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from augurium.batch.input_changed import InputChanged
from augurium.batch.input_plan import plan_input
from augurium.batch.storage import Storage
from augurium.core.batch_job import InputSpec
from augurium.core.errors import InvalidArgument, NotFound, NotReady
from augurium.core.settings import StorageSettings
from tests.support.batch_inputs import numbers, read_input, read_plan, signature_of
from tests.support.fault_proxy import Exchange, FaultProxy, fault_proxy
from tests.support.s3_server import S3Server

ROWS = 200_000
SIGNATURE = signature_of(numbers("amount", "age"))
VALUES = np.random.default_rng(0).random(ROWS, dtype=np.float32)
TABLE = pa.table({"age": VALUES, "id": np.arange(ROWS), "amount": VALUES[::-1]})
TEXT = "amount,age\n" + "".join(f"{value},{value / 2}\n" for value in range(ROWS))


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as proxy:
        yield proxy


def storage_at(endpoint: str, patience_s: float = 30.0, retries: int = 3) -> Storage:
    return Storage(
        StorageSettings(s3_endpoint=endpoint, read_timeout_s=patience_s, retries=retries), {}
    )


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=50_000)
    return sink.getvalue()


def arrow() -> bytes:
    sink = io.BytesIO()
    with ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=50_000)
    return sink.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "a.parquet": parquet,
    "a.arrow": arrow,
    "a.csv": TEXT.encode,
    "a.csv.gz": lambda: gzip.compress(TEXT.encode(), 1),
}


@pytest.mark.parametrize("name", list(CONTENTS))
def test_objects_are_read_as_files_are(s3: S3Server, tmp_path: Path, name: str) -> None:
    content = CONTENTS[name]()
    storage = storage_at(s3.endpoint)
    storage.put(s3.url(f"{tmp_path.name}/in/day=1/{name}"), content)
    (tmp_path / "day=1").mkdir()
    (tmp_path / "day=1" / name).write_bytes(content)
    found = read_input(
        SIGNATURE,
        s3.url(f"{tmp_path.name}/in/**/a.*"),
        storage=storage,
        partition_rows=60_000,
        keep=("day",),
    )
    local = read_input(SIGNATURE, tmp_path, partition_rows=60_000, keep=("day",))
    assert len(found.rows) == ROWS
    assert found.table.equals(local.table)
    assert found.rows == local.rows
    assert found.plan.rows == local.plan.rows


@pytest.mark.parametrize("fault", ["503", "reset", "cut"])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_store_that_fails_for_a_moment_is_asked_again(
    s3: S3Server, proxy: FaultProxy, tmp_path: Path, fault: str, name: str
) -> None:
    place = s3.url(f"{tmp_path.name}/{name}")
    storage_at(s3.endpoint).put(place, CONTENTS[name]())

    def sometimes(exchange: Exchange) -> str:
        return fault if exchange.method == "GET" and exchange.number % 3 == 2 else "pass"

    proxy.fault = sometimes
    storage = storage_at(proxy.endpoint)
    found = read_input(SIGNATURE, place, storage=storage, partition_rows=60_000)
    assert len(found.rows) == ROWS


@pytest.mark.parametrize(
    ("fault", "told"), [("stall", "did not answer in time"), ("403", "refused access.*403")]
)
@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_store_that_stalls_or_refuses_in_the_middle_is_told_with_the_object(
    s3: S3Server, proxy: FaultProxy, tmp_path: Path, fault: str, told: str, name: str
) -> None:
    place = s3.url(f"{tmp_path.name}/{name}")
    storage_at(s3.endpoint).put(place, CONTENTS[name]())
    spec = InputSpec(paths=(place,))
    storage = storage_at(proxy.endpoint, retries=0)
    plan = plan_input(spec, SIGNATURE, storage, 60_000)
    # only what shall stall is given up soon
    if fault == "stall":
        storage = storage_at(proxy.endpoint, patience_s=0.5, retries=0)
    begun = len(proxy.seen)
    proxy.fault = lambda exchange: fault if len(proxy.seen) > begun + 4 else "pass"
    with pytest.raises(NotReady, match=f"{name}.* {told}"):
        read_plan(plan, spec, SIGNATURE, storage)


def test_an_object_that_is_replaced_during_a_job_is_noticed(s3: S3Server, tmp_path: Path) -> None:
    place = s3.url(f"{tmp_path.name}/a.csv")
    storage = storage_at(s3.endpoint)
    storage.put(place, TEXT.encode())
    spec = InputSpec(paths=(place,))
    plan = plan_input(spec, SIGNATURE, storage, 60_000)
    storage.put(place, TEXT.replace("1", "22").encode())
    with pytest.raises(InputChanged, match=r"input_changed: s3://.*/a.csv was changed"):
        read_plan(plan, spec, SIGNATURE, storage)


def test_what_is_not_in_a_bucket_is_told(s3: S3Server, tmp_path: Path) -> None:
    storage = storage_at(s3.endpoint)
    with pytest.raises(NotFound, match="does not exist"):
        read_input(SIGNATURE, s3.url(f"{tmp_path.name}/absent/"), storage=storage)
    with pytest.raises(InvalidArgument, match="no file matches"):
        read_input(SIGNATURE, s3.url(f"{tmp_path.name}/*.parquet"), storage=storage)
    with pytest.raises((NotReady, NotFound), match="no-such-bucket"):
        read_input(SIGNATURE, "s3://no-such-bucket/a.csv", storage=storage)


def test_only_the_columns_that_are_wanted_are_fetched(s3: S3Server, tmp_path: Path) -> None:
    wide = pa.table(
        {f"c{place}": np.random.default_rng(place).random(20_000) for place in range(50)}
    )
    sink = io.BytesIO()
    pq.write_table(wide, sink)
    place = s3.url(f"{tmp_path.name}/wide.parquet")
    storage_at(s3.endpoint).put(place, sink.getvalue())
    with fault_proxy(s3.port) as proxy:
        signature = signature_of(numbers("c7"))
        found = read_input(signature, place, storage=storage_at(proxy.endpoint))
        assert len(found.rows) == 20_000
        assert len(proxy.seen) < 20
