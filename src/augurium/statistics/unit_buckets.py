"""Sums per bucket of units: the variance of a metric in bounded memory.

Every unit belongs to one of some hundred buckets by its hash, so what one unit does stays together,
and buckets are independent of each other. How much their sums differ tells the variance, however
much the requests of a unit resemble each other. Sums of processes and times add up.
"""

import hashlib
from typing import Self

import msgspec
import numpy as np

from augurium.core.errors import InvalidArgument
from augurium.core.tensors import Array
from augurium.statistics.estimates import Estimate, ratio
from augurium.statistics.joint_moments import joint_moments

BUCKETS = 500
SALT = b"augurium-bucket"  # other than that of the assignment, or all of a bucket has one variant


def unit_bucket(unit: str, buckets: int = BUCKETS) -> int:
    """The bucket of a unit, 0 to `buckets` - 1; the same everywhere and for ever."""
    digest = hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=SALT)
    return int.from_bytes(digest.digest()) % buckets


class UnitBuckets(msgspec.Struct, frozen=True):
    """Per bucket the sum of a metric, and of the `weights` it is divided by.

    The weights are units for a metric per unit, each counted once, or requests for one per request.
    """

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def merged(self, other: Self) -> "UnitBuckets":
        """Both together. Raises InvalidArgument for another number of buckets."""
        if len(self.values) != len(other.values):
            raise InvalidArgument(
                f"{len(self.values)} and {len(other.values)} buckets cannot be merged; "
                "expected as many in both"
            )
        return UnitBuckets(
            tuple(map(float.__add__, self.values, other.values)),
            tuple(map(float.__add__, self.weights, other.weights)),
        )

    def estimate(self) -> Estimate:
        """The metric per weight, of as many units as there are weights.

        Raises InvalidArgument where nothing was counted.
        """
        found = ratio(joint_moments(np.array(self.weights), np.array(self.values)))
        return msgspec.structs.replace(found, n=sum(self.weights))


def unit_buckets(
    buckets: Array, values: Array, weights: Array | None = None, count: int = BUCKETS
) -> UnitBuckets:
    """Sums of `values` and `weights` (1 unless given) by their `buckets`, all of shape [rows]."""
    return UnitBuckets(
        tuple(np.bincount(buckets, values, count).astype(np.float64).tolist()),
        tuple(np.bincount(buckets, weights, count).astype(np.float64).tolist()),
    )
