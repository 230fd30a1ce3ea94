"""Whether a device can be meant: the versions that would go there run in something that can."""

from augurium.core.device_policy import CPU, refusal
from augurium.core.errors import InvalidArgument
from augurium.core.serving_policy import ServingPolicy
from augurium.registry.registry import Registry


def check_device(registry: Registry, name: str, policy: ServingPolicy) -> None:
    """Blocking. Raises NotFound, and InvalidArgument for what a version cannot do."""
    model = registry.model(name)
    if policy.device == CPU:
        return
    numbers = model.deployed_versions or ((model.latest_version,) if model.latest_version else ())
    for number in numbers:
        why = refusal(policy.device, registry.version(name, number).runtime)
        if why:
            raise InvalidArgument(f"version {number} of '{name}': {why}")
