"""A declared preprocessing: columns and a list of transforms, not yet fitted."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from augurium.core.errors import InvalidArgument
from augurium.preprocessing.transform_rules import fault_of
from augurium.preprocessing.transforms import AnyTransform, columns_of, kind_of

if TYPE_CHECKING:
    from augurium.preprocessing.fitted import FittedPreprocessing

ColumnType = Literal["number", "text", "datetime"]
Policy = Literal["error", "ignore", "default"]
WrongType = Literal["error", "missing"]


class Column(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column of the raw table.

    `type` is told from the table when not given. `missing`: `error` refuses a missing value,
    `ignore` lets it through to the transforms, `default` puts `default` in its place and lets the
    column be left out; not given, it is `ignore` if an impute reads the column or the training
    table has missing values in it, else `error`. `wrong_type` is about values of another type,
    such as text in a number: `error`, or `missing` to take them for missing ones.
    """

    name: str
    type: ColumnType | None = None
    missing: Policy | None = None
    wrong_type: WrongType = "error"
    default: float | str | None = None


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    transforms: tuple[AnyTransform, ...]
    columns: tuple[Column | str, ...] = ()


class Preprocessing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Transforms in their order. `columns` declares raw columns; those that only transforms name
    need no declaration, and those that only stand here go through as they are.
    """

    transforms: Sequence[AnyTransform]
    columns: Sequence[Column | str] = ()

    def checked(self) -> Self:
        """The same with every field of its declared type, whatever Python lists it was made of.

        Raises InvalidArgument for fields of a wrong type, impossible values and unknown columns.
        """
        try:
            found = msgspec.convert(msgspec.to_builtins(self), _Declared)
        except (msgspec.ValidationError, TypeError) as error:
            raise InvalidArgument(
                f"the preprocessing cannot be read: {error}; docs/reference/transforms.md lists"
                " every transform and its fields"
            ) from error
        declared = type(self)(found.transforms, found.columns)
        _check(declared)
        return declared

    @property
    def declared_columns(self) -> tuple[Column, ...]:
        """The declared columns; those given by name alone have no type and no policy yet."""
        return tuple(_as_column(column) for column in self.columns)

    def fit(self, table: Any, target: str | None = None, **options: Any) -> "FittedPreprocessing":
        """Learns what the transforms need; see `fitting.fit`."""
        from augurium.preprocessing.fitting import fit

        return fit(self, table, target=target, **options)

    @staticmethod
    def from_sklearn(
        transformer: Any, columns: Iterable[str] = (), text: Iterable[str] = ()
    ) -> "FittedPreprocessing":
        """Takes a fitted ColumnTransformer, Pipeline or transformer of scikit-learn over; see
        `sklearn_transformer.fitted_from_sklearn`.
        """
        from augurium.preprocessing.sklearn_transformer import fitted_from_sklearn

        return fitted_from_sklearn(transformer, tuple(columns), tuple(text))


def read_preprocessing(file: Path) -> Preprocessing:
    """Reads a declaration from JSON or TOML. Raises InvalidArgument."""
    content = file.read_bytes()
    try:
        if file.suffix == ".toml":
            return from_mapping(tomllib.loads(content.decode()))
        return from_mapping(msgspec.json.decode(content))
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            f"'{file.name}' is not {'TOML' if file.suffix == '.toml' else 'JSON'}: {error}"
        ) from error


def from_mapping(content: Mapping[str, Any] | Any) -> Preprocessing:
    """The declaration in plain objects. Raises InvalidArgument; unknown fields are errors."""
    try:
        found = msgspec.convert(content, _Declared)
    except msgspec.ValidationError as error:
        raise InvalidArgument(
            f"the preprocessing cannot be read: {error}; docs/reference/transforms.md lists every"
            " transform and its fields"
        ) from error
    return Preprocessing(found.transforms, found.columns).checked()


def _as_column(column: Column | str) -> Column:
    return Column(column) if isinstance(column, str) else column


def _check(declared: Preprocessing) -> None:
    names = [column.name for column in declared.declared_columns]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(f"column '{name}' is declared twice; declare it once")
    for column in declared.declared_columns:
        if (column.missing == "default") != (column.default is not None):
            raise InvalidArgument(
                f"column '{column.name}' needs both missing = 'default' and a 'default', or neither"
            )
    for transform in declared.transforms:
        columns = columns_of(transform)
        if not columns or not all(columns):
            raise InvalidArgument(
                f"a transform of type {kind_of(transform)} names no column; expected at least one"
                " in 'columns'"
            )
        fault = fault_of(transform)
        if fault:
            raise InvalidArgument(f"the {kind_of(transform)} of column '{columns[0]}' {fault}")
