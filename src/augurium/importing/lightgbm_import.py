"""LightGBM models: candidates for ONNX, treelite and LightGBM itself, and what LightGBM answers.

Imports lightgbm, therefore used in child processes only.
"""

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from augurium.core.errors import Unprocessable
from augurium.importing import tree_reference
from augurium.importing.attempts import Attempts
from augurium.importing.conversion import Candidate, Conversion
from augurium.importing.lightgbm_file import CLASSES, LightgbmFile, read_model
from augurium.importing.lightgbm_rules import wrong_in_onnx
from augurium.importing.table import Table, TableColumn
from augurium.runtimes import tree_answers
from augurium.runtimes.sklearn_answers import as_labels
from augurium.runtimes.tree_answers import Meaning

NATIVE_FILE = "model.txt"
UNNAMED = "Column_"
MAX_LEVELS_IN_NOTE = 20
# LightGBM takes what is closer to zero for zero (kZeroThreshold), which no other engine does
ZERO = np.float32(1e-35)


def import_file(file: Path, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts a model saved as text. Raises as `import_content` does."""
    return import_content(file.read_bytes(), table, engines)


def import_content(content: bytes, table: Table | None, engines: frozenset[str]) -> Conversion:
    """Converts the content of a saved model. Blocking.

    Raises Unprocessable for damage, InvalidArgument for a table that does not fit.
    """
    found = read_model(content)
    table = _with_own_names(table, found.feature_names)
    names = tree_reference.feature_names(_own_names(found), found.num_feature, table)
    booster = _loaded(found.text)
    levels = {feature: range(count) for feature, count in found.levels.items()}
    inputs = tree_reference.matrix(names, found.thresholds, levels, table)
    inputs[np.abs(inputs) <= ZERO] = 0
    meaning = meaning_of(found)
    outputs = meaning.answers(np.asarray(booster.predict(inputs.astype(np.float64), num_threads=1)))
    Path(NATIVE_FILE).write_text(found.text)
    attempts = Attempts(engines)
    _make_candidates(attempts, found, meaning)
    return Conversion(
        framework="lightgbm",
        framework_version=lightgbm.__version__,
        candidates=attempts.candidates,
        tried=attempts.tried,
        signature=tree_reference.signature(names, outputs),
        inputs={tree_reference.INPUT: inputs},
        outputs=outputs,
        uncertain=tree_reference.ties(meaning, outputs),
        versions={"lightgbm": lightgbm.__version__, **attempts.versions},
        notes=_notes(found, names),
    )


def write_native(source: Path, target: Path) -> dict[str, str]:
    """Writes what LightGBM itself would serve of a saved model; the options of its runtime.

    Raises Unprocessable for damage.
    """
    found = read_model(source.read_bytes())
    target.write_text(found.text)
    return meaning_of(found).options()


def text_of(model: Any) -> bytes:
    """A model in memory as the text this module reads, with the labels of a classifier.

    Raises Unprocessable for labels that are neither texts nor integers.
    """
    if not hasattr(model, "booster_"):
        return str(model.model_to_string()).encode()
    text = str(model.booster_.model_to_string())
    if hasattr(model, "classes_"):
        text += f"\n{CLASSES}{json.dumps(as_labels(np.asarray(model.classes_)).tolist())}\n"
    return text.encode()


def meaning_of(found: LightgbmFile) -> Meaning:
    """What the model's raw numbers are, by its objective."""
    objective = found.objective.partition(" ")[0]
    if objective == "binary":
        return Meaning(tree_answers.BINARY, found.classes)
    if objective in ("multiclass", "multiclassova"):
        return Meaning(tree_answers.MULTICLASS, found.classes)
    return Meaning(tree_answers.NUMBERS)


def _loaded(text: str) -> Any:
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise Unprocessable(
            f"LightGBM {lightgbm.__version__} cannot load the model: {error}; save it again with "
            "save_model"
        ) from error


def _own_names(found: LightgbmFile) -> list[str]:
    unnamed = [f"{UNNAMED}{index}" for index in range(found.num_feature)]
    return [] if found.feature_names == unnamed else found.feature_names


def _with_own_names(table: Table | None, names: list[str]) -> Table | None:
    """The table with the model's names: LightGBM writes blanks in them as underscores."""
    if table is None:
        return None
    written = {"_".join(column.name.split(" ")): column for column in table.columns}
    if not set(names) <= written.keys():
        return table
    return Table([TableColumn(name, written[name].values) for name in names])


def _make_candidates(attempts: Attempts, found: LightgbmFile, meaning: Meaning) -> None:
    wrong = wrong_in_onnx(found)
    if wrong:
        attempts.refuse("onnx", f"{wrong}: the converted model would be silently wrong")
    elif not found.objective:
        attempts.skip("onnx", "the converter does not know objectives of one's own")
    else:
        # each engine imports what it needs: converters take long, and may be missing
        attempts.make("onnx", lambda: _onnx(attempts, found, meaning))
    if found.has_linear_trees:
        attempts.skip("treelite", "it has no linear_tree")
    elif found.zero_is_missing:
        attempts.refuse("treelite", "zero_as_missing: its answers would be silently wrong")
    else:
        attempts.make("treelite", lambda: _treelite(attempts, meaning))
    attempts.make("lightgbm", lambda: _native(meaning))


def _onnx(attempts: Attempts, found: LightgbmFile, meaning: Meaning) -> Candidate:
    from augurium.importing import lightgbm_graph

    attempts.versions.update(lightgbm_graph.versions())
    return lightgbm_graph.write(found, meaning)


def _treelite(attempts: Attempts, meaning: Meaning) -> Candidate:
    from augurium.importing import treelite_model

    attempts.versions.update(treelite_model.version())
    return treelite_model.write(treelite_model.from_lightgbm(Path(NATIVE_FILE)), meaning)


def _native(meaning: Meaning) -> Candidate:
    return Candidate(runtime="lightgbm", file=NATIVE_FILE, options=meaning.options())


def _notes(found: LightgbmFile, names: list[str]) -> tuple[str, ...]:
    notes = []
    coded = sorted(found.levels)
    if coded:
        listed = ", ".join(names[feature] for feature in coded)
        notes.append(f"send categories as their codes (0, 1, ...) in {listed}")
    for levels in found.categories:
        if 0 < len(levels) <= MAX_LEVELS_IN_NOTE:
            codes = ", ".join(f"{level}={code}" for code, level in enumerate(levels))
            notes.append(f"codes of a categorical column: {codes}")
    if not found.objective:
        notes.append(
            "the model was trained with an objective of its own, so its answers are raw scores"
        )
    return tuple(notes)
