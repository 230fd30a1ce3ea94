import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import (
    ModelRef,
    check_alias,
    check_model_name,
    check_request_id,
    model_ref,
)


def test_a_reference_names_a_model_and_maybe_a_version_or_an_alias() -> None:
    assert model_ref("fraud") == ModelRef("fraud")
    assert model_ref("fraud@champion") == ModelRef("fraud", None, "champion")
    assert model_ref("fraud@3") == ModelRef("fraud", 3)
    assert model_ref("fraud", "3") == ModelRef("fraud", 3)
    assert [str(model_ref(text)) for text in ("a", "a@b", "a@7")] == ["a", "a@b", "a@7"]


@pytest.mark.parametrize(
    "version",
    ["0", "-1", "01", "1.0", "latest", "9" * 21, "NaN", "+1", "\uff11", " 1", "2147483648"],
)
def test_versions_are_plain_positive_integers(version: str) -> None:
    with pytest.raises(InvalidArgument):
        model_ref("m", version)


def test_a_version_is_given_once() -> None:
    with pytest.raises(InvalidArgument, match="give one"):
        model_ref("m@champion", "3")


@pytest.mark.parametrize(
    "name",
    ["", " ", "\t", ".", "..", "../x", "a/..", "/etc/passwd", "a/", "a\x00", "a\n", "a%2fb",
     "x" * 129,
     "😀", "\uff4dodel", "-rf", "--help", "$(id)", "'; drop table", "{{7*7}}", "stats"],
)  # fmt: skip
def test_names_that_could_be_taken_for_something_else_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_model_name(name)


def test_an_alias_is_not_a_number() -> None:
    assert check_alias("champion") == "champion"
    with pytest.raises(InvalidArgument, match="needs a letter"):
        check_alias("3")


@pytest.mark.parametrize("request_id", ["x" * 257, "a\r\nb", "a\x00", "é"])
def test_request_ids_are_short_and_printable(request_id: str) -> None:
    with pytest.raises(InvalidArgument):
        check_request_id(request_id)
