"""`augurium batch run`: rows of files scored into files."""

from typing import TYPE_CHECKING, Annotated

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.batch_flags import Inputs, Model, Output, checked, takes_job
from augurium.cli.batch_watch import see_through
from augurium.cli.output import print_json, remark, spinner

if TYPE_CHECKING:
    from augurium.client.batch_spec import BatchOptions


@takes_job
def run(
    model: Model,
    inputs: Inputs,
    output: Output,
    options: "BatchOptions",
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and leave it to the server.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Scores the rows of files with a model and writes the answers beside what is kept of them.

    The server does it; paths are those that it sees. The job goes on when this command is ended.
    """
    from augurium.client import Client

    spec = checked(model, inputs, output, options)
    with Client() as client:
        with spinner("looking at the input", shown=not json):
            job = client.submit_batch(spec)
        if not detach:
            see_through(job, json)
        elif json:
            print_json(job.job)
        else:
            typer.echo(job.id)
            remark(f"queued; see it with `augurium batch watch {job.id}`")
