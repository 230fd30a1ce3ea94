"""The Python client of a node: register, deploy and predict."""

from augurium.client.async_client import AsyncClient
from augurium.client.client import Client
from augurium.client.connection import TlsFiles
from augurium.client.errors import ClientClosed, NoServer
from augurium.client.retries import Retries

__all__ = ["AsyncClient", "Client", "ClientClosed", "NoServer", "Retries", "TlsFiles"]
