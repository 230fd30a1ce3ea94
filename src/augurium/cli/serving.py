"""`augurium serving`: how a model is served."""

from pathlib import Path
from typing import Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_fields, print_json
from augurium.cli.serving_policy import Isolation, changed, fallback_steps, policy_of_file, shown


def serving(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.")],
    cache_ttl: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long answers are remembered; 0 for not at all."
        ),
    ] = None,
    cache_stale: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long after that they are still given when the model cannot be asked.",
        ),
    ] = None,
    pin: Annotated[
        bool | None,
        typer.Option(
            "--pin/--no-pin", help="Keep it in memory, where memory is limited, whatever happens."
        ),
    ] = None,
    isolation: Annotated[
        Isolation | None,
        typer.Option(
            help="Runners: share a process with others of the framework, have one alone, or as"
            " the framework is by itself.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=1024, help="Runners: threads within one run; 0 for one."
        ),
    ] = None,
    cpus: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Runners: the CPUs they may use, such as 0-3,8; '' for all."
        ),
    ] = None,
    target_delay: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=0,
            help="Queue delay above which, when it lasts, requests are refused; 0 for never.",
        ),
    ] = None,
    max_concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Requests an engine works on, at most; 0 for no limit."
        ),
    ] = None,
    adaptive: Annotated[
        bool | None,
        typer.Option(
            "--adaptive/--no-adaptive", help="Find that limit by watching how long answers take."
        ),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="What is answered when the model cannot, in this order: model:NAME[@ALIAS],"
            " constant:FILE.json, stale:SECONDS; none takes all away.",
        ),
    ] = None,
    fallback_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=0,
            help="How long the model may take before the fallback answers; 0 for three quarters"
            " of the caller's time.",
        ),
    ] = None,
    exercise: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Share of the requests on which the fallback is tried, such as 0.01.",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="The whole policy, instead of what there is.", exists=True
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Shows how a model is served, and changes what is given, in every engine at once."""
    from augurium.client import Client

    steps = None if fallback is None else fallback_steps(fallback)
    changes: dict[str, dict[str, Any]] = {
        "cache": {"ttl_s": cache_ttl, "stale_if_error_s": cache_stale},
        "residency": {"pinned": pin},
        "placement": {"isolation": isolation, "threads": threads, "cpus": cpus},
        "overload": {
            "target_queue_delay_ms": target_delay,
            "max_concurrency": max_concurrency,
            "adaptive_concurrency": adaptive,
        },
        "fallback": {
            "steps": steps,
            "timeout_ms": fallback_timeout,
            "exercise_fraction": exercise,
        },
    }
    whole = None if policy is None else policy_of_file(policy)
    with Client() as client:
        model = client.model(name)
        wanted = changed(model.serving if whole is None else whole, changes)
        if wanted != model.serving:
            model = client.set_serving(name, wanted)
    if json:
        print_json(model.serving)
    else:
        print_fields(list(shown(model.serving)))
