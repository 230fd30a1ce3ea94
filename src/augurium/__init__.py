"""Augurium: from a trained model to a prediction service."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augurium.client import AsyncClient, Client, Retries, TlsFiles

__all__ = ["AsyncClient", "Client", "Retries", "TlsFiles", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # a server imports this package too, and has no use for its client
    if name in __all__:
        from augurium import client

        return getattr(client, name)
    raise AttributeError(f"module 'augurium' has no attribute '{name}'")
