"""A prediction as it is logged, and how many of them cross from an engine to control."""

from collections.abc import Sequence

import msgspec

INPUTS_AND_OUTPUTS = slice(10, 12)


class LoggedPrediction(msgspec.Struct, frozen=True, array_like=True):
    """One request that has ended.

    `at` is when, in seconds since 1970, `seconds` how long it took, `outcome` `ok` or an error
    kind. `score` is the first number of the first output of the first row, None where there is
    none. With `sampled`, `inputs` and `outputs` are JSON: an object of lists by tensor, or the
    instances that were sent.
    """

    at: float
    prediction_id: str
    model: str
    version: int
    variant: str
    unit: str
    score: float | None
    seconds: float
    outcome: str
    sampled: bool
    inputs: str | None = None
    outputs: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[LoggedPrediction])


def encode_predictions(rows: Sequence[tuple[object, ...]]) -> bytes:
    """Rows, each with the values of a LoggedPrediction in their order."""
    return _encoder.encode(rows)


def decode_predictions(content: bytes) -> list[LoggedPrediction]:
    """What `encode_predictions` wrote. Raises msgspec.MsgspecError for something else."""
    return _decoder.decode(content)
