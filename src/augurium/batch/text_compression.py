"""Streams that compress what text formats write. Imports pyarrow."""

import pyarrow as pa


def compressed(stream: pa.NativeFile, compression: str) -> pa.NativeFile:
    """`stream` itself for `none`; closing what comes back ends the compressed content."""
    return stream if compression == "none" else pa.CompressedOutputStream(stream, compression)
