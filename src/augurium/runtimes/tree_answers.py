"""What the raw numbers of a tree library mean: labels and probabilities, or predictions.

The runtimes of such libraries share this, and the import computes its reference with it.
"""

import json
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array

BINARY = "binary"
MULTICLASS = "multiclass"
MULTILABEL = "multilabel"
NUMBERS = "numbers"
KINDS = (BINARY, MULTICLASS, MULTILABEL, NUMBERS)
HALF = 0.5


class Meaning(msgspec.Struct, frozen=True):
    """How raw numbers become outputs, as the options `answers` and `classes` of a version say.

    `binary`: the probability of the second class; `multiclass`: a probability per class;
    `multilabel`: a probability per label, which is set above one half; `numbers`: predictions.
    `classes` are the labels in their order, texts or integers; empty where they count from 0.
    """

    kind: str
    classes: tuple[str | int, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the signature."""
        return ("prediction",) if self.kind == NUMBERS else ("label", "probabilities")

    def options(self) -> dict[str, str]:
        """The options that `meaning_of` reads."""
        classes = {"classes": json.dumps(list(self.classes))} if self.classes else {}
        return {"answers": self.kind, **classes}

    def answers(self, raw: Array) -> dict[str, Array]:
        """Outputs by name; `raw` has a row per row of input. Raises ModelFailed for lost rows."""
        if self.kind == NUMBERS:
            return {"prediction": _narrow(raw).astype(np.float32, copy=False)}
        if self.kind == BINARY:
            second = raw.reshape(len(raw)).astype(np.float32, copy=False)
            probabilities = np.stack([1 - second, second], axis=1)
            label = (second > HALF).astype(np.int64)
        else:
            probabilities = raw.reshape(len(raw), -1).astype(np.float32, copy=False)
            label = (
                (probabilities > HALF).astype(np.int64)
                if self.kind == MULTILABEL
                else probabilities.argmax(axis=1)
            )
        return {"label": self._labels(label), "probabilities": probabilities}

    def _labels(self, positions: Array) -> Array:
        if not self.classes:
            return positions
        texts = isinstance(self.classes[0], str)
        labels: Array = np.array(self.classes, np.object_ if texts else np.int64)[positions]
        return labels


def meaning_of(options: Mapping[str, str], known: Sequence[str] = ()) -> Meaning:
    """Reads the options of a version; `known` names others that the runtime takes.

    Raises InvalidArgument for options or values that are not known.
    """
    for key in options:
        if key not in ("answers", "classes", *known):
            raise InvalidArgument(f"option '{key}' is not known to this runtime")
    kind = options.get("answers", NUMBERS)
    if kind not in KINDS:
        raise InvalidArgument(f"option answers={kind} is not one of {', '.join(KINDS)}")
    try:
        classes = msgspec.json.decode(options.get("classes", "[]"), type=list[str] | None)
    except msgspec.ValidationError:
        classes = msgspec.json.decode(options["classes"], type=list[int])
    return Meaning(kind, tuple(classes or ()))


def matrix_of(inputs: Mapping[str, Array]) -> Array:
    """The one input of such a model. Raises ModelFailed if there is another number of them."""
    if len(inputs) != 1:
        raise ModelFailed(f"the model takes one matrix of features, and got {len(inputs)} inputs")
    return next(iter(inputs.values()))


def picked(answers: Mapping[str, Array], outputs: Sequence[str] | None) -> list[Array]:
    """The named outputs, or all. Raises ModelFailed for one that does not exist."""
    names = list(answers) if outputs is None else outputs
    unknown = [name for name in names if name not in answers]
    if unknown:
        raise ModelFailed(f"output '{unknown[0]}' does not exist; expected {', '.join(answers)}")
    return [answers[name] for name in names]


def _narrow(raw: Array) -> Array:
    wide = raw.reshape(len(raw), -1)
    return wide[:, 0] if wide.shape[1] == 1 else wide
