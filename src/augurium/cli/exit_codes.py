"""Exit codes: what the shell is told."""

from enum import IntEnum

from augurium.core.errors import AuguriumError


class ExitCode(IntEnum):
    """Documented in `augurium --help` and in docs/reference/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_SERVER = 3
    INTERRUPTED = 130


def exit_code_of(error: AuguriumError) -> ExitCode:
    """3 when no server answers, 1 for every other error."""
    # here, not above: `augurium serve` does without the HTTP client
    from augurium.client.errors import NoServer

    return ExitCode.NO_SERVER if isinstance(error, NoServer) else ExitCode.FAILED
