"""`augurium versions`: the versions of a model, or all about one of them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from augurium.cli.arguments import DeletedFlag, JsonFlag, reference
from augurium.cli.group import Commands
from augurium.cli.import_report import parity_error
from augurium.cli.output import print_json, print_table
from augurium.cli.profile_page import print_profile
from augurium.cli.version_page import print_version
from augurium.core.errors import NotFound
from augurium.core.identifiers import ModelRef

if TYPE_CHECKING:
    from augurium.client import Client
    from augurium.client.results import Version

ProfileFlag = Annotated[
    bool,
    typer.Option("--profile", help="Show its reference profile: the training data, by feature."),
]
COLUMNS = (
    "version",
    "framework",
    "engine",
    "deployed",
    "approval",
    "registered",
    "parity error",
    "metrics",
)


class VersionCommands(Commands):
    """`versions NAME` is short for `versions list NAME`, `versions NAME@3` for `versions show`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        first = next((word for word in args if not word.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = ["show" if "@" in first or "--profile" in args else "list", *args]
        return super().parse_args(ctx, args)


versions = typer.Typer(
    name="versions",
    cls=VersionCommands,
    no_args_is_help=True,
    help="Lists the versions of a model, or shows all about one.",
)


@versions.command("list")
def list_versions(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    deleted: DeletedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Lists the versions of a model; `versions NAME` does the same."""
    from augurium.client import Client

    model = reference(name)
    if model != ModelRef(model.name):
        raise typer.BadParameter(f"'{name}' is one version; run: augurium versions show {name}")
    with Client() as client:
        found = client.versions(model.name, deleted)
    if json:
        print_json({"versions": found})
    else:
        print_table(COLUMNS, map(_row, found))


@versions.command("show")
def show_version(
    version: Annotated[
        str,
        typer.Argument(
            metavar="NAME@VERSION", help="A model and a version or an alias, such as churn@3."
        ),
    ],
    profile: ProfileFlag = False,
    json: JsonFlag = False,
) -> None:
    """Shows all about a version and its import; `versions NAME@3` does the same."""
    from augurium.client import Client

    model = reference(version)
    if model == ModelRef(model.name):
        raise typer.BadParameter(
            f"'{version}' names no version; expected one such as {model.name}@3"
        )
    with Client() as client:
        number = _number(client, model)
        if profile:
            _show_profile(client, model.name, number, json)
            return
        found = client.version(model.name, number)
    if json:
        print_json(found)
    else:
        print_version(found)


def _show_profile(client: "Client", name: str, number: int, json: bool) -> None:
    found = client.profile(name, number)
    if json:
        print_json(found)
    else:
        print_profile(f"{name}@{number}", found)


def _number(client: "Client", model: ModelRef) -> int:
    if model.version is not None:
        return model.version
    aliases = client.model(model.name).aliases
    if model.alias not in aliases:
        raise NotFound(
            f"model '{model.name}' has no alias '{model.alias}'; "
            f"it has {', '.join(sorted(aliases)) or 'none'}"
        )
    return aliases[model.alias]


def _row(version: "Version") -> tuple[object, ...]:
    return (
        version.version,
        f"{version.framework} {version.framework_version}",
        version.runtime,
        "deleted" if version.deleted_at else ("yes" if version.deployed else "no"),
        version.approval,
        version.created_at,
        parity_error(version.report),
        version.metrics,
    )
