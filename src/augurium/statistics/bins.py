"""The frozen bins a feature is counted in: made from the reference, never changed afterwards.

Frozen bins make counts of different times and processes add up, and stand in for the rows they came
from.
"""

import hashlib
from collections.abc import Iterable

import msgspec

FORMAT = 1
TOP_CATEGORIES = 50
MAX_OTHERS = 2000
MAX_CATEGORY_LENGTH = 256  # longer texts are no categories of their own, and not kept
OTHER = "__other__"
NEW = "__new__"
HASH_BYTES = 6  # 48 bits: exact in every JSON, and 2000 of them meet a stranger once in 1e11


class NumericBins(msgspec.Struct, frozen=True, tag="numeric", kw_only=True):
    """Bins of a number: below `low`, between the `edges`, above `high`.

    `edges` ascend, are unique and lie in (low, high]; a value equal to an edge belongs to the bin
    above it. `low` and `high` are the extremes of the reference.
    """

    name: str
    low: float
    high: float
    edges: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many counters it has: below, each bin, above."""
        return len(self.edges) + 3


class CategoricalBins(msgspec.Struct, frozen=True, tag="categorical", kw_only=True):
    """One bin per category, one for all others of the reference, one for those it did not hold.

    `categories` are texts, or numbers if not `is_text`. `others` are the hashes of the remaining
    texts of the reference; when there were more than fit, `others_known` is false and no text
    counts as new.
    """

    name: str
    is_text: bool = True
    categories: tuple[str | float, ...] = ()
    others: tuple[int, ...] = ()
    others_known: bool = True

    @property
    def size(self) -> int:
        """How many counters it has: each category, other, new."""
        return len(self.categories) + 2


FeatureBins = NumericBins | CategoricalBins


def category_hash(category: str) -> int:
    """48 bits of BLAKE2b; rare texts may be personal and are kept as hashes only."""
    digest = hashlib.blake2b(category.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES)
    return int.from_bytes(digest.digest())


def schema_hash(features: Iterable[FeatureBins], outputs: Iterable[FeatureBins] = ()) -> str:
    """SHA-256 of bins and their order: only profiles of equal hash can be merged or compared."""
    parts = (FORMAT, tuple(features), tuple(outputs))
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
