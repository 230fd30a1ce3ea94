"""Which runtime scores a version's rows by the thousand: what serves single rows best may not."""

from importlib import metadata, util

from msgspec import Struct

from augurium.core.errors import InvalidArgument
from augurium.registry.records import Version

# measured: rows/s on one core, 100 trees and 50 features, by 16 384 rows: XGBoost 1 020 000, ONNX
# 340 000, treelite 115 000; LightGBM 290 000, ONNX 390 000, treelite 114 000
FASTEST_FIRST = ("xgboost", "onnx", "lightgbm", "treelite")
# by the format of the source: what may read it again, without anything in it being run
NATIVE = {"xgboost-ubj": "xgboost", "xgboost-json": "xgboost", "lightgbm": "lightgbm"}
PACKAGES = {"xgboost": ("xgboost-cpu", "xgboost"), "lightgbm": ("lightgbm",)}
EXPLAINS = frozenset({"xgboost", "lightgbm"})


class ModelChoice(Struct, frozen=True):
    """What runs a version, and whether from its source instead of the file that is served."""

    runtime: str
    from_source: bool = False


def choose(version: Version, wanted: str = "", explain: bool = False) -> ModelChoice:
    """The fastest runtime for many rows, or the one that is `wanted`; with `explain`, one that says
    what each feature contributed.

    Raises InvalidArgument where that cannot be had, saying what can.
    """
    choices = _choices(version)
    if wanted:
        choices = [choice for choice in choices if choice.runtime == wanted]
        if not choices:
            raise InvalidArgument(
                f"{_name(version)} cannot be run by {wanted[:32]!r}; expected "
                f"{' or '.join(choice.runtime for choice in _choices(version))}"
            )
    if explain:
        choices = [choice for choice in choices if choice.runtime in EXPLAINS]
        if not choices:
            raise InvalidArgument(_not_explained(version, wanted))
    return choices[0]


def _choices(version: Version) -> list[ModelChoice]:
    found = [ModelChoice(version.runtime)]
    native = NATIVE.get(str(version.report.get("format")), version.runtime)
    if native != version.runtime and _is_equal(version, native):
        found.append(ModelChoice(native, from_source=True))
    return sorted(found, key=_place)


def _place(choice: ModelChoice) -> int:
    known = choice.runtime in FASTEST_FIRST
    return FASTEST_FIRST.index(choice.runtime) if known else len(FASTEST_FIRST)


def _is_equal(version: Version, native: str) -> bool:
    """Whether the framework answers as the version does.

    Its answers were what the import held the version against; so they are within the tolerance, as
    long as this is the very release that gave them, and nothing stands before the model.
    """
    tried = version.report.get("engines", {}).get(native, {}).get("outcome", "")
    if version.preprocessing is not None or tried.startswith(("mismatch", "failed", "refused")):
        return False
    imported_with: str | None = version.report.get("versions", {}).get(native)
    return imported_with is not None and imported_with == _installed(native)


def _installed(runtime: str) -> str | None:
    if util.find_spec(runtime) is None:
        return None
    for package in PACKAGES[runtime]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def _not_explained(version: Version, wanted: str) -> str:
    if wanted:
        return f"contributions come from XGBoost and LightGBM themselves; leave {wanted!r} out"
    native = NATIVE.get(str(version.report.get("format")))
    if native is not None and version.preprocessing is None:
        trained = version.report.get("versions", {}).get(native)
        return (
            f"contributions of {_name(version)} need {native} {trained}, with which it was "
            f"imported, and this machine has {_installed(native) or 'none'}; install it, or import "
            "the model again"
        )
    return (
        f"{_name(version)} has no contributions of features: only XGBoost and LightGBM models "
        "without preprocessing in front tell them; leave 'explain' out"
    )


def _name(version: Version) -> str:
    return f"{version.model}@{version.version}"
