"""How much a caller likes each of the things it accepts (RFC 9110, section 12.4.2)."""

from collections.abc import Iterator


def qualities(header: str) -> Iterator[tuple[str, float]]:
    """What stands in a header such as Accept, in lower case, with its quality: 1 where none is
    given, 0 where it is no number.
    """
    for part in header.lower().split(","):
        name, *parameters = part.split(";")
        yield name.strip(), _quality(parameters)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
