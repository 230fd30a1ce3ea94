"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings

from tests.support.logs import log_to_stderr


def pytest_configure() -> None:
    """Before any test runs, in every process that runs some."""
    log_to_stderr()
    # a shell starts what is in its background with Ctrl-C ignored, and children inherit that
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # how long an example takes says more about the machine than about the code
    settings.register_profile(
        "augurium", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("augurium")
