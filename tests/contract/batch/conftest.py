"""Batch jobs read and write object stores."""

from tests.support.s3_server import s3, s3_server

__all__ = ["s3", "s3_server"]
