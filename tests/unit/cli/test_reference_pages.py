"""House rule: every command and option is explained, in its help and in the reference page."""

from pathlib import Path
from typing import Any

import pytest
import typer

from augurium.cli.app import app
from augurium.cli.exit_codes import ExitCode

PAGE = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text("utf-8")
# a Group; the class is private to typer
ROOT: Any = typer.main.get_command(app)


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by its words, such as `batch schedule create`."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        grouped = hasattr(command, "commands")
        found |= commands_of(command, f"{prefix}{name} ") if grouped else {prefix + name: command}
        if grouped and command.invoke_without_command:
            found[prefix + name] = command
    return found


COMMANDS = commands_of(ROOT)


def section_of(command: str) -> str:
    """The part of the page under the command's heading."""
    heading = f"\n## augurium {command}\n"
    assert heading in PAGE, f"docs/reference/cli.md has no section on {command}"
    return PAGE.split(heading)[1].split("\n## ")[0]


def names_of(parameter: Any) -> list[str]:
    options = [name for name in [*parameter.opts, *parameter.secondary_opts] if name[0] == "-"]
    return options or [parameter.metavar]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_section(command: str) -> None:
    assert COMMANDS[command].help
    assert section_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help_and_stands_in_its_section(command: str) -> None:
    section = section_of(command)
    for parameter in COMMANDS[command].params:
        assert parameter.help, f"{command} {parameter.name} has no help"
        for name in names_of(parameter):
            assert f"`{name}" in section, f"docs/reference/cli.md: {command} lacks {name}"


def test_the_page_tells_no_command_that_does_not_exist() -> None:
    headings = {line.removeprefix("## augurium ") for line in PAGE.splitlines() if "## a" in line}

    assert headings == set(COMMANDS)


def test_every_command_prints_json() -> None:
    for name, command in COMMANDS.items():
        assert "--json" in [option for parameter in command.params for option in parameter.opts], (
            f"{name} has no --json"
        )


def test_every_exit_code_stands_in_the_page_and_in_the_help() -> None:
    for code in ExitCode:
        assert f"| {code.value} |" in PAGE
        assert f"{code.value} " in ROOT.epilog


def test_the_options_of_the_command_itself_stand_in_the_page() -> None:
    for parameter in ROOT.params:
        assert parameter.help
        assert f"`{parameter.opts[0]}`" in PAGE
