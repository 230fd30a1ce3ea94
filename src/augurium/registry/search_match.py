"""Searches without a database: whether a query holds for one version."""

from collections.abc import Iterable

from augurium.registry.records import Model, Version, VersionSummary
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
from augurium.registry.words import DESCRIBED, words_of_model, words_of_version


def matches(terms: Iterable[Term], model: Model, card: str, version: Version) -> bool:
    """Whether all terms hold; what is deleted is found only if asked for."""
    terms = list(terms)
    if not any(isinstance(term, Deleted) for term in terms):
        terms.append(Deleted(False))
    return all(_holds(term, model, card, version) for term in terms)


def summary(model: Model, version: Version) -> VersionSummary:
    """What a search shows of a version."""
    shown = {
        field: getattr(version, field)
        for field in VersionSummary.__struct_fields__
        if field not in ("default", "aliases", "description", "deleted_at")
    }
    return VersionSummary(
        **shown,
        description=version.description[:DESCRIBED],
        deleted_at=version.deleted_at or model.deleted_at,
        default=model.default_version == version.version,
        aliases=_aliases(model, version),
    )


def _holds(term: Term, model: Model, card: str, version: Version) -> bool:
    match term:
        case Word(text):
            return text in words_of_version(version) or text in words_of_model(model, card)
        case Named(text):
            return text in model.name.casefold()
        case Tagged(key, value):
            values = [tags[key] for tags in (version.tags, model.tags) if key in tags]
            return bool(values) if value is None else value in values
        case OfFramework(framework):
            return version.framework == framework
        case Aliased(alias):
            return model.aliases.get(alias) == version.version
        case Approved(approval):
            return version.approval == approval
        case Deployed(wanted):
            return version.deployed == wanted
        case Default(wanted):
            return (model.default_version == version.version) == wanted
        case Deleted(wanted):
            return ((version.deleted_at or model.deleted_at) is not None) == wanted
        case Measured(metric, sign, number):
            measured = version.metrics.get(metric)
            return measured is not None and OPERATORS[sign](measured, number)


def _aliases(model: Model, version: Version) -> tuple[str, ...]:
    pointing = [alias for alias, target in model.aliases.items() if target == version.version]
    return tuple(sorted(pointing))
