"""Whether a fallback can be meant: its models exist, are deployed and take the same requests, and
its constants are answers of the model.
"""

from augurium.core.compatibility import difference
from augurium.core.constant_outputs import constant_row
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument
from augurium.core.identifiers import model_ref
from augurium.core.serving_policy import ConstantStep, ModelStep, ServingPolicy, StaleStep
from augurium.core.signature import Signature
from augurium.registry.records import Model, Version
from augurium.registry.registry import Registry


def fallback_models(policy: ServingPolicy) -> list[str]:
    """The names of the models among the steps. Raises InvalidArgument for what is no name."""
    steps = policy.fallback.steps
    return [model_ref(step.model).name for step in steps if isinstance(step, ModelStep)]


def check_fallback(registry: Registry, name: str, policy: ServingPolicy) -> None:
    """Blocking. Raises NotFound, InvalidArgument, and Conflict for what is not deployed yet."""
    fallback = policy.fallback
    model = registry.model(name)
    if fallback.exercise_fraction and not fallback_models(policy):
        raise InvalidArgument(
            "exercise_fraction is how often another model is tried, and no step is one; add a step"
            ' {"kind": "model", "model": "NAME"}'
        )
    if not fallback.steps:
        return
    signatures = {version.version: version.signature for version in _own(registry, model)}
    for number, step in enumerate(fallback.steps, 1):
        try:
            if isinstance(step, ModelStep):
                _check_model(registry, model, step, signatures)
            elif isinstance(step, ConstantStep):
                _check_constant(step, signatures)
            else:
                _check_stale(step, policy, signatures)
        except AuguriumError as error:
            kind = Conflict if isinstance(error, Conflict) else InvalidArgument
            raise kind(f"fallback step {number}: {error}") from error


def _own(registry: Registry, model: Model) -> list[Version]:
    """The versions that the fallback may stand in for."""
    numbers = model.deployed_versions or ((model.latest_version,) if model.latest_version else ())
    if not numbers:
        raise Conflict(f"model '{model.name}' has no version yet; register one, then set this")
    return [registry.version(model.name, number) for number in numbers]


def _check_model(
    registry: Registry, model: Model, step: ModelStep, signatures: dict[int, Signature]
) -> None:
    ref = model_ref(step.model)
    other = registry.model(ref.name)
    number = ref.version or other.default_version
    if ref.alias is not None:
        if ref.alias not in other.aliases:
            raise InvalidArgument(f"model '{ref.name}' has no alias '{ref.alias[:128]}'")
        number = other.aliases[ref.alias]
    if number is None or number not in other.deployed_versions:
        what = f"'{ref.name}'" if number is None else f"version {number} of '{ref.name}'"
        raise Conflict(f"{what} is not deployed; deploy it first")
    same = ref.name == model.name
    if same and (number == model.default_version or signatures.keys() == {number}):
        raise InvalidArgument(
            f"'{step.model}' is what the fallback would stand in for; name another version or model"
        )
    found = registry.version(ref.name, number).signature
    for version, signature in signatures.items():
        differs = "" if same and version == number else difference(signature, found)
        if differs:
            raise InvalidArgument(
                f"'{step.model}' cannot answer in place of version {version} of '{model.name}':"
                f" {differs}"
            )


def _check_constant(step: ConstantStep, signatures: dict[int, Signature]) -> None:
    for signature in signatures.values():
        constant_row(signature, step.outputs)


def _check_stale(_step: StaleStep, policy: ServingPolicy, signatures: dict[int, Signature]) -> None:
    if any(signature.streamed for signature in signatures.values()):
        raise InvalidArgument(
            "nothing is remembered of a model that streams its answers; name another model, or a"
            " constant"
        )
    if not policy.cache.ttl_s:
        raise InvalidArgument(
            "nothing is remembered as long as the prediction cache is off; set cache.ttl_s as well"
        )
