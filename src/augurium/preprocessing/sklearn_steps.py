"""The steps of single transformers of scikit-learn, from their fitted attributes."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import Unprocessable
from augurium.preprocessing import fitted as f
from augurium.preprocessing.learning import level_name

FUNCTIONS = {"log1p": True, "log": False}


class Converted(msgspec.Struct):
    """The steps of a transformer and the columns it gives.

    `closed` are the categories of columns that refuse others, `refuses_missing` columns that
    refuse missing values.
    """

    steps: list[f.AnyStep]
    outputs: list[str]
    closed: dict[str, tuple[str, ...]] = {}
    refuses_missing: set[str] = set()


def unknown(transformer: Any) -> Unprocessable:
    """The error for a transformer that cannot be taken over."""
    return Unprocessable(
        f"the {type(transformer).__name__} cannot be taken over as a preprocessing; known are"
        f" {', '.join(sorted(CONVERTERS))}, ColumnTransformer and Pipeline of them. Declare the"
        " transform instead, or register the whole pipeline as a scikit-learn model"
    )


def is_text_learner(transformer: Any, place: int) -> bool:
    """Whether a transformer was fitted on text in its column at `place`."""
    if hasattr(transformer, "categories_") and len(transformer.categories_) > place:
        return any(isinstance(level, str) for level in transformer.categories_[place].tolist())
    statistics = getattr(transformer, "statistics_", None)
    return statistics is not None and isinstance(statistics.tolist()[place], str)


def _imputer(transformer: Any, names: Sequence[str]) -> Converted:
    marker = transformer.missing_values
    if not (marker is None or marker != marker or str(marker) == "<NA>"):
        raise Unprocessable(
            f"the SimpleImputer replaces {marker!r}; only missing values (NaN, None) can be"
        )
    steps: list[f.AnyStep] = []
    outputs: list[str] = []
    flags: list[str] = []
    indicated = set(transformer.indicator_.features_.tolist()) if transformer.add_indicator else ()
    for place, (name, value) in enumerate(
        zip(names, transformer.statistics_.tolist(), strict=True)
    ):
        if place in indicated:
            flags.append(f"{name}_missing")
            steps.append(f.Indicate(name, flags[-1]))
        if value is None or value != value:
            raise Unprocessable(
                f"the SimpleImputer saw no value of '{name}' and leaves it out; drop the column"
            )
        steps.append(f.Fill(name, value if isinstance(value, str) else float(value)))
        outputs.append(name)
    return Converted(steps, outputs + flags)


def _scaler(transformer: Any, names: Sequence[str]) -> Converted:
    """StandardScaler, RobustScaler, MaxAbsScaler."""
    subtract = getattr(transformer, "mean_", getattr(transformer, "center_", None))
    if not getattr(transformer, "with_mean", True):
        subtract = None
    return _affine(names, subtract, transformer.scale_)


def _affine(names: Sequence[str], subtract: Any, divide: Any) -> Converted:
    less = [0.0] * len(names) if subtract is None else subtract.tolist()
    by = [1.0] * len(names) if divide is None else divide.tolist()
    steps = [f.Scale(n, float(s), float(d)) for n, s, d in zip(names, less, by, strict=True)]
    return Converted(list(steps), list(names))


def _min_max(transformer: Any, names: Sequence[str]) -> Converted:
    divide = 1.0 / transformer.scale_
    found = _affine(names, -transformer.min_ * divide, divide)
    if transformer.clip:
        low, high = transformer.feature_range
        found.steps += [f.Limit(name, float(low), float(high)) for name in names]
    return found


def _power(transformer: Any, names: Sequence[str]) -> Converted:
    kind = f.YeoJohnson if transformer.method == "yeo-johnson" else f.BoxCox
    exponents = transformer.lambdas_.tolist()
    steps: list[f.AnyStep] = [
        kind(name, float(exponent)) for name, exponent in zip(names, exponents, strict=True)
    ]
    if transformer.standardize:
        scaler = transformer._scaler
        steps += _affine(names, scaler.mean_, scaler.scale_).steps
    return Converted(steps, list(names))


def _function(transformer: Any, names: Sequence[str]) -> Converted:
    if transformer.func is None:
        return Converted([], list(names))
    name = getattr(transformer.func, "__name__", "")
    if not isinstance(transformer.func, np.ufunc) or name not in FUNCTIONS or transformer.kw_args:
        raise Unprocessable(
            f"the FunctionTransformer calls {name or transformer.func!r}, which is code; only"
            " numpy.log1p and numpy.log can be taken over"
        )
    return Converted([f.Logarithm(column, FUNCTIONS[name]) for column in names], list(names))


def _bins(transformer: Any, names: Sequence[str]) -> Converted:
    steps: list[f.AnyStep] = []
    outputs: list[str] = []
    for name, edges in zip(names, transformer.bin_edges_, strict=True):
        steps.append(f.Buckets(name, tuple(map(float, edges[1:-1]))))
        if transformer.encode == "ordinal":
            outputs.append(name)
            continue
        levels = tuple(map(float, range(len(edges) - 1)))
        made = tuple(f"{name}_{level_name(level)}" for level in levels)
        steps.append(f.OneHotLevels(name, levels, tuple(range(len(levels))), made))
        outputs += made
    return Converted(steps, outputs, refuses_missing=set(names))


def _one_hot(transformer: Any, names: Sequence[str]) -> Converted:
    found = Converted([], [], {}, set())
    for place, name in enumerate(names):
        step = _one_hot_column(transformer, place, name)
        found.steps.append(step)
        found.outputs += step.outputs
        _note_closed(found, transformer, name, transformer.categories_[place].tolist())
    return found


def _one_hot_column(transformer: Any, place: int, name: str) -> f.OneHotLevels:
    categories = transformer.categories_[place].tolist()
    rare = _rare_categories(transformer, place)
    dropped = None if transformer.drop_idx_ is None else transformer.drop_idx_[place]
    if rare and dropped is not None:
        raise Unprocessable(
            f"the OneHotEncoder of '{name}' drops a category and joins infrequent ones; take one of"
            " both"
        )
    outputs: list[str] = []
    targets: list[int | None] = []
    for number, category in enumerate(categories):
        if number == dropped or category in rare:
            targets.append(None)
        else:
            targets.append(len(outputs))
            outputs.append(f"{name}_{level_name(_level(category, name))}")
    others = len(outputs) if rare else None
    if rare:
        targets = [others if target is None else target for target in targets]
        outputs.append(f"{name}_infrequent_sklearn")
    missing = next((i for i, c in enumerate(categories) if _is_missing(c)), None)
    unseen = others if transformer.handle_unknown in ("infrequent_if_exist", "warn") else None
    known = [i for i in range(len(categories)) if i != missing]
    return f.OneHotLevels(
        name,
        tuple(_level(categories[i], name) for i in known),
        tuple(targets[i] for i in known),
        tuple(outputs),
        unseen,
        unseen if missing is None else targets[missing],
    )


def _rare_categories(transformer: Any, place: int) -> list[Any]:
    if not getattr(transformer, "_infrequent_enabled", False):
        return []
    found = transformer.infrequent_categories_[place]
    return [] if found is None else found.tolist()


def _ordinal(transformer: Any, names: Sequence[str]) -> Converted:
    found = Converted([], list(names), {}, set())
    if getattr(transformer, "_infrequent_enabled", False):
        raise Unprocessable("the OrdinalEncoder joins infrequent categories; fit it without that")
    for place, name in enumerate(names):
        categories = transformer.categories_[place].tolist()
        known = [(i, c) for i, c in enumerate(categories) if not _is_missing(c)]
        is_open = transformer.handle_unknown == "use_encoded_value"
        unseen = f.stored(float(transformer.unknown_value)) if is_open else None
        has_missing = len(known) < len(categories)
        missing = f.stored(float(transformer.encoded_missing_value)) if has_missing else unseen
        levels = tuple(_level(category, name) for _, category in known)
        places = tuple(float(i) for i, _ in known)
        found.steps.append(f.Lookup(name, levels, places, unseen, missing))
        _note_closed(found, transformer, name, categories)
    return found


def _target(transformer: Any, names: Sequence[str]) -> Converted:
    if transformer.target_type_ == "multiclass":
        raise Unprocessable(
            "the TargetEncoder was fitted on several classes; two can be taken over"
        )
    steps: list[f.AnyStep] = []
    mean = float(transformer.target_mean_)
    for place, name in enumerate(names):
        categories = transformer.categories_[place].tolist()
        values = transformer.encodings_[place].tolist()
        pairs = list(zip(categories, values, strict=True))
        levels = tuple(_level(category, name) for category, _ in pairs if not _is_missing(category))
        known = tuple(float(value) for category, value in pairs if not _is_missing(category))
        missing = next((float(v) for category, v in pairs if _is_missing(category)), mean)
        steps.append(f.Lookup(name, levels, known, mean, missing))
    return Converted(steps, list(names))


def _note_closed(found: Converted, transformer: Any, name: str, categories: list[Any]) -> None:
    """Encoders that refuse what they have not seen, missing values with them."""
    if transformer.handle_unknown == "error":
        found.closed[name] = tuple(str(c) for c in categories if not _is_missing(c))
        if not any(map(_is_missing, categories)):
            found.refuses_missing.add(name)


def _level(category: Any, name: str) -> f.Level:
    if isinstance(category, str):
        return category
    try:
        return float(np.float32(category))
    except (TypeError, ValueError) as error:
        raise Unprocessable(
            f"column '{name}' has the category {category!r}; expected texts or numbers"
        ) from error


def _is_missing(category: Any) -> bool:
    return category is None or category != category


CONVERTERS: dict[str, Callable[[Any, Sequence[str]], Converted]] = {
    "FunctionTransformer": _function,
    "KBinsDiscretizer": _bins,
    "MaxAbsScaler": _scaler,
    "MinMaxScaler": _min_max,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "PowerTransformer": _power,
    "RobustScaler": _scaler,
    "SimpleImputer": _imputer,
    "StandardScaler": _scaler,
    "TargetEncoder": _target,
}
