"""A real S3 server and a web server for what the client reads."""

from tests.support.s3_server import s3, s3_server

__all__ = ["s3", "s3_server"]
