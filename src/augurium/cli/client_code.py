"""`augurium client-code`: a program that asks a model, with the model's own example row."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag, reference
from augurium.cli.output import print_json, remark
from augurium.core.errors import InvalidArgument

if TYPE_CHECKING:
    from augurium.cli.client_code_call import ExampleCall


class Language(StrEnum):
    """What a program may be written in."""

    PYTHON = "python"
    CURL = "curl"
    JAVASCRIPT = "javascript"
    GO = "go"


class Transport(StrEnum):
    """What carries the predictions of a Python program."""

    REST = "rest"
    GRPC = "grpc"


def client_code(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]", help="A model, a version such as churn@3, or churn@champion."
        ),
    ],
    language: Annotated[
        Language, typer.Option("--language", help="What the program is written in.")
    ] = Language.PYTHON,
    transport: Annotated[
        Transport, typer.Option("--transport", help="What carries the predictions; Python only.")
    ] = Transport.REST,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", dir_okay=False, help="Write the program to a file."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Prints a program that asks a deployed model about its example row.

    The row is one of the training data where the version has one, else made up from the signature.
    The program takes the key, where one is asked for, from AUGURIUM_KEY.
    """
    from augurium.cli.client_code_call import example_call
    from augurium.client import Client

    if transport is Transport.GRPC and language is not Language.PYTHON:
        raise typer.BadParameter(f"--transport grpc is for python; {language} speaks rest")
    model = reference(name)
    with Client() as client:
        document = client.openapi(model.name, version=model.version, alias=model.alias)
        call = example_call(model, document, client.url, client.rest_url)
    code = _written(language, transport, call)
    if output is not None:
        _save(output, code)
    if json:
        print_json({"language": language, "code": code})
    elif output is not None:
        remark(f"The program is in {output}.")
    else:
        typer.echo(code, nl=False)


def _written(language: Language, transport: Transport, call: "ExampleCall") -> str:
    # here, not above: one command needs one of them
    from augurium.cli import (
        client_code_curl,
        client_code_go,
        client_code_javascript,
        client_code_python,
    )

    match language:
        case Language.PYTHON:
            return client_code_python.program(call, transport)
        case Language.CURL:
            return client_code_curl.program(call)
        case Language.JAVASCRIPT:
            return client_code_javascript.program(call)
        case Language.GO:
            return client_code_go.program(call)


def _save(file: Path, code: str) -> None:
    try:
        file.write_text(code, "utf-8")
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be written: {error.strerror or error}") from error
