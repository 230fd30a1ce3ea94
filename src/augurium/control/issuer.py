"""The identity provider's public keys: read by control, kept on disk for when it is down."""

import asyncio
from pathlib import Path

import httpx
import structlog

from augurium.access.jwks import MAX_BYTES, usable_keys
from augurium.core.errors import AuguriumError, NotReady, Unprocessable
from augurium.core.files import write_atomically

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 5.0
EVERY_S = 600.0
WANTED_EVERY_S = 60.0
RETRY_EVERY_S = 10.0
log = structlog.get_logger()


class Issuer:
    """Where the public keys come from: a URL or a file. `keys` is a JWKS, empty at first."""

    def __init__(self, source: str, kept: Path) -> None:
        self._source = source
        self._kept = kept
        self._asked_at = float("-inf")
        self._wanted_at = 0.0
        self.keys = ""

    def due(self, now: float, wanted_at: float) -> bool:
        """Whether to read the keys at `now` (monotonic seconds); yes counts as done.

        `wanted_at` is when a token last named a key that is not known. However many such tokens
        come, the issuer is asked once a minute.
        """
        wanted = wanted_at > self._wanted_at
        pause_s = WANTED_EVERY_S if wanted else EVERY_S
        if not self.keys:
            pause_s = RETRY_EVERY_S
        if now - self._asked_at < pause_s:
            return False
        self._asked_at, self._wanted_at = now, wanted_at
        return True

    def restore(self) -> None:
        """Takes the keys that an earlier run kept. Blocking."""
        try:
            self.keys = usable_keys(self._kept.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, AuguriumError) as error:
            log.warning("kept issuer keys ignored", reason=str(error))

    async def refresh(self) -> bool:
        """Reads the keys anew; whether they changed. What cannot be read leaves the old ones."""
        try:
            found = usable_keys(await self._read())
        except AuguriumError as error:
            log.warning("issuer keys not renewed", kept=bool(self.keys), reason=str(error))
            return False
        if found == self.keys:
            return False
        self.keys = found
        log.info("issuer keys renewed")
        try:
            await asyncio.to_thread(write_atomically, self._kept, found.encode())
        except OSError as error:
            log.error("issuer keys not kept", reason=error.strerror)
        return True

    async def _read(self) -> bytes:
        if not self._source.startswith(("https://", "http://")):
            return await asyncio.to_thread(_file, Path(self._source))
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        content = bytearray()
        try:
            # not through a proxy and not elsewhere by a redirect: the setting is what is trusted
            async with (
                asyncio.timeout(READ_TIMEOUT_S),
                httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
                client.stream("GET", self._source) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise NotReady(f"the issuer answered {response.status_code} instead of 200")
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_BYTES:
                        raise Unprocessable(f"the JWKS is larger than {MAX_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise NotReady(f"the issuer cannot be reached: {reason}") from error
        return bytes(content)


def _file(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotReady(f"access.jwks {file} cannot be read: {error.strerror}") from error
