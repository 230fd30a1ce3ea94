"""`augurium models`: all models and where their pointers point."""

from augurium.cli.arguments import DeletedFlag, JsonFlag
from augurium.cli.output import print_json, print_table, remark

COLUMNS = ("name", "latest", "default", "deployed", "aliases")


def models(deleted: DeletedFlag = False, json: JsonFlag = False) -> None:
    """Lists all models and where their pointers point."""
    from augurium.client import Client

    with Client() as client:
        found = client.models(deleted)
    if json:
        print_json({"models": found})
    elif found:
        rows = [
            (
                model.name,
                model.latest_version,
                model.default_version,
                model.deployed_versions,
                model.aliases,
                *(["deleted" if model.deleted_at else "live"] if deleted else []),
            )
            for model in found
        ]
        print_table((*COLUMNS, "state") if deleted else COLUMNS, rows)
    else:
        remark("There are no models yet; register one with `augurium register PATH --name NAME`.")
