"""XGBoost models: candidates for ONNX, treelite and XGBoost itself, and what XGBoost answers.

Imports xgboost, therefore used in child processes only.
"""

import json
from pathlib import Path
from typing import Any

import xgboost

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array
from augurium.importing import tree_reference
from augurium.importing.attempts import Attempts
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.table import Table
from augurium.importing.xgboost_file import XgboostFile
from augurium.importing.xgboost_rules import (
    BINARY,
    CLASSIFIERS,
    read_supported,
    unsupported_in_onnx,
    unsupported_in_treelite,
    wrong_in_onnx,
)
from augurium.runtimes import tree_answers
from augurium.runtimes.tree_answers import Meaning

NATIVE_FILE = "model.ubj"
JSON_FILE = "model.json"
NO_CATEGORIES: dict[str, list[Any]] = {"enc": [], "feature_segments": [], "sorted_idx": []}


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts a saved model, UBJSON or JSON. Raises as `import_content` does."""
    return import_content(file.read_bytes(), table, engines)


def import_content(content: bytes, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts the content of a saved model. Blocking.

    Raises Unprocessable for damage and for objectives that are not known, InvalidArgument for a
    table that does not fit.
    """
    found = read_supported(content)
    names = tree_reference.feature_names(found.feature_names, found.num_feature, table)
    levels = {feature: range(count) for feature, count in found.levels.items()}
    inputs = tree_reference.matrix(names, found.thresholds, levels, table)
    booster = _anonymous(_used_part(_loaded(content), found), found)
    meaning = meaning_of(found)
    outputs = meaning.answers(_native_answers(booster, inputs))
    attempts = Attempts(engines)
    _make_candidates(attempts, booster, found, meaning)
    return Conversion(
        framework="xgboost",
        framework_version=xgboost.__version__,
        candidates=attempts.candidates,
        tried=attempts.tried,
        signature=tree_reference.signature(names, outputs),
        inputs={tree_reference.INPUT: inputs},
        outputs=outputs,
        uncertain=tree_reference.ties(meaning, outputs),
        versions={"xgboost": xgboost.__version__, **attempts.versions},
        notes=_notes(found, names, booster),
    )


def write_native(source: Path, target: Path) -> dict[str, str]:
    """Writes what XGBoost itself would serve of a saved model; the options of its runtime.

    Raises Unprocessable for damage.
    """
    content = source.read_bytes()
    found = read_supported(content)
    booster = _anonymous(_used_part(_loaded(content), found), found)
    booster.save_model(target)
    return meaning_of(found).options()


def meaning_of(found: XgboostFile) -> Meaning:
    """What the model's raw numbers are, by its objective."""
    if found.objective == BINARY:
        several = found.num_target > 1
        return Meaning(tree_answers.MULTILABEL if several else tree_answers.BINARY)
    if found.objective in CLASSIFIERS:
        return Meaning(tree_answers.MULTICLASS)
    return Meaning(tree_answers.NUMBERS)


def _loaded(content: bytes) -> Any:
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise Unprocessable(
            f"XGBoost {xgboost.__version__} cannot load the model: {str(error).splitlines()[0]}; "
            "save it again with save_model"
        ) from error
    return booster


def _used_part(booster: Any, found: XgboostFile) -> Any:
    """The trees up to the best iteration after early stopping, as in XGBoost's own wrappers."""
    best = booster.attr("best_iteration")
    if best is None or found.booster == "gblinear":
        return booster
    return booster[: int(best) + 1]


def _anonymous(booster: Any, found: XgboostFile) -> Any:
    """Without names, which stand in the signature, and with probabilities instead of classes."""
    booster.feature_names = None
    booster.set_attr(scikit_learn=None)
    if found.objective == "multi:softmax":
        # the two differ in what they answer, a class or probabilities, not in what they learned
        booster.set_param({"objective": "multi:softprob", "num_class": found.num_class})
    return booster


def _native_answers(booster: Any, inputs: Array) -> Array:
    rows = xgboost.DMatrix(
        inputs, feature_types=booster.feature_types, enable_categorical=True, nthread=1
    )
    raw: Array = booster.predict(rows, validate_features=False)
    return raw


def _make_candidates(
    attempts: Attempts, booster: Any, found: XgboostFile, meaning: Meaning
) -> None:
    wrong, unsupported = wrong_in_onnx(found), unsupported_in_onnx(found)
    if wrong:
        attempts.refuse("onnx", f"{wrong}, and the converted model would be silently wrong")
    elif unsupported:
        attempts.skip("onnx", unsupported)
    else:
        # each engine imports what it needs: converters take long, and may be missing
        attempts.make("onnx", lambda: _onnx(attempts, booster, found))
    unsupported = unsupported_in_treelite(found)
    if unsupported:
        attempts.skip("treelite", unsupported)
    else:
        attempts.make("treelite", lambda: _treelite(attempts, booster, found, meaning))
    attempts.make("xgboost", lambda: _native(booster, meaning))


def _onnx(attempts: Attempts, booster: Any, found: XgboostFile) -> Candidate:
    from augurium.importing import xgboost_graph

    attempts.versions.update(xgboost_graph.versions())
    return xgboost_graph.write(booster, found)


def _treelite(attempts: Attempts, booster: Any, found: XgboostFile, meaning: Meaning) -> Candidate:
    from augurium.importing import treelite_model

    attempts.versions.update(treelite_model.version())
    if not found.has_categories:
        booster.save_model(NATIVE_FILE)
        return treelite_model.write(treelite_model.from_xgboost(Path(NATIVE_FILE)), meaning)
    # Treelite refuses the values of categories, which are of no use for rows of codes
    document = json.loads(bytes(booster.save_raw("json")))
    gradient_booster = document["learner"]["gradient_booster"]
    gradient_booster.get("gbtree", gradient_booster)["model"]["cats"] = NO_CATEGORIES
    Path(JSON_FILE).write_text(json.dumps(document))
    return treelite_model.write(treelite_model.from_xgboost(Path(JSON_FILE)), meaning)


def _native(booster: Any, meaning: Meaning) -> Candidate:
    booster.save_model(NATIVE_FILE)
    return Candidate(runtime="xgboost", file=NATIVE_FILE, options=meaning.options())


def _notes(found: XgboostFile, names: list[str], booster: Any) -> tuple[str, ...]:
    notes = []
    if found.levels:
        coded = [names[feature] for feature in sorted(found.levels)]
        notes.append(f"send categories as their codes (0, 1, ...) in {', '.join(coded)}")
    if booster.attr("best_iteration") is not None and found.booster != "gblinear":
        notes.append(
            f"trees up to the best iteration are used: {booster.num_boosted_rounds()} rounds"
        )
    return tuple(notes)
