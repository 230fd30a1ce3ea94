"""What a key may be held to when it is made."""

from collections.abc import Sequence
from typing import TypedDict


class KeyLimits(TypedDict, total=False):
    """Models by patterns such as `fraud-*`, seconds to live, requests per second and at once."""

    models: Sequence[str]
    expires_in_s: float
    rate: float
    burst: int
