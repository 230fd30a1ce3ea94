"""Server-sent events: cut anywhere, they are the same events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.client.event_stream import EventStream, GenerateReader
from augurium.core.errors import AuguriumError, Internal, ModelFailed

lines = st.lists(st.binary(max_size=6).filter(lambda text: not {10, 13} & set(text)), min_size=1)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(events=st.lists(lines, max_size=5), end=ends, data=st.data())
def test_where_pieces_are_cut_does_not_matter(
    events: list[list[bytes]], end: bytes, data: st.DataObject
) -> None:
    content = b"".join(b"".join(b"data: " + line + end for line in event) + end for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    stream = EventStream()

    found = [
        event
        for start, stop in zip([0, *cuts], [*cuts, len(content)], strict=True)
        for event in stream.feed(content[start:stop])
    ]

    assert found == [b"\n".join(event) for event in events]


def test_other_fields_and_remarks_are_left_aside() -> None:
    content = b": a remark\nevent: message\nid: 7\nretry: 10\ndata:{}\n\n\n\nevent: none\n\n"

    assert list(EventStream().feed(content)) == [b"{}"]


def test_an_event_that_was_cut_off_is_none() -> None:
    assert list(EventStream().feed(b"data: 1\n\ndata: 2\n")) == [b"1"]


def test_a_reply_is_its_outputs_and_who_gave_them() -> None:
    read = GenerateReader({"augurium-version": "3", "x-request-id": "r1"})

    (found,) = read(b'data: {"model_name":"m","model_version":"4","id":"i","y":[1,2]}\n\n')

    assert found.outputs == {"y": [1, 2]}
    assert (found.version, found.request_id) == (4, "r1")


def test_a_reply_without_a_version_has_that_of_the_stream() -> None:
    (found,) = GenerateReader({"augurium-version": "3"})(b'data: {"y":1}\n\n')

    assert (found.version, found.outputs) == (3, {"y": 1})


def test_an_output_may_be_called_error() -> None:
    (found,) = GenerateReader({})(b'data: {"model_name":"m","error":"none"}\n\n')

    assert found.outputs == {"error": "none"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'data: {"error":"it failed"}\n\n', Internal),
        (b'data: {"error":"it failed","kind":"model_failed"}\n\n', ModelFailed),
    ],
)
def test_an_error_in_place_of_a_reply_is_raised(event: bytes, kind: type[AuguriumError]) -> None:
    with pytest.raises(kind, match="it failed"):
        list(GenerateReader({})(event))


@pytest.mark.parametrize("event", [b"data: [1]\n\n", b"data: {\n\n", b"data: \xff\n\n"])
def test_a_damaged_event_is_an_error(event: bytes) -> None:
    with pytest.raises(AuguriumError, match="cannot be read"):
        list(GenerateReader({})(event))
