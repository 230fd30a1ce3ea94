"""Who made an archive: a node's own Ed25519 key, and the keys of others that it trusts (RFC 8032).

A public key is one line of text, `augurium-ed25519:` and 32 bytes in base64. Its fingerprint is the
beginning of the SHA-256 of those bytes, short enough to be read aloud.
"""

import base64
import binascii
import hashlib
import json
import os
import tempfile
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from augurium.core.errors import InvalidArgument, NotFound, NotReady
from augurium.core.files import sync_folder, write_atomically
from augurium.core.identifiers import check_name
from augurium.registry.staging import disk_errors

PREFIX = "augurium-ed25519:"
KEY_BYTES = 32
FINGERPRINT_LENGTH = 32
OWN = "this node"


class TrustedKey(msgspec.Struct, frozen=True):
    """A public key whose signatures are believed, and what it is called here."""

    name: str
    key: str
    fingerprint: str


class SigningKeys:
    """The keys in one folder. The node's own is made when it is first needed, for its owner only.

    May be used from several threads and processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / "signing.pem"
        self._trusted = folder / "trusted.json"

    def sign(self, message: bytes) -> bytes:
        """A signature of 64 bytes by the node's own key."""
        return self._own_key().sign(message)

    def own(self) -> TrustedKey:
        """The node's own public key."""
        raw = self._own_key().public_key().public_bytes_raw()
        return TrustedKey(OWN, PREFIX + base64.b64encode(raw).decode(), _fingerprint(raw))

    def trusted(self) -> tuple[TrustedKey, ...]:
        """The keys that were added, by name."""
        with disk_errors():
            try:
                found = json.loads(self._trusted.read_bytes())
            except FileNotFoundError:
                return ()
            except ValueError as error:
                raise NotReady(
                    f"{self._trusted} cannot be read; remove it and add the keys again"
                ) from error
        return tuple(TrustedKey(name, key, fingerprint(key)) for name, key in found.items())

    def find(self, signer: str) -> TrustedKey | None:
        """The known key with this fingerprint: the node's own or a trusted one."""
        return next(
            (key for key in (self.own(), *self.trusted()) if key.fingerprint == signer), None
        )

    def trust(self, name: str, key: str) -> TrustedKey:
        """Adds a key, or replaces the one of that name. Raises InvalidArgument for a bad key."""
        check_name("key name", name)
        added = TrustedKey(name, key.strip(), fingerprint(key))
        self._write({**{known.name: known.key for known in self.trusted()}, name: added.key})
        return added

    def distrust(self, name: str) -> None:
        """Removes a key by name or fingerprint. Raises NotFound."""
        known = self.trusted()
        kept = {key.name: key.key for key in known if name not in (key.name, key.fingerprint)}
        if len(kept) == len(known):
            raise NotFound(f"no trusted key is called '{name[:64]}'; see `augurium trust list`")
        self._write(kept)

    def _write(self, keys: dict[str, str]) -> None:
        with disk_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._trusted, json.dumps(dict(sorted(keys.items()))).encode())

    def _own_key(self) -> Ed25519PrivateKey:
        with disk_errors():
            if not self._own.exists():
                self._make_own()
            content = self._own.read_bytes()
        try:
            key = serialization.load_pem_private_key(content, None)
        except ValueError as error:
            raise _unusable(self._own) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _unusable(self._own)
        return key

    def _make_own(self) -> None:
        content = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files that only their owner may read
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".signing.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # a link and no rename: of two processes that make a key, the first one wins
            os.link(name, self._own)
        except FileExistsError:
            pass
        finally:
            Path(name).unlink(missing_ok=True)
        sync_folder(self._folder)


def verified(key: str, signature: bytes, message: bytes) -> bool:
    """Whether the holder of `key` signed `message`. Raises InvalidArgument for what is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(_raw(key)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def fingerprint(key: str) -> str:
    """The fingerprint of a public key. Raises InvalidArgument for what is none."""
    return _fingerprint(_raw(key))


def _fingerprint(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:FINGERPRINT_LENGTH]


def _raw(key: str) -> bytes:
    text = key.strip()
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not text.startswith(PREFIX) or len(raw) != KEY_BYTES:
        raise InvalidArgument(
            f"{text[:80]!r} is not a public key; expected one line that begins with {PREFIX}, as "
            "`augurium trust key` prints it"
        )
    return raw


def _unusable(file: Path) -> NotReady:
    return NotReady(
        f"{file} is not an Ed25519 key; put the right file back, or remove it to have a new one"
    )
