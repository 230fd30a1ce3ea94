"""Whether a placement can be meant: its CPUs are a list, and nobody shares a process with code."""

from augurium.core.cpu_list import cpus_of
from augurium.core.errors import InvalidArgument
from augurium.core.serving_policy import ServingPolicy
from augurium.registry.registry import Registry
from augurium.serving.placement import runs_code


def check_placement(registry: Registry, name: str, policy: ServingPolicy) -> None:
    """Blocking. Raises InvalidArgument, and NotFound for a model that is none."""
    placement = policy.placement
    cpus_of(placement.cpus)
    if placement.isolation != "shared":
        return
    if policy.replicas.most > 1:
        raise InvalidArgument(
            f"'{name}' may have {policy.replicas.most} runners, which it shares with nobody;"
            " expected isolation 'dedicated', or none at all, or one replica"
        )
    for version in registry.versions(name):
        if runs_code(version.runtime, version.options):
            raise InvalidArgument(
                f"'{name}@{version.version}' runs code of its file (runtime '{version.runtime}')"
                " and may not share a process with other models; expected isolation 'dedicated', or"
                " none at all"
            )
