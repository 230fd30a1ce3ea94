"""Which values of a transform's fields make sense."""

from augurium.preprocessing import transforms as t

MAX_BUCKETS = 1000
MAX_HASH_BUCKETS = 2**24
MAX_ONE_HOT_BUCKETS = 4096


def fault_of(transform: t.AnyTransform) -> str:
    """What is wrong with the values of a transform; empty if nothing is."""
    match transform:
        case t.Impute(strategy=strategy, value=value):
            if (value is not None) != (strategy == "constant"):
                return "needs 'value' with the strategy constant, and with no other"
        case t.Clip(low=low, high=high):
            if low is None and high is None:
                return "has neither 'low' nor 'high'; set one"
            if low is not None and high is not None and low > high:
                return f"has low {low} above high {high}; exchange them"
        case t.Bucketize():
            return _fault_of_buckets(transform)
        case t.Robust(low=low, high=high):
            if not 0 <= low < high <= 1:
                return "needs 0 <= low < high <= 1"
        case t.MinMax(low=low, high=high):
            if low >= high:
                return "needs low below high"
        case t.Hash():
            return _fault_of_hash(transform)
        case t.TargetMean(smoothing=smoothing):
            if smoothing < 0:
                return "needs a smoothing of 0 or more"
        case t.Cross():
            if len(t.columns_of(transform)) < 2:
                return "needs at least two columns"
            if not transform.output:
                return "needs the name of its 'output'"
        case t.OneHot(max_categories=most) | t.Ordinal(max_categories=most):
            if most < 0:
                return "needs max_categories of 0 or more"
        case t.DateParts(parts=parts):
            if not parts or len(set(parts)) != len(parts):
                return "needs at least one part, each once"
    return ""


def _fault_of_buckets(transform: t.Bucketize) -> str:
    edges = transform.edges
    if bool(edges) != (transform.strategy == "edges"):
        return "needs 'edges' with the strategy edges, and with no other"
    if list(edges) != sorted(set(edges)):
        return "needs edges in rising order, each once"
    if not edges and not 2 <= transform.buckets <= MAX_BUCKETS:
        return f"needs 2 to {MAX_BUCKETS} buckets"
    return ""


def _fault_of_hash(transform: t.Hash) -> str:
    if not 1 <= transform.buckets <= MAX_HASH_BUCKETS:
        return f"needs 1 to {MAX_HASH_BUCKETS} buckets"
    if transform.one_hot and transform.buckets > MAX_ONE_HOT_BUCKETS:
        return f"makes more than {MAX_ONE_HOT_BUCKETS} columns; use fewer buckets, or no one_hot"
    if not 0 <= transform.seed < 2**32:
        return "needs a seed of 0 to 4294967295"
    return ""
