"""The Python client of a node: register, deploy and predict."""

from augurium.client.client import Client
from augurium.client.connection import TlsFiles
from augurium.client.errors import NoServer

__all__ = ["Client", "NoServer", "TlsFiles"]
