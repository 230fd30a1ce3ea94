"""What is said of the protocol's extensions that are not here."""

NO_SHARED_MEMORY = (
    "this server uses no shared memory; send and take tensors in the message, as binary data"
)
NO_TRACES = (
    "this server keeps no traces of requests; their durations are in the metrics, at /metrics on"
    " the management port"
)


def no_region(name: str) -> str:
    """What is said of a region of shared memory, of whatever name."""
    return f"no shared memory region '{name[:128]}' is registered"
