"""The traffic policies of an engine's models, compiled."""

from typing import NamedTuple

from augurium.core.signature import Signature
from augurium.serving.snapshot import DesiredModel
from augurium.traffic.compiled_policy import CompiledPolicy


class _Known(NamedTuple):
    model: DesiredModel
    policy: CompiledPolicy


class TrafficPolicies:
    """Compiles each policy once; a model that is still as it was has the same one."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def of(self, model: DesiredModel) -> CompiledPolicy | None:
        """What chooses for the requests of a model, None where its default answers them."""
        known = self._known.get(model.name)
        if known is not None and known.model is model:
            return known.policy
        policy = _compiled(model)
        if policy is None:
            self._known.pop(model.name, None)
        else:
            self._known[model.name] = _Known(model, policy)
        return policy


def _compiled(model: DesiredModel) -> CompiledPolicy | None:
    revision = model.traffic
    policy = revision.policy if revision is not None else None
    if revision is None or policy is None or not (policy.split or policy.rules):
        return None
    signature = _signature(model)
    if signature is None:
        return None
    return CompiledPolicy(model.name, policy, revision.slots, signature)


def _signature(model: DesiredModel) -> Signature | None:
    """That of the default version, or of any other: they take the same inputs."""
    by_number = {version.version: version.signature for version in model.versions}
    if model.default_version in by_number:
        return by_number[model.default_version]
    return next(iter(by_number.values()), None)
