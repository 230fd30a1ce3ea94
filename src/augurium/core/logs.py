"""Structured logs on standard error: a line per event, text for people or JSON for machines.

`structlog.get_logger()` and the standard library's `logging` end in the same handler, so that a
line of uvicorn or SQLAlchemy looks like one of ours. A full disk loses lines, never the process.
"""

import json
import logging
import sys
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from augurium.core.settings import LogSettings

LEADING_KEYS = ("time", "level", "process", "event")
QUIET_LOGGERS = ("uvicorn", "uvicorn.error", "httpx", "alembic", "hpack")


def configure_logging(settings: LogSettings, process: str) -> None:
    """Sends all logs of this process to standard error; every line names `process`.

    May be called again; the last call counts.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _Process(process),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _send_to_stderr(level, shared, _json_line if settings.format == "json" else _text_line)


class LogSwitch:
    """Where the log of this process begins, for as long as it runs; it is configured before."""

    def __init__(self, settings: LogSettings, process: str) -> None:
        self._settings = settings
        self._process = process
        self.level: str = settings.level

    def set(self, level: str) -> None:
        """Logs from `level` on; an empty one means what the settings say."""
        wanted = level or self._settings.level
        if wanted == self.level:
            return
        configure_logging(msgspec.structs.replace(self._settings, level=wanted), self._process)
        self.level = wanted


def _send_to_stderr(level: int, shared: list[Processor], render: Processor) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        # their "started" and "shutting down" say nothing that our own lines do not
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Process:
    """Adds the name of the process."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["process"] = self._name
        return event


def _json_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    ordered = {key: event.pop(key) for key in LEADING_KEYS if key in event} | dict(event)
    return msgspec.json.encode(ordered, enc_hook=str).decode()


def _text_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    trace = event.pop("exception", None)
    leading = [str(event.pop(key, "")) for key in LEADING_KEYS]
    leading[1] = leading[1].ljust(7)
    leading[3] = _printable(leading[3])
    pairs = [f"{key}={_value(value)}" for key, value in event.items()]
    line = " ".join([*leading, *pairs])
    return f"{line}\n{trace}" if trace else line


def _value(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if not text or set(text) & set(' "=') else _printable(text)


def _printable(text: str) -> str:
    # a line break or an escape sequence in a name must not forge a line or repaint a terminal
    return text if text.isprintable() else json.dumps(text)
