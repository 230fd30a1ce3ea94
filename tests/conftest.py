"""What holds for all tests."""

from tests.support.logs import log_to_stderr


def pytest_configure() -> None:
    """Before any test runs."""
    log_to_stderr()
