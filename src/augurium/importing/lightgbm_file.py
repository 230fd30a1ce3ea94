"""A LightGBM model saved as text, checked before LightGBM itself reads it, whose loader trusts it.

Source of the format: LightGBM 4, `GBDT::SaveModelToString` and `Tree::ToString`; bits of
`decision_type`: 1 categorical, 2 missing goes left, 4 and 8 what is missing (0 nothing, 1 zero and
NaN, 2 NaN).
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from augurium.core.errors import Unprocessable
from augurium.core.tensors import Array

BEGIN = b"tree\n"
END = "end of trees"
CATEGORIES = "pandas_categorical:"
CLASSES = "augurium_classes:"
VERSIONS = ("v3", "v4")
MAX_FEATURES = 1_000_000
MAX_TREES = 1_000_000
MAX_LEAVES = 1_000_000
CATEGORICAL_BIT = 1
MISSING_SHIFT = 2
MISSING_BITS = 3
ZERO_IS_MISSING = 1
WORD_BITS = 32


class LightgbmFile(msgspec.Struct, kw_only=True):
    """What a checked file says about its model.

    `text` is the part LightGBM needs: header and trees, without the settings of the training.
    `objective` is empty for one of the owner's own. `thresholds` holds the numbers each feature is
    compared with, `levels` the number of levels of each categorical feature, `categories` the
    values behind the codes in the order of the categorical columns, `classes` the labels that the
    client saved beside the model.
    """

    text: str
    objective: str
    num_class: int
    num_feature: int
    num_tree: int
    feature_names: list[str]
    has_linear_trees: bool = False
    averages_trees: bool = False
    zero_is_missing: bool = False
    thresholds: dict[int, Any] = {}
    levels: dict[int, int] = {}
    categories: list[list[Any]] = []
    classes: tuple[str | int, ...] = ()


def read_model(content: bytes) -> LightgbmFile:
    """Reads and checks a file. Raises Unprocessable for the first thing that is wrong."""
    try:
        return _read(content)
    except (KeyError, ValueError, OverflowError, IndexError) as error:
        raise damaged(f"something missing or of the wrong type: {error!r}") from error


def damaged(what: str) -> Unprocessable:
    return Unprocessable(
        f"the LightGBM model has {what}; save it again with Booster.save_model as text"
    )


def _read(content: bytes) -> LightgbmFile:
    if not content.startswith(BEGIN) or b"\0" in content:
        raise damaged("no 'tree' in its first line, or a zero byte")
    text = content.decode("utf-8")
    begin, end = text.find("Tree=0\n"), text.find(f"\n{END}\n")
    if begin < 0 or end < 0:
        raise damaged("no trees or no end of trees")
    header = _fields(text[:begin])
    found = _inspect_header(header)
    blocks = _blocks(text[begin : end + 1], header["tree_sizes"])
    per_iteration = int(header["num_tree_per_iteration"])
    if per_iteration != max(1, found.num_class) or len(blocks) % per_iteration:
        raise damaged(f"{len(blocks)} trees for {found.num_class} classes")
    found.num_tree = len(blocks)
    _read_trees(blocks, found)
    found.text = f"{text[: end + 1]}{END}\n"
    _read_appendix(text[end + 1 :], found)
    return found


def _fields(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, _, value = line.partition("=")
        if key in found:
            raise damaged(f"the key {key[:32]!r} twice")
        if key:
            found[key] = value
    return found


def _inspect_header(header: Mapping[str, str]) -> LightgbmFile:
    if header["version"] not in VERSIONS:
        raise damaged(f"version {header['version'][:16]}, expected one of {', '.join(VERSIONS)}")
    found = LightgbmFile(
        text="",
        objective=header.get("objective", ""),
        num_class=int(header["num_class"]),
        num_feature=int(header["max_feature_idx"]) + 1,
        num_tree=0,
        feature_names=header["feature_names"].split(),
        averages_trees="average_output" in header,
    )
    if not 1 <= found.num_feature <= MAX_FEATURES or not 1 <= found.num_class <= MAX_FEATURES:
        raise damaged(f"{found.num_feature} features and {found.num_class} classes")
    if len(found.feature_names) != found.num_feature:
        raise damaged(f"{len(found.feature_names)} names for {found.num_feature} features")
    if len(set(found.feature_names)) != found.num_feature:
        raise damaged("a feature name twice")
    infos = header.get("feature_infos", "").split()
    if infos and len(infos) != found.num_feature:
        raise damaged(f"{len(infos)} feature_infos for {found.num_feature} features")
    return found


def _blocks(trees: str, sizes_line: str) -> list[dict[str, str]]:
    """The trees by their sizes in bytes, by which LightGBM jumps from one to the next."""
    sizes = _integers(sizes_line.split(), None, "tree_sizes")
    content = trees.encode()
    if not 1 <= len(sizes) <= MAX_TREES or sizes.min() <= 0 or int(sizes.sum()) != len(content):
        raise damaged("tree_sizes that are not those of its trees")
    blocks, position = [], 0
    for number, size in enumerate(sizes.tolist()):
        block = content[position : position + size].decode()
        if not block.startswith(f"Tree={number}\n"):
            raise damaged(f"no tree {number} where tree_sizes says")
        blocks.append(_fields(block))
        position += size
    return blocks


def _read_trees(blocks: list[dict[str, str]], found: LightgbmFile) -> None:
    thresholds: dict[int, list[Array]] = {}
    for number, block in enumerate(blocks):
        leaves = int(block["num_leaves"])
        if not 1 <= leaves <= MAX_LEAVES:
            raise damaged(f"{leaves} leaves in tree {number}")
        _floats(block["leaf_value"].split(), leaves, "leaf_value")
        _check_linear(block, leaves, found)
        if leaves > 1:
            _read_splits(block, leaves, number, found, thresholds)
    found.thresholds = {
        feature: np.unique(np.concatenate(parts)) for feature, parts in thresholds.items()
    }


def _read_splits(
    block: Mapping[str, str],
    leaves: int,
    number: int,
    found: LightgbmFile,
    thresholds: dict[int, list[Array]],
) -> None:
    inner = leaves - 1
    feature = _integers(block["split_feature"].split(), inner, "split_feature")
    decision = _integers(block["decision_type"].split(), inner, "decision_type")
    threshold = _numbers(block["threshold"].split(), inner, "threshold")
    if feature.min() < 0 or feature.max() >= found.num_feature:
        raise damaged(f"a split on a feature that does not exist in tree {number}")
    for name, count in (("split_gain", inner), ("internal_count", inner), ("leaf_count", leaves)):
        if block.get(name):
            _numbers(block[name].split(), count, name)
    _check_children(block, leaves, number)
    categorical = decision & CATEGORICAL_BIT == CATEGORICAL_BIT
    _read_categories(block, threshold[categorical], feature[categorical], found)
    missing = (decision >> MISSING_SHIFT) & MISSING_BITS
    found.zero_is_missing |= bool((missing[~categorical] == ZERO_IS_MISSING).any())
    finite = ~categorical & np.isfinite(threshold)
    for used in np.unique(feature[finite]):
        thresholds.setdefault(int(used), []).append(threshold[finite & (feature == used)])


def _check_children(block: Mapping[str, str], leaves: int, number: int) -> None:
    """Every node and every leaf has one parent, the root none, and all are reached."""
    inner = leaves - 1
    left = _integers(block["left_child"].split(), inner, "left_child")
    right = _integers(block["right_child"].split(), inner, "right_child")
    children = np.concatenate([left, right])
    nodes, ends = children[children >= 0], -children[children < 0] - 1
    if not np.array_equal(np.sort(nodes), np.arange(1, inner)):
        raise damaged(f"a child that does not exist or has two parents in tree {number}")
    if not np.array_equal(np.sort(ends), np.arange(leaves)):
        raise damaged(f"a leaf that does not exist or has two parents in tree {number}")
    reached, frontier = 0, np.array([0])
    while len(frontier):
        reached += len(frontier)
        below = np.concatenate([left[frontier], right[frontier]])
        frontier = below[below >= 0]
    if reached != inner:
        raise damaged(f"nodes that lead in a circle in tree {number}")


def _read_categories(
    block: Mapping[str, str], places: Array, features: Array, found: LightgbmFile
) -> None:
    """Categorical splits name a set of codes, kept as the bits of 32-bit words."""
    count = int(block["num_cat"])
    if len(places) != count:
        raise damaged(f"{len(places)} categorical splits where num_cat is {count}")
    if not count:
        return
    bounds = _integers(block["cat_boundaries"].split(), count + 1, "cat_boundaries")
    words = block["cat_threshold"].split()
    if bounds[0] != 0 or (np.diff(bounds) < 0).any() or bounds[-1] != len(words):
        raise damaged("cat_boundaries that do not divide cat_threshold")
    bits = _integers(words, len(words), "cat_threshold")
    if len(bits) and (bits.min() < 0 or bits.max() >= 2**WORD_BITS):
        raise damaged("a cat_threshold of more than 32 bits")
    for place, feature in zip(places, features, strict=True):
        if place != int(place) or not 0 <= place < count:
            raise damaged("a categorical split without categories")
        own = bits[bounds[int(place)] : bounds[int(place) + 1]].tolist()
        highest = max(
            (index * WORD_BITS + word.bit_length() for index, word in enumerate(own)), default=0
        )
        found.levels[int(feature)] = max(found.levels.get(int(feature), 0), highest)


def _check_linear(block: Mapping[str, str], leaves: int, found: LightgbmFile) -> None:
    if int(block.get("is_linear", "0")) == 0:
        return
    found.has_linear_trees = True
    _floats(block["leaf_const"].split(), leaves, "leaf_const")
    counts = _integers(block["num_features"].split(), leaves, "num_features")
    if counts.min() < 0:
        raise damaged("a negative number of features in a leaf")
    features = _integers(block["leaf_features"].split(), int(counts.sum()), "leaf_features")
    _floats(block["leaf_coeff"].split(), int(counts.sum()), "leaf_coeff")
    if len(features) and (features.min() < 0 or features.max() >= found.num_feature):
        raise damaged("a leaf with a feature that does not exist")


def _read_appendix(text: str, found: LightgbmFile) -> None:
    for line in text.splitlines():
        if line.startswith(CATEGORIES):
            saved = msgspec.json.decode(line.removeprefix(CATEGORIES), type=list[list[Any]] | None)
            found.categories = saved or []
        if line.startswith(CLASSES):
            found.classes = _classes(line.removeprefix(CLASSES))
    if found.classes and len(found.classes) != max(2, found.num_class):
        raise damaged(f"{len(found.classes)} classes for {max(2, found.num_class)}")


def _classes(line: str) -> tuple[str | int, ...]:
    saved = msgspec.json.decode(line, type=list[str | int])
    if len({type(label) for label in saved}) > 1 or len(set(saved)) != len(saved):
        raise damaged("classes that mix texts and numbers, or one twice")
    return tuple(saved)


def _integers(values: list[str], count: int | None, name: str) -> Array:
    return _counted(np.array([int(value) for value in values], np.int64), count, name)


def _numbers(values: list[str], count: int, name: str) -> Array:
    found = _counted(np.array(values, np.float64), count, name)
    if np.isnan(found).any():
        raise damaged(f"a number in {name} that is not a number")
    return found


def _floats(values: list[str], count: int, name: str) -> Array:
    found = _numbers(values, count, name)
    if not np.isfinite(found).all():
        raise damaged(f"a number in {name} that is not finite")
    return found


def _counted(values: Array, count: int | None, name: str) -> Array:
    if count is not None and len(values) != count:
        raise damaged(f"{len(values)} entries in {name}, expected {count}")
    return values
