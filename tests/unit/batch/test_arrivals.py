"""Which files have arrived, by two listings or a marker."""

from hypothesis import given
from hypothesis import strategies as st

from augurium.batch.arrivals import MOST_FILES, MOST_LOCATION_BYTES, arrived, share_of_one_job
from augurium.registry.batch_schedule_records import ArrivedFile

ONE = ArrivedFile("s3://in/a/1.parquet", "v1")
TWO = ArrivedFile("s3://in/b/2.parquet", "v1")


def test_a_file_counts_when_the_listing_before_found_it_the_same() -> None:
    before = {ONE.location: "v1", TWO.location: "v0"}

    assert arrived([TWO, ONE], before) == [ONE]
    assert arrived([TWO, ONE], {}) == []


def test_with_markers_a_file_counts_when_one_is_in_its_folder_and_no_listing_matters() -> None:
    before = {TWO.location: "v1"}

    assert arrived([ONE, TWO], before, marked={"s3://in/a"}) == [ONE]
    assert arrived([ONE, TWO], before, marked=set()) == []


def test_one_job_gets_so_many_files_and_no_more_text_than_it_can_carry() -> None:
    short = [ArrivedFile(f"/in/{number:06}", "v1") for number in range(MOST_FILES + 10)]
    long = [ArrivedFile(f"/in/{number:01000}", "v1") for number in range(1000)]

    assert share_of_one_job(short) == short[:MOST_FILES]
    taken = share_of_one_job(long)
    assert taken == long[: len(taken)]
    assert 398_000 < sum(len(file.location) for file in taken) <= MOST_LOCATION_BYTES


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)), max_size=12))
def test_only_what_stood_still_between_two_listings_ever_counts(
    listings: list[dict[str, int]],
) -> None:
    before: dict[str, str] = {}
    for listing in listings:
        found = [ArrivedFile(name, str(identity)) for name, identity in listing.items()]
        for file in arrived(found, before):
            assert before[file.location] == file.identity
        before = dict(found)
