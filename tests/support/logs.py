"""Where the log of a test's own process goes."""

import sys

import structlog


def log_to_stderr() -> None:
    """To where pytest gathers it, not to whatever is standard output at the moment: threads that
    earlier tests have left log while another reads what a command prints.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
