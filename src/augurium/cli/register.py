"""`augurium register`: uploads and imports a model file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from augurium.cli.arguments import JsonFlag, metrics, moment, source, tags
from augurium.cli.deploy import sentence
from augurium.cli.import_report import parity_error
from augurium.cli.output import print_fields, print_json, progress_bar, size, spinner
from augurium.core.errors import AuguriumError

if TYPE_CHECKING:
    from augurium.client import Client
    from augurium.client.registration import VersionDetails
    from augurium.client.results import Deployment, Version

ModelPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        callback=source,
        help="The model's file or folder, s3://, gs://, az:// or https:// address, or "
        "mlflow:FOLDER.",
    ),
]
Name = Annotated[str, typer.Option(help="The model's name; new or known.")]
Framework = Annotated[
    str | None, typer.Option(help="The model's framework; detected when not given.")
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        callback=source,
        help="The training data (Parquet, Arrow, CSV, JSON): checks the import, names the features "
        "and leaves the reference profile.",
    ),
]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        callback=source,
        help="Fitted transforms (JSON) to put before the model.",
    ),
]
Engine = Annotated[
    str | None, typer.Option(help="The engine that shall serve it; the best one when not given.")
]


class OnOff(StrEnum):
    """The word of the owner where something is decided by measurement otherwise."""

    ON = "on"
    OFF = "off"


Prepacking = Annotated[
    OnOff | None,
    typer.Option(
        help="How ONNX Runtime holds the weights: off shares them between processes, on copies them"
        " for faster batches; by measurement when not given.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="KEY=VALUE", help="A measured quality; repeatable."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeatable.")
]
Description = Annotated[str, typer.Option(help="What is to be known about this version.")]
Card = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.md", exists=True, dir_okay=False, help="The model card, a Markdown file."
    ),
]
CodeRevision = Annotated[
    str | None,
    typer.Option(
        metavar="REVISION",
        help="The revision of the training code; auto asks git in this folder.",
    ),
]
DatasetUri = Annotated[
    str | None, typer.Option(metavar="URI", help="Where the training data is kept.")
]
RunUrl = Annotated[str | None, typer.Option(metavar="URL", help="The training run, in a tracker.")]
ParentVersion = Annotated[
    int | None,
    typer.Option(metavar="VERSION", min=1, help="The version of this model that it was made from."),
]
TrainedAt = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="When it was trained, ISO 8601; UTC without a time zone."),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Accept a format that runs code when it is loaded, if the server does too.",
    ),
]
Deploy = Annotated[
    bool, typer.Option("--deploy", help="Deploy it afterwards and make it the default.")
]


def register(
    path: ModelPath,
    name: Name,
    framework: Framework = None,
    data: Data = None,
    preprocessing: Preprocessing = None,
    engine: Engine = None,
    prepacking: Prepacking = None,
    metric: Metrics = None,
    tag: Tags = None,
    description: Description = "",
    card: Card = None,
    trained_at: TrainedAt = None,
    code_revision: CodeRevision = None,
    dataset_uri: DatasetUri = None,
    run_url: RunUrl = None,
    parent_version: ParentVersion = None,
    allow_code: AllowCode = False,
    deploy: Deploy = False,
    json: JsonFlag = False,
) -> None:
    """Uploads and imports a model file.

    It becomes the next version of the model. Shows the version, its framework, the engine that
    runs it and how exactly it was reproduced.
    """
    from augurium.client import Client

    details: VersionDetails = {
        "framework": framework,
        "engine": engine,
        "prepacking": None if prepacking is None else prepacking.value,
        "metrics": metrics(metric or []),
        "tags": tags(tag or []),
        "description": description,
        "card": card,
        "code_revision": code_revision,
        "dataset_uri": dataset_uri,
        "run_url": run_url,
        "parent_version": parent_version,
        "trained_at": None if trained_at is None else moment(trained_at),
        "allow_code": allow_code,
    }
    with Client() as client:
        with progress_bar(shown=not json) as progress:
            version = client.register(
                path,
                name=name,
                data=data,
                preprocessing=preprocessing,
                progress=progress,
                **details,
            )
        if not json:
            print_fields(_summary(version))
        deployment = _deployed(client, version, shown=not json) if deploy else None
        if json and deployment is not None:
            version = client.version(version.model, version.version)
    if json:
        print_json({**msgspec.to_builtins(version), "deployment": deployment})
    elif deployment is not None:
        typer.echo(sentence(deployment))


def _summary(version: "Version") -> list[tuple[str, object]]:
    return [
        ("version", f"{version.model}@{version.version}"),
        ("framework", f"{version.framework} {version.framework_version}"),
        ("engine", version.runtime),
        ("parity error", parity_error(version.report)),
        ("size", size(version.servable.size_bytes)),
    ]


def _deployed(client: "Client", version: "Version", shown: bool) -> "Deployment":
    name = f"{version.model}@{version.version}"
    try:
        with spinner(f"deploying {name}", shown):
            return client.deploy(version.model, version.version)
    except AuguriumError as error:
        # the registration stays, and whoever reads the error must know
        raise type(error)(f"{name} is registered, but not deployed: {error}") from error
