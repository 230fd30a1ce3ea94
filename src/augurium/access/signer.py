"""A signer that is not known. Apart from `tokens.py`: a node without tokens needs no library."""

from augurium.core.errors import Unauthenticated


class UnknownSigner(Unauthenticated):
    """The token names a key that the issuer had not published when we last looked."""
