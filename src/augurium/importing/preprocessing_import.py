"""A model behind a preprocessing: imported on the transformed columns, then one graph with it.

The framework answers for rows of transformed columns; those came from raw rows through the
reference, and the merged graph has to answer the same from the raw rows.
"""

from pathlib import Path

import msgspec
import numpy as np
import onnx

from augurium.core.errors import InvalidArgument, Unprocessable
from augurium.core.signature import Signature
from augurium.core.tensors import Array
from augurium.importing.conversion import Candidate, Conversion, Tried
from augurium.importing.converters import ImportFile
from augurium.importing.hard_rows import MAX_PLAIN_ROWS, Column, Rows, hard_rows
from augurium.importing.table import Table, TableColumn
from augurium.importing.table_sample import MAX_ROWS
from augurium.preprocessing import fitted as f
from augurium.preprocessing import program
from augurium.preprocessing.calendar import END_SECOND, FIRST_SECOND
from augurium.preprocessing.graph_inputs import graph_inputs
from augurium.preprocessing.merging import merged
from augurium.preprocessing.raw_values import as_numbers, as_seconds, as_texts, raw_columns
from augurium.runtimes.runtime import load

MERGED = "merged.onnx"
MIN_ROWS = 16
MOMENTS = (0.0, -1.0, 86399.0, 951782400.0, 4107542399.0, FIRST_SECOND, END_SECOND - 1)


def import_with_preprocessing(
    import_file: ImportFile,
    file: Path,
    fitted: f.FittedPreprocessing,
    table: Table | None,
    engines: frozenset[str],
) -> Conversion:
    """Imports the model with `import_file` and puts the preprocessing before it.

    `table` holds raw columns. Raises Unprocessable for models that take other columns than the
    preprocessing makes, and for those that ONNX Runtime cannot serve.
    """
    if "onnx" not in engines:
        raise Unprocessable(
            "a model with a preprocessing is served by ONNX Runtime; ask for the engine onnx, or"
            " register the model without preprocessing"
        )
    if table is not None:
        _check_table(fitted, table)
    raw = _raw_rows(fitted, table)
    matrix = fitted.transform(raw)[0]
    # frameworks refuse infinity, which overflowing transforms may give
    usable = ~np.isinf(matrix).any(axis=1)
    raw = {name: values[usable] for name, values in raw.items()}
    matrix = matrix[usable]
    conversion = _import_checked(import_file, file, fitted, matrix)
    name = conversion.signature.inputs[0].name
    candidate = _onnx_candidate(conversion)
    if conversion.outputs is None:  # an ONNX file is its own reference
        places = chosen = np.arange(len(matrix))
        outputs, uncertain = _answers(candidate, conversion.signature, name, matrix), {}
    else:
        places = _found(conversion.inputs[name], matrix)
        chosen = np.flatnonzero(places >= 0)
        outputs = _subset(conversion.outputs, chosen)
        uncertain = _subset(conversion.uncertain, chosen)
    if len(chosen) < MIN_ROWS:
        raise Unprocessable(
            f"only {len(chosen)} rows could be followed from raw columns to the framework's"
            " answers; send more rows of the raw training data along (data=...)"
        )
    rows = {column: values[places[chosen]] for column, values in raw.items()}
    model = merged(onnx.load(candidate.file), name, fitted)
    Path(MERGED).write_bytes(model.SerializeToString())
    return msgspec.structs.replace(
        conversion,
        candidates=(msgspec.structs.replace(candidate, file=MERGED),),
        tried=(*conversion.tried, *_left_out(engines, conversion.tried)),
        signature=msgspec.structs.replace(conversion.signature, inputs=fitted.input_specs),
        inputs=graph_inputs(fitted, rows),
        outputs=outputs,
        uncertain=uncertain,
        notes=(
            *conversion.notes,
            f"takes {len(fitted.inputs)} raw columns, {len(fitted.outputs)} inside",
        ),
    )


def _check_table(fitted: f.FittedPreprocessing, table: Table) -> None:
    """Raises InvalidArgument when the owner's own rows are none that the raw columns take."""
    try:
        raw_columns(fitted.inputs, {column.name: column.values for column in table.columns})
    except InvalidArgument as error:
        rows = max((len(column.values) for column in table.columns), default=0)
        counted = "" if rows < MAX_ROWS else f" (rows are counted in a sample of {rows})"
        raise InvalidArgument(
            f"the training data does not fit the preprocessing{counted}: {error}"
        ) from error


def _import_checked(
    import_file: ImportFile, file: Path, fitted: f.FittedPreprocessing, matrix: Array
) -> Conversion:
    """Imports the model with transformed rows as its table. Raises Unprocessable when they do not
    fit each other.
    """
    engines = frozenset({"onnx"})
    try:
        conversion = import_file(file, _as_table(fitted.outputs, matrix), engines)
    except InvalidArgument:
        # the transformed table does not fit the model; without it the model tells what would
        _check_fit(import_file(file, None, engines), fitted)
        raise
    _check_fit(conversion, fitted)
    return conversion


def _check_fit(conversion: Conversion, fitted: f.FittedPreprocessing) -> None:
    """Raises Unprocessable when the model takes other columns than the preprocessing makes."""
    signature: Signature = conversion.signature
    spec = signature.inputs[0]
    if len(signature.inputs) != 1 or spec.datatype != "FP32" or len(spec.shape) != 2:
        raise Unprocessable(
            f"the model takes {[(s.name, s.datatype) for s in signature.inputs][:8]}, but a"
            " preprocessing makes one matrix of numbers; register it without preprocessing, or"
            " train it on the transformed columns"
        )
    width = spec.shape[1]
    if width not in (-1, len(fitted.outputs)):
        raise Unprocessable(
            f"the model takes {width} features, but the preprocessing makes {len(fitted.outputs)}:"
            f" {_shown(fitted.outputs)}; fit the preprocessing that the model was trained with"
        )
    if spec.features and not _same_names(spec.features, fitted.outputs):
        pairs = enumerate(zip(spec.features, fitted.outputs, strict=True))
        place = next(number for number, (own, made) in pairs if own != made)
        raise Unprocessable(
            f"feature {place} of the model is '{spec.features[place]}', but column {place} of the"
            f" preprocessing is '{fitted.outputs[place]}'; train on the columns in the order of the"
            " preprocessing, or select them in the model's order"
        )


def _same_names(features: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
    anonymous = all(name in (f"f{i}", f"x{i}", f"Column_{i}") for i, name in enumerate(features))
    return anonymous or features == outputs


def _onnx_candidate(conversion: Conversion) -> Candidate:
    """The candidate that a preprocessing can be put before. Raises Unprocessable."""
    found = next((c for c in conversion.candidates if c.runtime == "onnx"), None)
    if found is None:
        reasons = "; ".join(f"{tried.engine}: {tried.outcome}" for tried in conversion.tried)
        raise Unprocessable(
            "a model with a preprocessing is served by ONNX Runtime, which cannot serve this one"
            f" ({reasons or 'the engine onnx was excluded'}); register it without preprocessing"
        )
    if found.weights is not None:
        raise Unprocessable(
            "a model with external weights cannot have a preprocessing; save it in one file"
        )
    return found


def _answers(
    candidate: Candidate, signature: Signature, name: str, matrix: Array
) -> dict[str, Array]:
    """What the model alone answers to the matrix."""
    model = load("onnx", Path(candidate.file), candidate.options)
    names = [spec.name for spec in signature.outputs]
    return dict(zip(names, model.run({name: matrix}, names), strict=True))


def _left_out(engines: frozenset[str], tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
    others = engines - {"onnx"} - {entry.engine for entry in tried}
    return tuple(
        Tried(engine=engine, outcome="unsupported: a preprocessing runs in ONNX Runtime")
        for engine in sorted(others)
    )


def _raw_rows(fitted: f.FittedPreprocessing, table: Table | None) -> Rows:
    """Hard rows of raw columns: what the steps know of, and the owner's own rows."""
    known = [c for c in fitted.inputs if c.type != "datetime"]
    found = hard_rows([_column(column, fitted, table) for column in known]) if known else {}
    count = min(MAX_PLAIN_ROWS, len(next(iter(found.values()))) if found else MAX_PLAIN_ROWS)
    # an even choice keeps hard rows and plain ones
    total = len(next(iter(found.values()))) if found else count
    kept = np.unique(np.linspace(0, total - 1, count).astype(np.int64))
    rows = {name: values[kept] for name, values in found.items()}
    for column in fitted.inputs:
        if column.type == "datetime":
            rows[column.name] = _moments(column, table, len(kept))
    return {column.name: rows[column.name] for column in fitted.inputs}


def _column(column: f.RawColumn, fitted: f.FittedPreprocessing, table: Table | None) -> Column:
    given = table.find(column.name) if table else None
    is_text = column.type == "text"
    values = () if given is None else _values(column, given)
    levels, landmarks = _learned(column.name, fitted)
    categories = column.categories or tuple(level for level in levels if isinstance(level, str))
    return Column(
        name=column.name,
        is_text=is_text,
        categories=categories if is_text else (),
        landmarks=() if is_text else landmarks,
        values=values,
        nullable=column.nullable,
        open=not column.categories,
    )


def _values(column: f.RawColumn, given: TableColumn) -> Array:
    """The values as the engine sees them, None for missing texts."""
    lenient = column.wrong_type != "error"
    if column.type == "text":
        found = as_texts(column.name, given.values, lenient)
        found[found == f.MISSING_TEXT] = None
        return found
    with np.errstate(over="ignore"):
        return as_numbers(column.name, given.values, lenient).astype(np.float32)


def _learned(
    name: str, fitted: f.FittedPreprocessing
) -> tuple[tuple[f.Level, ...], tuple[float, ...]]:
    """Levels and landmarks in the steps on a raw column and its copies."""
    names, levels, landmarks = {name}, dict[f.Level, None](), list[float]()
    for step in fitted.steps:
        if names.isdisjoint(program.reads(step)):
            continue
        match step:
            case f.Copied(output=output) | f.Joined(output=output):
                names.add(output)
            case f.Lookup(levels=found) | f.OneHotLevels(levels=found):
                levels.update(dict.fromkeys(found))
                landmarks += [level for level in found if isinstance(level, float)]
            case f.Buckets(edges=edges):
                landmarks += edges
            case f.Limit(low=low, high=high):
                landmarks += [bound for bound in (low, high) if bound is not None]
            case f.Scale(subtract=subtract, divide=divide):
                landmarks += [subtract, subtract + divide, subtract - divide]
    return tuple(levels), tuple(landmarks)


def _moments(column: f.RawColumn, table: Table | None, count: int) -> Array:
    given = table.find(column.name) if table else None
    hard = [*MOMENTS, *([np.nan] if column.nullable else [])]
    rng = np.random.default_rng(0)
    plain = rng.uniform(-2e9, 4e9, count)
    if given is not None:
        own = as_seconds(column.name, given.values, column.wrong_type != "error")
        plain = own[rng.integers(0, len(own), count)]
    found = np.where(rng.random(count) < 0.1, rng.choice(hard, count), plain)
    return np.asarray(found, np.float64)


def _as_table(names: tuple[str, ...], matrix: Array) -> Table:
    return Table(
        [
            TableColumn(name, [None if v != v else v for v in matrix[:, i].tolist()])
            for i, name in enumerate(names)
        ]
    )


def _found(inputs: Array, matrix: Array) -> Array:
    """For each row that the framework answered, the raw row it came from; -1 for made-up rows."""
    known = {row.tobytes(): place for place, row in enumerate(_canonical(matrix))}
    rows = _canonical(np.asarray(inputs, np.float32))
    return np.array([known.get(row.tobytes(), -1) for row in rows], np.int64)


def _canonical(matrix: Array) -> Array:
    """One NaN and one zero, so that equal rows have equal bytes."""
    return np.ascontiguousarray(np.where(np.isnan(matrix), np.float32(np.nan), matrix + 0.0))


def _subset(arrays: dict[str, Array], chosen: Array) -> dict[str, Array]:
    return {name: values[chosen] for name, values in arrays.items()}


def _shown(names: tuple[str, ...]) -> str:
    hidden = len(names) - 8
    return ", ".join(names[:8]) + (f" and {hidden} more" if hidden > 0 else "")
