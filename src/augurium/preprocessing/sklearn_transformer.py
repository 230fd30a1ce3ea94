"""A preprocessing out of a fitted transformer of scikit-learn: ColumnTransformer, Pipeline, or one
of the transformers in `sklearn_steps.py`.

scikit-learn itself is not imported: the fitted attributes say everything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program
from augurium.preprocessing.sklearn_steps import CONVERTERS, Converted, is_text_learner, unknown


def fitted_from_sklearn(
    transformer: Any, columns: Sequence[str] = (), text: Sequence[str] = ()
) -> f.FittedPreprocessing:
    """The same transforms as a fitted preprocessing.

    `columns` names the raw columns where the transformer was fitted without names; `text` names
    columns of text that no encoder gives away. Raises Unprocessable for transformers that are not
    known, InvalidArgument for one that is not fitted.
    """
    names = _raw_names(transformer, columns)
    walk = _Walk()
    outputs = walk.through(transformer, names, "")
    for name in text:
        if name not in names:
            raise InvalidArgument(f"the text column '{name}' is not one of {list(names)[:16]}")
    kinds = dict.fromkeys(names, False) | dict.fromkeys(text, True)
    kinds |= {walk.origins.get(name, name): True for name in walk.texts}
    used = [name for name in names if name in walk.read]
    inputs = tuple(_raw_column(name, kinds[name], walk) for name in used)
    steps = (*walk.steps, f.Kept(tuple(outputs)))
    found = f.FittedPreprocessing(
        inputs=inputs,
        steps=steps,
        outputs=tuple(outputs),
        source=f"scikit-learn {type(transformer).__name__}",
        notes=tuple(walk.notes),
    ).sealed()
    program.check(found)
    return found


class _Walk:
    """Collects steps on the way through nested transformers. `origins` tells which raw column a
    copy was made from, `first` which transformers read a raw column first.
    """

    def __init__(self) -> None:
        self.steps: list[f.AnyStep] = []
        self.notes: list[str] = []
        self.origins: dict[str, str] = {}
        self.texts: set[str] = set()
        self.read: set[str] = set()
        self.closed: dict[str, tuple[str, ...]] = {}
        self.refuses_missing: set[str] = set()
        self._touched: set[str] = set()

    def through(self, transformer: Any, names: Sequence[str], prefix: str) -> list[str]:
        """Adds the steps of a transformer on these columns; returns the columns it gives."""
        kind = type(transformer).__name__
        if transformer == "passthrough" or transformer is None:
            self.read.update(self.origins.get(name, name) for name in names)
            return list(names)
        if hasattr(transformer, "transformers"):
            return self._branches(transformer, names, prefix)
        if hasattr(transformer, "steps"):
            found = list(names)
            for _, part in transformer.steps:
                found = self.through(part, found, prefix)
            return found
        if kind not in CONVERTERS:
            raise unknown(transformer)
        return self._single(transformer, names)

    def _branches(self, transformer: Any, names: Sequence[str], prefix: str) -> list[str]:
        if not hasattr(transformer, "transformers_"):
            raise InvalidArgument("the ColumnTransformer is not fitted; call fit first")
        found: list[str] = []
        for branch, part, chosen in transformer.transformers_:
            if part == "drop":
                continue
            own = []
            for name in _chosen(chosen, names):
                copy = f"{prefix}{branch}__{name}"
                self.steps.append(f.Copied(name, copy))
                self.origins[copy] = self.origins.get(name, name)
                own.append(copy)
            found += self.through(part, own, prefix)
        return found

    def _single(self, transformer: Any, names: Sequence[str]) -> list[str]:
        try:
            converted: Converted = CONVERTERS[type(transformer).__name__](transformer, names)
        except AttributeError as error:
            raise InvalidArgument(
                f"the {type(transformer).__name__} is not fitted, or of a release of scikit-learn"
                f" that is not known ({error}); call fit first"
            ) from error
        for name in names:
            raw = self.origins.get(name, name)
            self.read.add(raw)
            first = name not in self._touched
            if is_text_learner(transformer, list(names).index(name)):
                self.texts.add(name)
            if first and name in converted.closed:
                self.closed[raw] = converted.closed[name]
            elif name in converted.closed:
                self.notes.append(f"unseen categories of '{raw}' are answered, not refused")
            if first and name in converted.refuses_missing:
                self.refuses_missing.add(raw)
        self.steps += converted.steps
        self._touched.update(names)
        return converted.outputs


def _raw_names(transformer: Any, columns: Sequence[str]) -> tuple[str, ...]:
    known = getattr(transformer, "feature_names_in_", None)
    count = getattr(transformer, "n_features_in_", None)
    if count is None:
        raise InvalidArgument(
            f"the {type(transformer).__name__} is not fitted, so there is nothing to take over;"
            " call fit first"
        )
    if columns and len(columns) != count:
        raise InvalidArgument(
            f"{len(columns)} columns are named, but the transformer takes {count}; name all of them"
        )
    names = columns or (known if known is not None else [f"x{i}" for i in range(count)])
    return tuple(map(str, names))


def _raw_column(name: str, is_text: bool, walk: _Walk) -> f.RawColumn:
    categories = walk.closed.get(name, ())
    if categories and not is_text:
        walk.notes.append(f"unseen categories of '{name}' are answered, not refused")
        categories = ()
    return f.RawColumn(
        name,
        "text" if is_text else "number",
        nullable=name not in walk.refuses_missing,
        categories=categories,
    )


def _chosen(chosen: Any, names: Sequence[str]) -> list[str]:
    """The columns of a branch: names, places, a slice or a mask."""
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            start = 0 if chosen.start is None else names.index(chosen.start)
            stop = len(names) if chosen.stop is None else names.index(chosen.stop) + 1
            return list(names[start:stop])
        return list(names[chosen])
    found = np.atleast_1d(np.asarray(chosen))
    if found.dtype == np.bool_:
        return [name for name, wanted in zip(names, found, strict=True) if wanted]
    return [str(entry) if isinstance(entry, str) else names[entry] for entry in found.tolist()]
