"""`augurium serving`: how a model is served."""

from pathlib import Path
from typing import Annotated, Any

import typer

from augurium.cli.arguments import JsonFlag
from augurium.cli.output import print_fields, print_json
from augurium.cli.serving_policy import (
    NO_STEPS,
    Isolation,
    changed,
    fallback_steps,
    policy_of_file,
    replica_bounds,
    shown,
)


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
            help="Share a process with others of the framework, have one alone, or as the framework"
            " is by itself.",
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
    replicas: Annotated[
        str | None,
        typer.Option(
            metavar="N|LEAST-MOST",
            help="Runners of a version whose engine is not ONNX: a number, or between which the"
            " load decides, such as 1-4; 0-4 lets them go while nobody asks.",
        ),
    ] = None,
    target_cpu_utilization: Annotated[
        float | None,
        typer.Option(
            metavar="CORES", min=0, help="CPU time per second that one replica shall have; 0: none."
        ),
    ] = None,
    target_requests_per_s: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Requests per second of one replica; 0: none."),
    ] = None,
    target_in_flight: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Unanswered requests of one replica; 0: none."),
    ] = None,
    target_queue_delay_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS", min=0, help="Mean time in the queues above which more start; 0: none."
        ),
    ] = None,
    up_window: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long everything must have asked for more replicas."
        ),
    ] = None,
    down_window: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long everything must have asked for fewer."
        ),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long nobody asks before the last replica goes."
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Times with another minimum or maximum of replicas, such as 'weekdays 08:00-18:00"
            " min 2'; none takes all away.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", help="Where its versions run: cpu, cuda, or cuda:0 and so on."
        ),
    ] = None,
    device_memory: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES", min=0, help="Device memory of one version, at most; 0 for no limit."
        ),
    ] = None,
    compile_: Annotated[
        str | None,
        typer.Option(
            "--compile",
            metavar="HOW",
            help="How a model on a device is compiled: off, graphs, inductor, inductor_graphs.",
        ),
    ] = None,
    slo_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS", min=0, help="How long an answer may take; longer ones are counted."
        ),
    ] = None,
    log_sample: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Share of the requests that are recorded with inputs and outputs.",
        ),
    ] = None,
    log_redact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An input, feature or output whose values are never recorded; * for all, none"
            " takes all names away.",
        ),
    ] = None,
    log_exposures: Annotated[
        bool | None,
        typer.Option(
            "--log-exposures/--no-log-exposures",
            help="Record every request, the others without inputs and outputs.",
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
        "replicas": {
            **replica_bounds(replicas),
            "target_cpu_utilization": target_cpu_utilization,
            "target_requests_per_s": target_requests_per_s,
            "target_in_flight": target_in_flight,
            "target_queue_delay_ms": target_queue_delay_ms,
            "up_window_s": up_window,
            "down_window_s": down_window,
            "idle_s": idle,
            "schedules": [] if schedule == [NO_STEPS] else schedule,
        },
        "log": {
            "sample": log_sample,
            "redact": [] if log_redact == [NO_STEPS] else log_redact,
            "exposures": log_exposures,
        },
        "device": {"name": device, "memory_bytes": device_memory, "compile": compile_},
        "slo": {"latency_ms": slo_ms},
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
