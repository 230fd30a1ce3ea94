"""`augurium import`: registers the version of an archive."""

from pathlib import Path
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, source
from augurium.cli.output import print_json, progress_bar
from augurium.core.errors import InvalidArgument

Archive = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        callback=source,
        help="An archive by `augurium export`: a path or an address of one.",
    ),
]
Name = Annotated[
    str | None, typer.Option(help="The model to add it to; the archive's own when not given.")
]
Trust = Annotated[
    Path | None,
    typer.Option(
        metavar="KEYFILE",
        exists=True,
        dir_okay=False,
        help="The signer's public key, to be believed this once; the audit log keeps that.",
    ),
]


def import_archive(
    file: Archive, name: Name = None, trust: Trust = None, json: JsonFlag = False
) -> None:
    """Registers the version of a signed archive.

    Refused unless the server trusts the signer (see `augurium trust`), and when anything in it was
    changed. The same archive twice is one version.
    """
    from augurium.client import Client

    signer = None if trust is None else _key(trust)
    with Client() as client, progress_bar(shown=not json) as progress:
        version = client.import_version(file, name, signer, progress)
    if json:
        print_json(version)
    else:
        origin = version.report.get("imported_from", {})
        typer.echo(
            f"{version.model}@{version.version} is registered; it was "
            f"{origin.get('model')}@{origin.get('version')}, signed by {origin.get('signed_by')}"
        )


def _key(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{file} is not a public key: {error}") from error
