import pytest

from augurium.core.errors import InvalidArgument
from augurium.core.identifiers import ModelRef, model_ref, version_number


@pytest.mark.parametrize(
    "text", ["0", "-1", "01", "1.0", "latest", "9" * 21, "NaN", "", " 1", "+1", "1_0", "²", "٣"]
)
def test_a_text_that_is_no_plain_positive_integer_is_not_a_version(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a positive integer"):
        version_number(text)


@pytest.mark.parametrize("text", ["1", "10", "2147483647"])
def test_a_plain_positive_integer_is_a_version(text: str) -> None:
    assert version_number(text) == int(text)
    assert model_ref(f"fraud@{text}") == ModelRef("fraud", int(text))
