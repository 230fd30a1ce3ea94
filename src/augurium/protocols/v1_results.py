"""Which outputs of a model are classes or values, and what they say."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from augurium.core.errors import InvalidArgument
from augurium.core.inference import InferenceResponse
from augurium.core.signature import Signature
from augurium.core.tensors import FLOATS, TensorSpec

SCORES = ("probabilities", "scores")
LABELS = ("label", "labels", "classes")


class Reader(Protocol):
    """Reads the outputs it asks for."""

    @property
    def outputs(self) -> tuple[str, ...]: ...

    def results(self, response: InferenceResponse) -> Iterator[Any]:
        """One result per row."""
        ...


Results = Callable[[str, Signature], Reader]


class Values(NamedTuple):
    """A value per row."""

    outputs: tuple[str]

    def results(self, response: InferenceResponse) -> Iterator[float]:
        yield from response.answer.array(response.indices[0]).ravel().tolist()


class Classes(NamedTuple):
    """Labels and scores per row, in the model's order of classes.

    `scores` and `labels` are outputs, one of them may be missing. Labels are a text for each class,
    or the one of the class with the highest score; none are asked for where the signature names the
    classes (`names`). Where nothing names a class, its label is empty, or its number if the model
    has no labels at all.
    """

    scores: str | None
    labels: str | None
    names: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(name for name in (self.scores, self.labels) if name)

    def results(self, response: InferenceResponse) -> Iterator[list[list[Any]]]:
        found = [response.answer.array(index).tolist() for index in response.indices]
        if self.scores is None:
            yield from ([[_text(one), 0.0] for one in _listed(labels)] for labels in found[0])
            return
        labels = found[1] if self.labels else [None] * len(found[0])
        for scores, said in zip(found[0], labels, strict=True):
            names = self.names or _names(scores, said)
            yield [[name, score] for name, score in zip(names, scores, strict=True)]


def values_of(model: str, signature: Signature) -> Values:
    """Raises InvalidArgument unless the model has exactly one output of a number per row."""
    fit = [spec for spec in _per_row(signature) if _is_value(spec) and spec.datatype in FLOATS]
    if len(fit) != 1:
        raise InvalidArgument(
            f"model '{model}' has {len(fit)} outputs of one number per row, and regress needs"
            f" exactly one; its outputs are {_shown(signature)}: use :predict"
        )
    return Values((fit[0].name,))


def classes_of(model: str, signature: Signature) -> Classes:
    """Raises InvalidArgument for a model without scores per class and without labels."""
    outputs = _per_row(signature)
    scores = _the_one(
        [spec for spec in outputs if len(spec.shape) == 2 and spec.datatype in FLOATS], SCORES
    )
    if scores is not None and len(scores.labels) == scores.shape[1]:
        return Classes(scores.name, None, scores.labels)
    texts = [spec for spec in outputs if spec.datatype == "BYTES" and len(spec.shape) <= 2]
    numbers = [
        spec
        for spec in outputs
        if spec.name in LABELS and _is_value(spec) and spec.datatype not in FLOATS
    ]
    labels = _the_one(texts or numbers, LABELS)
    if scores is None and (labels is None or not texts):
        raise InvalidArgument(
            f"model '{model}' has no output of scores per class and none of labels, and classify"
            f" needs one; its outputs are {_shown(signature)}: use :predict"
        )
    return Classes(scores.name if scores else None, labels.name if labels else None)


def _names(scores: list[float], said: Any) -> list[str]:
    """The label of each class, given what a row's labels say."""
    numbers = [str(number) for number in range(len(scores))]
    if said is None:
        return numbers
    labels = _listed(said)
    if len(labels) == len(scores):
        return [_text(label) for label in labels]
    best = max(range(len(scores)), key=scores.__getitem__, default=0)
    if not scores or labels == [best]:
        return numbers
    names = [""] * len(scores)
    names[best] = _text(labels[0]) if labels else ""
    return names


def _the_one(specs: list[TensorSpec], names: tuple[str, ...]) -> TensorSpec | None:
    """The output with one of the names, or the only one."""
    named = [spec for name in names for spec in specs if spec.name == name]
    if named:
        return named[0]
    return specs[0] if len(specs) == 1 else None


def _per_row(signature: Signature) -> list[TensorSpec]:
    return [spec for spec in signature.outputs if spec.shape[:1] == (-1,)]


def _is_value(spec: TensorSpec) -> bool:
    return spec.shape in ((-1,), (-1, 1))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(label: Any) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _shown(signature: Signature) -> str:
    return ", ".join(
        f"'{spec.name}' {spec.datatype} {list(spec.shape)}" for spec in signature.outputs[:8]
    )
