"""`augurium export`: a version with all its files as one signed file."""

from pathlib import Path
from typing import Annotated

import typer

from augurium.cli.arguments import JsonFlag, VersionArgument, version_reference
from augurium.cli.output import print_json, progress_bar, size

File = Annotated[
    Path, typer.Argument(metavar="FILE", dir_okay=False, help="The archive to be written.")
]


def export(version: VersionArgument, file: File, json: JsonFlag = False) -> None:
    """Writes a version to a signed archive.

    It holds the uploaded file, what engines load, and all that is known about the version. Another
    node takes it with `augurium import`.
    """
    from augurium.client import Client

    name, number = version_reference(version)
    with Client() as client, progress_bar(shown=not json) as progress:
        client.export_version(name, number, file, progress)
        signer = client.trusted_keys().own.fingerprint
    size_bytes = file.stat().st_size
    if json:
        print_json({"file": str(file), "size_bytes": size_bytes, "signer": signer})
    else:
        typer.echo(f"{name}@{number} is in {file} ({size(size_bytes)}), signed by {signer}")
