"""Searches in SQL. Every text is a bound value and matched literally."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Tuple,
    and_,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
)

from augurium.registry.records import VersionSummary
from augurium.registry.search_query import (
    OPERATORS,
    Aliased,
    Approved,
    Default,
    Deleted,
    Deployed,
    Measured,
    Named,
    OfFramework,
    Tagged,
    Term,
    Word,
)
from augurium.registry.tables import aliases, metrics, models, tags, versions, words
from augurium.registry.words import DESCRIBED

Condition = ColumnElement[bool]
_KEY = tuple_(versions.c.model, versions.c.version)


class _Dialect(NamedTuple):
    """How a database finds text in text, and how versions and their words are looked up: `key` in a
    list of keys, `words_key` while the words are walked.
    """

    contains: Callable[[Any, Any], Any]
    key: Tuple
    words_key: Tuple


def _not_by_index(table: str) -> Tuple:
    return tuple_(literal_column(f"+{table}.model"), literal_column(f"+{table}.version"))


# with the plain columns SQLite would walk the list, read a wide row for every entry and sort; with
# the signs it walks a narrow index in order until the page is full
_SQLITE = _Dialect(func.instr, _not_by_index("versions"), _not_by_index("words"))
_POSTGRESQL = _Dialect(func.strpos, _KEY, tuple_(words.c.model, words.c.version))
# of a description only what is shown, so that a long one stays on the disk
_SHOWN = {
    field: versions.c[field]
    for field in VersionSummary.__struct_fields__
    if field not in ("default", "aliases", "description", "deleted_at")
}


def find(
    connection: Connection,
    terms: Sequence[Term],
    limit: int,
    after: tuple[str, int] | None,
    among: Sequence[str] | None = None,
) -> list[VersionSummary]:
    """The versions for which all terms hold, by model and number; at most `limit`, after one, and
    of these models, if given.
    """
    # the keys first, from narrow indexes; the wide rows only of those that are shown
    keys = _keys(connection, terms, after).limit(limit)
    if among is not None:
        keys = keys.where(versions.c.model.in_(among))
    found = connection.execute(keys).all()
    if not found:
        return []
    names = sorted({model for model, _ in found})
    alias_of = _aliases(connection, names)
    shown = select(
        *_SHOWN.values(),
        func.substr(versions.c.description, 1, DESCRIBED).label("description"),
        func.coalesce(versions.c.deleted_at, models.c.deleted_at).label("deleted_at"),
        models.c.default_version,
    ).join(models, models.c.name == versions.c.model)
    rows = connection.execute(
        shown.where(_KEY.in_([(model, version) for model, version in found])).order_by(
            versions.c.model, versions.c.version
        )
    )
    fields = (*_SHOWN, "description", "deleted_at")
    return [
        VersionSummary(
            **dict(zip(fields, row, strict=False)),
            default=row.default_version == row.version,
            aliases=tuple(alias_of.get((row.model, row.version), ())),
        )
        for row in rows
    ]


def _keys(
    connection: Connection, terms: Sequence[Term], after: tuple[str, int] | None
) -> Select[Any]:
    dialect = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    said = [term.text for term in terms if isinstance(term, Word)]
    # where nothing but words says which versions, the words are walked until the page is full
    table = words if said and len(said) == len(terms) else versions
    query = select(table.c.model, table.c.version)
    if table is words:
        query = query.select_from(words).join(versions, dialect.words_key == _KEY)
        query = query.where(words.c.version > 0, *(_said_here(text, dialect) for text in said))
    else:
        query = query.where(*(_holds(term, dialect) for term in terms))
    if not any(isinstance(term, Deleted) for term in terms):
        query = query.where(not_(_is_deleted()))
    if after is not None:
        model, version = after
        beyond = and_(table.c.model == model, table.c.version > version)
        query = query.where(table.c.model >= model, or_(table.c.model > model, beyond))
    return query.order_by(table.c.model, table.c.version)


def _holds(term: Term, dialect: _Dialect) -> Condition:
    match term:
        case Word(text):
            return _said(text, dialect)
        case Named(text):
            named = select(models.c.name).where(dialect.contains(models.c.folded_name, text) > 0)
            return versions.c.model.in_(named)
        case Tagged(key, value):
            return _tagged(dialect.key, key, value)
        case OfFramework(framework):
            return versions.c.framework == framework
        case Aliased(alias):
            pointing = select(aliases.c.model, aliases.c.version).where(aliases.c.alias == alias)
            return dialect.key.in_(pointing)
        case Approved(approval):
            return versions.c.approval == approval
        case Deployed(wanted):
            return versions.c.deployed if wanted else not_(versions.c.deployed)
        case Default(wanted):
            pointing = select(models.c.name, models.c.default_version).where(
                models.c.default_version.is_not(None)
            )
            return dialect.key.in_(pointing) if wanted else dialect.key.not_in(pointing)
        case Deleted(wanted):
            return _is_deleted() if wanted else not_(_is_deleted())
        case Measured(metric, sign, number):
            measured = select(metrics.c.model, metrics.c.version).where(
                metrics.c.name == metric, OPERATORS[sign](metrics.c.value, number)
            )
            return dialect.key.in_(measured)


def _said_here(text: str, dialect: _Dialect) -> Condition:
    """Whether the words that are walked hold a text, or those of their model."""
    own = dialect.contains(words.c.text, text) > 0
    return or_(own, words.c.model.in_(_models_saying(text, dialect)))


def _said(text: str, dialect: _Dialect) -> Condition:
    """Whether the words of a version hold a text, or those of its model."""
    # a place and no `exists`: that PostgreSQL would answer by reading all words, where other terms
    # leave few versions to look at
    own = and_(words.c.model == versions.c.model, words.c.version == versions.c.version)
    place = select(dialect.contains(words.c.text, text)).where(own).correlate(versions)
    saying = versions.c.model.in_(_models_saying(text, dialect))
    return or_(saying, place.scalar_subquery() > 0)


def _models_saying(text: str, dialect: _Dialect) -> Select[Any]:
    # one model after the other: most of all words are those of versions
    of_model = words.alias()
    its = and_(of_model.c.model == models.c.name, of_model.c.version == 0)
    said = select(of_model.c.model).where(its, dialect.contains(of_model.c.text, text) > 0)
    return select(models.c.name).where(said.correlate(models).exists())


def _tagged(identity: Tuple, key: str, value: str | None) -> Condition:
    is_tag = tags.c.key == key
    if value is not None:
        is_tag = and_(is_tag, tags.c.value == value)
    of_version = select(tags.c.model, tags.c.version).where(is_tag, tags.c.version > 0)
    of_model = select(tags.c.model).where(is_tag, tags.c.version == 0)
    return or_(identity.in_(of_version), versions.c.model.in_(of_model))


def _is_deleted() -> Condition:
    gone = select(models.c.name).where(models.c.deleted_at.is_not(None))
    return or_(versions.c.deleted_at.is_not(None), versions.c.model.in_(gone))


def _aliases(connection: Connection, names: list[str]) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    query = select(aliases).where(aliases.c.model.in_(names)).order_by(aliases.c.alias)
    for row in connection.execute(query):
        found[row.model, row.version].append(row.alias)
    return found
