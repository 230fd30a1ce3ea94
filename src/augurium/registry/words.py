"""The words a version or model is found by."""

from augurium.registry.records import Model, Version

MAX_CHARACTERS = 8192
# characters of a description that a list shows
DESCRIBED = 200


def words_of_version(version: Version) -> str:
    """Everything a version says of itself, folded; long texts are cut."""
    parts = [version.model, version.framework, version.source_name, version.description]
    return _folded([*parts, *_of_tags(version.tags), version.card])


def words_of_model(model: Model, card: str) -> str:
    """Everything a model says of itself, folded; long texts are cut."""
    return _folded([model.name, model.description, *_of_tags(model.tags), card])


def _of_tags(tags: dict[str, str]) -> list[str]:
    return [text for key, value in tags.items() for text in (key, value)]


def _folded(parts: list[str]) -> str:
    # a line end keeps a text from being found across two parts
    return "\n".join(part for part in parts if part)[:MAX_CHARACTERS].casefold()
