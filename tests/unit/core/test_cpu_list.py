import pytest

from augurium.core.cpu_list import cpus_of
from augurium.core.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", ()),
        ("0", (0,)),
        ("0-3,8", (0, 1, 2, 3, 8)),
        ("8, 1-2", (1, 2, 8)),
        ("3-3,3,2-4", (2, 3, 4)),
    ],
)
def test_a_list_of_numbers_and_ranges_is_read(text: str, cpus: tuple[int, ...]) -> None:
    assert cpus_of(text) == cpus


@pytest.mark.parametrize(
    "text", ["a", "1-", "-1", "3-1", "1,,2", "1;2", "0-99999", "4096", "1" * 2000, "0x1", "1\n"]
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no list of CPUs; expected numbers and ranges"):
        cpus_of(text)
