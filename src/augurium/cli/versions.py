"""`augurium versions`: the versions of a model, or all about one of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import DeletedFlag, JsonFlag, reference
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


def versions(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]",
            help="A model; with @3 or @champion all about that version and its import.",
        ),
    ],
    profile: ProfileFlag = False,
    deleted: DeletedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Lists the versions of a model, or shows all about one."""
    from augurium.client import Client

    model = reference(name)
    if profile and model == ModelRef(model.name):
        raise typer.BadParameter(f"--profile needs one version, such as {model.name}@3")
    with Client() as client:
        if profile:
            _show_profile(client, model, json)
            return
        if model == ModelRef(model.name):
            found = client.versions(model.name, deleted)
            if json:
                print_json({"versions": found})
            else:
                print_table(COLUMNS, map(_row, found))
            return
        version = client.version(model.name, _number(client, model))
    if json:
        print_json(version)
    else:
        print_version(version)


def _show_profile(client: "Client", model: ModelRef, json: bool) -> None:
    number = _number(client, model)
    found = client.profile(model.name, number)
    if json:
        print_json(found)
    else:
        print_profile(f"{model.name}@{number}", found)


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
