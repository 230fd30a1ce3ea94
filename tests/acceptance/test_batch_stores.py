"""A batch job from an object store to an object store on a node with PostgreSQL, which goes away in
the middle.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.models import Tabular
from tests.support.node import Node
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.s3_server import BUCKET, S3Server, s3, s3_server
from tests.support.scoring import (
    GROUP_ROWS,
    PATIENCE_S,
    begun,
    check_answers,
    deploy_scorer,
    process_of,
    processes_of,
    scoring_of,
)

__all__ = ["s3", "s3_server"]

CONFIG = """
[storage]
database_url = "{database}"
s3_endpoint = "{endpoint}"

[batch]
roots = ["s3://{bucket}"]
lease_s = 30
"""
# less than a lease: whoever holds a job holds on to it
AWAY_S = 3.0


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server(durable=True) as server:
        yield server


@pytest.fixture
def outgrown(tmp_path: Path, s3: S3Server, database: PostgresServer) -> Iterator[Node]:
    file = tmp_path / "augurium.toml"
    file.write_text(
        CONFIG.format(database=database.url(), endpoint=s3.endpoint, bucket=BUCKET), "utf-8"
    )
    node = Node(tmp_path / "home", "--engines", "1", "--config", str(file))
    yield node
    node.stop()


def test_a_job_between_object_stores_outlives_its_database(
    outgrown: Node, database: PostgresServer, s3: S3Server, tabular: Tabular, tmp_path: Path
) -> None:
    place = s3.folder / BUCKET / tmp_path.name
    (tmp_path / "rows").mkdir()
    scoring = scoring_of(tabular, tmp_path / "rows")
    shutil.copytree(scoring.rows, place / "rows")
    with outgrown.client() as client:
        deploy_scorer(client, tabular, tmp_path)
        run = client.batch(
            "churn",
            s3.url(f"{tmp_path.name}/rows/*.parquet"),
            s3.url(f"{tmp_path.name}/out"),
            keep=["id"],
            partition_rows=GROUP_ROWS,
            workers=1,
        )
        begun(client, run.id)
        process = process_of(run.id)
        database.kill()
        time.sleep(AWAY_S)
        assert processes_of(run.id) == [process]
        database.start()
        done = run.wait(PATIENCE_S)
        notes = [line.text for line in run.log()]

    assert done.state == "succeeded"
    assert [text for text in notes if "process ended" in text] == []
    check_answers(place / "out", scoring)
