"""The logging extension: Triton's switches as the one level that our logs have.

Source: Triton, "Logging Extension". Logs go to standard error; their lines begin with a time in the
form of ISO 8601.
"""

from collections.abc import Mapping
from typing import Any

from augurium.access.principal import LOCAL, Principal
from augurium.core.errors import InvalidArgument, PermissionDenied, Unimplemented
from augurium.protocols.oip import linked
from augurium.serving.node_control import NodeControl

LEVELS = ("debug", "info", "warning", "error")
DEBUG, INFO, WARNING, ERROR = range(4)
FORMAT = "ISO8601"
KEYS = ("log_file", "log_info", "log_warning", "log_error", "log_verbose_level", "log_format")
LARGEST_VERBOSE_LEVEL = 2**32 - 1

Settings = dict[str, bool | int | str]


async def log_settings(
    control: NodeControl | None,
    changes: Mapping[str, Any],
    caller: Principal | None,
    timeout_s: float | None = None,
) -> Settings:
    """All settings, as they are after the changes.

    Raises InvalidArgument and Unimplemented for changes that cannot be made, PermissionDenied for
    callers who may not see every model.
    """
    if caller is not None and caller.models:
        raise PermissionDenied(
            "the log is about every model; it needs a credential for all of them"
        )
    node = linked(control)
    level = await node.log_level(timeout_s)
    if changes:
        wanted = level_after(level, changes)
        if wanted != level:
            level = await node.set_log_level(wanted, (caller or LOCAL).name, timeout_s)
    return settings_of(level)


def settings_of(level: str) -> Settings:
    """The switches of a level."""
    rank = LEVELS.index(level)
    return {
        "log_file": "",
        "log_info": rank <= INFO,
        "log_warning": rank <= WARNING,
        "log_error": True,
        "log_verbose_level": int(rank <= DEBUG),
        "log_format": FORMAT,
    }


def level_after(level: str, changes: Mapping[str, Any]) -> str:
    """The level nearest to `level` that does what is asked: what is more severe is logged too.

    Raises as `log_settings`.
    """
    # from the least to the most severe, between these two
    least, most = DEBUG, ERROR
    for key, value in changes.items():
        match key:
            case "log_info" | "log_warning":
                rank = INFO if key == "log_info" else WARNING
                if _flag(key, value):
                    most = min(most, rank)
                else:
                    least = max(least, rank + 1)
            case "log_verbose_level":
                if _verbose_level(value):
                    most = DEBUG
                else:
                    least = max(least, INFO)
            case _:
                _check_fixed(key, value)
    if least > most:
        raise InvalidArgument(
            "these log settings contradict each other: what is logged at one level is logged at"
            " every more severe one too (log_verbose_level, log_info, log_warning, log_error)"
        )
    return LEVELS[min(max(LEVELS.index(level), least), most)]


def _check_fixed(key: str, value: object) -> None:
    match key:
        case "log_error":
            if not _flag(key, value):
                raise InvalidArgument("log_error cannot be turned off")
        case "log_file":
            if value != "":
                raise Unimplemented(
                    "log file location can not be updated through network protocol: logs go to"
                    " standard error"
                )
        case "log_format":
            if value != FORMAT:
                raise InvalidArgument(
                    f"log_format can only be {FORMAT} here; `log.format` in augurium.toml chooses"
                    " between text and JSON"
                )
        case _:
            raise InvalidArgument(
                f"log setting '{key[:64]}' is not known; expected one of {', '.join(KEYS)}"
            )


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(f"log setting '{key}' must be true or false")
    return value


def _verbose_level(value: object) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= LARGEST_VERBOSE_LEVEL
    ):
        raise InvalidArgument("log setting 'log_verbose_level' must be a number, 0 or more")
    return value
