"""Schedules on arrival: each file is scored once, when nobody writes it any more."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from augurium.core.batch_job import OutputSpec
from augurium.core.batch_schedule import Arrival
from augurium.core.errors import Conflict, InvalidArgument, NotReady, PermissionDenied
from augurium.registry.records import VersionDraft
from tests.support.schedules import Schedules, hourly

POLL = timedelta(seconds=60)


@pytest.fixture
async def world(draft: VersionDraft) -> Schedules:
    """A schedule of what arrives in `/in`, which writes to a folder for each run."""
    world = Schedules(draft)
    await create(world)
    await world.turns()
    return world


async def create(world: Schedules, marker: str = "", path: str = "/in/*.parquet") -> None:
    job = hourly().job
    rows = replace(job.input, paths=(path,))
    job = replace(job, input=rows, output=OutputSpec(path="/out/{run}"))
    arrival = Arrival(marker=marker)
    await world.control.create(
        "hourly", hourly(job=job, cron="", arrival=arrival), "ann", anew=True
    )


def paths(world: Schedules) -> list[tuple[str, ...]]:
    return [job.spec.input.paths for job in world.submitted]


async def test_files_of_one_look_go_into_one_job_when_two_listings_found_them_the_same(
    world: Schedules,
) -> None:
    world.places.content |= {"/in/b.parquet": "v1", "/in/a.parquet": "v1"}
    await world.later(POLL)
    assert world.submitted == []
    await world.later(POLL)

    assert paths(world) == [("/in/a.parquet", "/in/b.parquet")]
    assert world.submitted[0].spec.output.path == "/out/000001"
    (run,) = world.runs
    assert (run.kind, run.files, run.state) == ("arrival", 2, "running")


async def test_a_file_that_grows_waits_until_it_does_not(world: Schedules) -> None:
    for size in range(4):
        world.places.content["/in/a.parquet"] = f"{size} bytes"
        await world.later(POLL)
    assert world.submitted == []
    await world.later(POLL)

    assert paths(world) == [("/in/a.parquet",)]


async def test_between_listings_nothing_is_listed(world: Schedules) -> None:
    world.places.content["/in/a.parquet"] = "v1"
    await world.later(POLL)
    for _ in range(5):
        await world.later(POLL / 10)
    assert world.submitted == []


async def test_with_a_marker_files_count_at_once_when_their_folder_has_one(
    world: Schedules,
) -> None:
    await create(world, marker="_SUCCESS", path="/in/")
    world.places.content |= {"/in/one/a.parquet": "v1", "/in/two/b.parquet": "v1"}
    await world.later(POLL)
    assert world.submitted == []
    world.places.content["/in/two/_SUCCESS"] = ""
    await world.later(POLL)

    assert paths(world) == [("/in/two/b.parquet",)]


async def test_each_file_is_in_one_job_and_again_when_it_was_replaced(world: Schedules) -> None:
    world.places.content["/in/a.parquet"] = "v1"
    for _ in range(3):
        await world.later(POLL)
    world.end(world.submitted[0])
    world.places.content["/in/b.parquet"] = "v1"
    for _ in range(4):
        await world.later(POLL)
    world.end(world.submitted[1])
    world.places.content["/in/a.parquet"] = "v2"
    for _ in range(4):
        await world.later(POLL)

    assert paths(world) == [("/in/a.parquet",), ("/in/b.parquet",), ("/in/a.parquet",)]


async def test_what_arrives_while_a_job_runs_goes_into_the_next_one(world: Schedules) -> None:
    world.places.content["/in/a.parquet"] = "v1"
    for _ in range(3):
        await world.later(POLL)
    for name in "bcd":
        world.places.content[f"/in/{name}.parquet"] = "v1"
        await world.later(POLL)
    assert len(world.submitted) == 1
    world.end(world.submitted[0])
    for _ in range(3):
        await world.later(POLL)

    assert paths(world)[1:] == [("/in/b.parquet", "/in/c.parquet", "/in/d.parquet")]


async def test_several_controls_that_list_the_same_give_each_file_to_one_job(
    world: Schedules,
) -> None:
    controls = [world.control, world.another_control(), world.another_control()]
    for name in "abc":
        world.places.content[f"/in/{name}.parquet"] = "v1"
    for _ in range(3):
        world.clock.advance(60)
        await world.turns(*controls)

    assert paths(world) == [("/in/a.parquet", "/in/b.parquet", "/in/c.parquet")]


async def test_a_control_that_dies_behind_the_claim_leaves_its_files_to_the_next(
    world: Schedules,
) -> None:
    world.jobs.refusal = NotReady("not now")
    world.places.content["/in/a.parquet"] = "v1"
    for _ in range(3):
        await world.later(POLL)
    world.jobs.refusal = None
    await world.turns(world.another_control())

    assert paths(world) == [("/in/a.parquet",)]


async def test_an_object_whose_name_looks_like_a_pattern_is_named_literally(
    world: Schedules,
) -> None:
    await create(world, path="s3://in/")
    world.places.content["s3://in/a[1].parquet"] = "v1"
    for _ in range(3):
        await world.later(POLL)

    assert paths(world) == [("s3://in/a[[]1].parquet",)]


async def test_a_place_that_cannot_be_read_is_told_until_it_can(world: Schedules) -> None:
    world.places.refusal = PermissionDenied("/in is outside of what batch jobs may read")
    await world.later(POLL)
    schedule = world.store.get("hourly")
    assert "outside of what batch jobs may read" in world.control.problem(schedule)
    world.places.refusal = None
    await world.later(POLL)

    assert world.control.problem(schedule) == ""


async def test_paths_may_be_those_of_today(world: Schedules) -> None:
    await create(world, path="/in/{date}/")
    world.places.content |= {"/in/2026-11-01/a.parquet": "v1", "/in/2026-10-31/b.parquet": "v1"}
    for _ in range(3):
        await world.later(POLL)

    assert paths(world) == [("/in/2026-11-01/a.parquet",)]


async def test_a_schedule_on_arrival_has_no_intervals_to_order_or_to_catch_up(
    world: Schedules,
) -> None:
    with pytest.raises(Conflict, match="runs when files arrive"):
        await world.control.order("hourly", "bob", ("", ""))
    for fields in ({"catch_up": True}, {"overlap": "skip"}, {"cron": "daily"}):
        spec = replace(world.store.get("hourly").spec, **fields)
        with pytest.raises(InvalidArgument):
            await world.control.create("other", spec, "ann")


STEPS = st.lists(
    st.tuples(
        # a file that is written, or written again
        st.sampled_from("abcd"),
        st.integers(0, 3),
        # how many looks follow, by which control, whether it is a new one, and whether jobs end
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
    ),
    max_size=15,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_every_content_of_a_file_that_stood_still_is_in_one_job_whoever_dies_meanwhile(
    draft: VersionDraft, steps: list[tuple[str, int, int, int, bool, bool]]
) -> None:
    world = Schedules(draft)
    await create(world)
    controls = [world.another_control() for _ in range(3)]
    written: set[tuple[str, str]] = set()
    for name, content, looks, which, dies, ends in steps:
        world.places.content[f"/in/{name}.parquet"] = str(content)
        written.add((f"/in/{name}.parquet", str(content)))
        controls[which] = world.another_control() if dies else controls[which]
        for _ in range(looks):
            world.clock.advance(POLL.total_seconds())
            await world.turns(controls[which])
        for job in world.submitted if ends else ():
            if not job.ended:
                world.end(job)
    for _ in range(2 + len(steps)):
        world.clock.advance(POLL.total_seconds())
        await world.turns(*controls)
        for job in world.submitted:
            if not job.ended:
                world.end(job)

    scored = Counter(path for paths_of_job in paths(world) for path in paths_of_job)
    contents = Counter(path for path, _ in written)
    # what stands there in the end was scored, and nothing more often than it had contents
    assert scored.keys() == world.places.content.keys()
    assert all(count <= contents[path] for path, count in scored.items())
    assert not world.store.open_runs()
