"""What a list of steps does to the columns: which there are, in what order, and of what type."""

from collections.abc import Iterator

from augurium.core.errors import InvalidArgument
from augurium.preprocessing import fitted as f

Types = dict[str, str]
NUMERIC_STEPS = (f.Scale, f.Limit, f.Logarithm, f.YeoJohnson, f.BoxCox, f.Buckets)
IN_PLACE = (*NUMERIC_STEPS, f.Fill, f.Lookup)


def check(fitted: f.FittedPreprocessing) -> None:
    """Raises InvalidArgument when steps read columns that are not there or of another type, or when
    other columns than `outputs` come out.
    """
    types: Types = {column.name: column.type for column in fitted.inputs}
    if len(types) != len(fitted.inputs) or not types:
        raise InvalidArgument("the raw columns of a preprocessing need names, each once")
    for step in fitted.steps:
        types = after(step, types)
    if tuple(types) != fitted.outputs:
        raise InvalidArgument(
            f"the steps make the columns {list(types)[:8]}, but the outputs are"
            f" {list(fitted.outputs)[:8]}; fit it again"
        )
    for name, kind in types.items():
        if kind != "number":
            way = "take its date_parts" if kind == "datetime" else "encode it (one_hot, ...)"
            raise InvalidArgument(
                f"column '{name}' is still {kind} after the last transform, and models take"
                f" numbers; {way} or drop it"
            )


def after(step: f.AnyStep, types: Types) -> Types:
    """The columns after a step. Raises InvalidArgument when it cannot be done."""
    for name in reads(step):
        if name not in types:
            raise InvalidArgument(
                f"{kind_of(step)} reads the column '{name}', which is not there; there are"
                f" {list(types)[:16]}"
            )
    _check_type(step, types)
    if isinstance(step, IN_PLACE):
        # thousands of columns with a step or two each: walking through all for each takes seconds
        kept = types[step.column] if isinstance(step, f.Fill) else "number"
        return {**types, step.column: kept}
    found = dict(placed(step, types))
    if len(found) != len(list(placed(step, types))):
        twice = [n for n, _ in placed(step, types)]
        name = next(n for n in twice if twice.count(n) > 1)
        raise InvalidArgument(
            f"{kind_of(step)} of '{reads(step)[0]}' makes a column '{name}', which is there"
            " already; rename or drop one"
        )
    return found


def placed(step: f.AnyStep, types: Types) -> Iterator[tuple[str, str]]:
    """Names and types of the columns after a step, in order: outputs stand where what they replace
    stood, new columns behind what they come from, copies and joined columns at the end.
    """
    if isinstance(step, f.Kept):
        yield from ((name, types[name]) for name in step.columns)
        return
    read = reads(step)[0]
    for name, kind in types.items():
        if name != read:
            yield name, kind
            continue
        yield from _replacing(step, kind)
    if isinstance(step, f.Joined):
        yield step.output, "text"
    elif isinstance(step, f.Copied):
        yield step.output, types[step.column]


def reads(step: f.AnyStep) -> tuple[str, ...]:
    """The columns a step reads."""
    return step.columns if isinstance(step, f.Joined | f.Kept) else (step.column,)


def kind_of(step: f.AnyStep) -> str:
    """The name of a kind of step in JSON."""
    return str(step.__struct_config__.tag)


def check_kind(kind: str, column: str, types: Types, expected: tuple[str, ...]) -> None:
    """Raises InvalidArgument when a column is of none of the expected types."""
    if types[column] not in expected:
        raise InvalidArgument(
            f"{kind} takes {' or '.join(map(_plural, expected))}, but column '{column}' holds"
            f" {_plural(types[column])}"
        )


def _replacing(step: f.AnyStep, kind: str) -> Iterator[tuple[str, str]]:
    match step:
        case f.Dropped():
            return
        case f.OneHotLevels(outputs=outputs):
            yield from ((name, "number") for name in outputs)
        case f.HashBucket(column=column, outputs=outputs):
            yield from ((name, "number") for name in outputs or (column,))
        case f.Lookup(column=column) | f.Buckets(column=column):
            yield column, "number"
        case f.Indicate(column=column, output=output) | f.DatePart(column=column, output=output):
            yield column, kind
            yield output, "number"
        case _:
            yield reads(step)[0], kind


def _check_type(step: f.AnyStep, types: Types) -> None:
    first = reads(step)[0]
    kind = types[first]
    if isinstance(step, f.Joined | f.Kept | f.Dropped | f.Copied):
        expected = not isinstance(step, f.Joined) or all(
            types[n] != "datetime" for n in step.columns
        )
        wanted = "texts or bucket numbers"
    elif isinstance(step, NUMERIC_STEPS):
        expected, wanted = kind == "number", "numbers"
    elif isinstance(step, f.HashBucket):
        expected, wanted = kind == "text", "texts"
    elif isinstance(step, f.DatePart):
        expected, wanted = kind == "datetime", "points in time"
    elif isinstance(step, f.Lookup | f.OneHotLevels):
        is_text = bool(step.levels) and isinstance(step.levels[0], str)
        expected = kind != "datetime" and (not step.levels or is_text == (kind == "text"))
        wanted = "texts" if is_text else "numbers"
    elif isinstance(step, f.Fill):
        expected = isinstance(step.value, str) == (kind == "text") and kind != "datetime"
        wanted = "texts" if isinstance(step.value, str) else "numbers"
    else:
        expected, wanted = kind != "datetime", "numbers or texts"
    if not expected:
        raise InvalidArgument(
            f"{kind_of(step)} takes {wanted}, but column '{first}' holds {_plural(kind)}"
        )


def _plural(kind: str) -> str:
    return {"number": "numbers", "text": "texts", "datetime": "points in time"}[kind]
