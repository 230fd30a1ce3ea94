"""Whether one version can answer in place of another."""

from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec


def difference(asked: Signature, instead: Signature) -> str:
    """Why requests for one signature cannot be answered by another, empty where they can.

    Inputs must be the same, and what may be left out or missing of the first must be of the second;
    outputs must have the same names, datatypes and shapes in the same order.
    """
    # a stream is of one request, whose tensors a model of rows may take as well
    if asked.batched != instead.batched and not asked.streamed:
        return "one takes rows and the other whole tensors"
    if instead.streamed and not asked.streamed:
        return "one gives a single answer and the other a stream of them"
    names = [[spec.name for spec in one.inputs] for one in (asked, instead)]
    if sorted(names[0]) != sorted(names[1]):
        return f"the inputs are {_list(names[0])} and {_list(names[1])}"
    for spec in asked.inputs:
        other = instead.input_by_name[spec.name]
        if _form(spec) != _form(other) or spec.features != other.features:
            return f"input '{spec.name}' differs in datatype, shape or features"
        if (spec.optional and not other.optional) or (spec.nullable and not other.nullable):
            return f"input '{spec.name}' may be missing for one and not for the other"
    if [(s.name, *_form(s)) for s in asked.outputs] != [
        (s.name, *_form(s)) for s in instead.outputs
    ]:
        return f"the outputs are {_outputs(asked)} and {_outputs(instead)}"
    return ""


def _form(spec: TensorSpec) -> tuple[str, tuple[int, ...]]:
    return spec.datatype, spec.shape


def _list(names: list[str]) -> str:
    return ", ".join(f"'{name[:64]}'" for name in names)


def _outputs(signature: Signature) -> str:
    return ", ".join(f"'{s.name[:64]}' {s.datatype} {list(s.shape)}" for s in signature.outputs)
