"""What has changed between two desired states, and how it is kept for the next start."""

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from augurium.access.access import Access
from augurium.serving.snapshot import (
    DesiredModel,
    Snapshot,
    change,
    changed,
    load_snapshot,
    save_snapshot,
)
from augurium.serving.snapshot_keeper import SnapshotKeeper

WAIT_S = 10

models = st.builds(
    DesiredModel,
    name=st.sampled_from("abcdef"),
    default_version=st.none() | st.integers(1, 3),
    aliases=st.dictionaries(st.sampled_from(["x", "y"]), st.integers(1, 3)),
)
snapshots = st.builds(
    lambda revision, found, level: Snapshot(
        revision, tuple({one.name: one for one in sorted(found, key=str)}.values()), Access(), level
    ),
    st.integers(0, 9),
    st.lists(models, max_size=6),
    st.sampled_from(["", "debug"]),
)


def by_name(snapshot: Snapshot) -> dict[str, DesiredModel]:
    return {model.name: model for model in snapshot.models}


@given(snapshots, snapshots)
def test_a_change_makes_one_of_the_other_and_tells_no_more_than_needed(
    before: Snapshot, after: Snapshot
) -> None:
    told = change(before, after)
    found = changed(before, told)
    assert by_name(found) == by_name(after)
    assert (found.revision, found.log_level) == (after.revision, after.log_level)
    old, new = by_name(before), by_name(after)
    assert {one.name for one in told.models} == {n for n in new if old.get(n) != new[n]}
    assert set(told.removed) == old.keys() - new.keys()
    # so that an engine sees at once what is as it was
    assert all(by_name(found)[name] is old[name] for name in old if new.get(name) == old[name])


async def test_what_changes_quickly_is_written_once_and_the_last_of_it(tmp_path: Path) -> None:
    file = tmp_path / "engine-0.snapshot"
    told = asyncio.Event()
    made: list[int] = []
    keeper = SnapshotKeeper(file, told.set)
    assert keeper.load() is None
    running = asyncio.create_task(keeper.run())

    def make() -> Snapshot:
        made.append(1)
        return Snapshot(len(made))

    for _ in range(50):
        keeper.keep_soon(make)
        await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        await told.wait()
    # the first began with the first change; all others are one, and nobody was told before it
    assert len(made) == 2
    assert load_snapshot(file).revision == len(made)
    keeper.keep_soon(lambda: Snapshot(7))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await keeper.finish()
    assert load_snapshot(file).revision == 7


async def test_what_must_be_kept_at_once_is_there_at_once(tmp_path: Path) -> None:
    file = tmp_path / "engine-0.snapshot"
    save_snapshot(file, Snapshot(3))
    keeper = SnapshotKeeper(file)
    assert keeper.load() == Snapshot(3)
    keeper.keep(Snapshot(4))
    assert load_snapshot(file).revision == 4
    assert keeper.kept.revision == 4


async def test_a_damaged_file_and_a_full_disk_keep_nobody_from_serving(tmp_path: Path) -> None:
    file = tmp_path / "engine-0.snapshot"
    file.write_bytes(b"\xc1")
    keeper = SnapshotKeeper(file)
    assert keeper.load() is None
    missing = SnapshotKeeper(tmp_path / "missing" / "engine-0.snapshot")
    missing.keep(Snapshot(1))
    assert missing.kept.revision == 1
