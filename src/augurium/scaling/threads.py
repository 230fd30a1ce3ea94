"""How the cores of a machine are shared among what runs on it."""

from collections.abc import Mapping


def thread_shares(cores: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Threads for each name: its share of the cores by weight, in whole numbers, at least one.

    The shares add up to `cores`, or to the number of names where there are more of them (largest
    remainder method). A weight is such as the CPU time that was used; none at all shares evenly.
    """
    total = sum(max(0.0, weight) for weight in weights.values())
    if total <= 0:
        weights, total = dict.fromkeys(weights, 1.0), float(len(weights))
    spare = max(0, cores - len(weights))
    exact = {name: spare * max(0.0, weight) / total for name, weight in weights.items()}
    shares = {name: 1 + int(share) for name, share in exact.items()}
    left = spare - sum(int(share) for share in exact.values())
    for name in sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))[:left]:
        shares[name] += 1
    return shares
