from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument, Unimplemented
from augurium.protocols.oip_log_settings import KEYS, LEVELS, level_after, settings_of

SWITCHES = st.fixed_dictionaries(
    {},
    optional={
        "log_info": st.booleans(),
        "log_warning": st.booleans(),
        "log_error": st.just(True),
        "log_verbose_level": st.integers(0, 2),
    },
)


@pytest.mark.parametrize("level", LEVELS)
def test_all_settings_may_be_sent_back(level: str) -> None:
    assert level_after(level, settings_of(level)) == level


@pytest.mark.parametrize(
    ("level", "changes", "after"),
    [
        ("info", {"log_verbose_level": 3}, "debug"),
        ("debug", {"log_verbose_level": 0}, "info"),
        ("info", {"log_info": False}, "warning"),
        ("debug", {"log_info": False}, "warning"),
        ("info", {"log_warning": False}, "error"),
        ("error", {"log_info": True}, "info"),
        ("error", {"log_warning": True}, "warning"),
        ("warning", {"log_verbose_level": 0}, "warning"),
        ("debug", {"log_error": True}, "debug"),
        ("info", {"log_format": "ISO8601", "log_file": ""}, "info"),
        ("info", {}, "info"),
    ],
)
def test_switches_lead_to_a_level(level: str, changes: dict[str, Any], after: str) -> None:
    assert level_after(level, changes) == after


@given(st.sampled_from(LEVELS), SWITCHES)
def test_a_level_does_what_was_asked_or_nothing_is_changed(
    level: str, changes: dict[str, Any]
) -> None:
    try:
        found = settings_of(level_after(level, changes))
    except InvalidArgument as error:
        assert "contradict" in str(error)  # noqa: PT017 - both ends are right ones
        return
    for key, value in changes.items():
        assert bool(found[key]) == bool(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"log_error": False},
        {"log_info": True, "log_warning": False},
        {"log_verbose_level": 1, "log_info": False},
        {"log_verbose_level": -1},
        {"log_verbose_level": True},
        {"log_verbose_level": 1.0},
        {"log_info": None},
        {"log_info": "yes"},
        {"log_format": "default"},
        {"verbose": 1},
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        level_after("info", changes)


def test_logs_do_not_go_to_a_file() -> None:
    with pytest.raises(Unimplemented, match="log file location can not be updated"):
        level_after("info", {"log_file": "/tmp/x"})


def test_every_setting_of_the_protocol_is_told() -> None:
    assert tuple(settings_of("info")) == KEYS
