"""The keeper of access: what the processes of a node need to know of credentials, kept current."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from augurium.access.access import Access, CertificateRule, TokenRules
from augurium.access.gateway import Gateway
from augurium.access.key_store import KeyStore
from augurium.access.keys import IssuedKey, Key, KeyDraft, within
from augurium.access.ledger import Ledger
from augurium.access.principal import Principal
from augurium.access.scopes import scope_named
from augurium.control.issuer import Issuer
from augurium.control.snapshots import Snapshots
from augurium.core.errors import AuguriumError
from augurium.core.home import Home
from augurium.core.settings import AccessSettings, Settings

LOOK_EVERY_S = 1.0
NOTE_EVERY_S = 60.0
log = structlog.get_logger()


class AccessKeeper:
    """Holds the keys, the issuer and the gateway of the management API; tells the engines.

    It looks at the keys once a second, because another node may change them in a shared database.
    """

    def __init__(
        self, settings: Settings, home: Home, keys: KeyStore, snapshots: Snapshots
    ) -> None:
        home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.required = settings.access.required
        # a page that a rebound name brings has no key to send
        any_host = settings.access.required and not settings.access.hosts
        own = {settings.node.host.lower(), settings.node.url_host.lower()}
        self.hosts = {"*"} if any_host else own | set(map(str.lower, settings.access.hosts))
        self._settings = settings
        self._keys = keys
        self._snapshots = snapshots
        self._ledger = Ledger(home.ledger)
        self._noted: dict[str, float] = {}
        self.gateway = Gateway(self._ledger)
        self._issuer = (
            Issuer(settings.access.jwks, home.issuer_keys) if settings.access.issuer else None
        )
        self._telling = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Makes the credentials known, without waiting for an issuer, and goes on watching."""
        if self._issuer is not None:
            await asyncio.to_thread(self._issuer.restore)
            self._tasks.append(asyncio.create_task(self._watch_issuer(self._issuer)))
        await self._tell()
        self._tasks.append(asyncio.create_task(self._watch_keys()))

    async def stop(self) -> None:
        """Notes the last uses and lets go of the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            await self._note_uses()
        self._ledger.close()

    def access(self) -> Access:
        """What engines must know, now. Blocking."""
        settings = self._settings.access
        return Access(
            keys=tuple(self._keys.live()),
            tokens=_token_rules(settings),
            jwks=self._issuer.keys if self._issuer else "",
            certificates=_certificate_rules(self._settings),
            rate=settings.rate,
            burst=settings.burst,
        )

    def keys(self, caller: Principal) -> list[Key]:
        """The keys that the caller may know of. Blocking."""
        return [key for key in self._keys.all() if within(key.models, caller)]

    async def create(self, draft: KeyDraft, caller: Principal) -> IssuedKey:
        """Makes a key; every engine knows it when this returns. Raises as `KeyStore.create`."""
        issued = await asyncio.to_thread(self._keys.create, draft, caller)
        await self._tell()
        log.info("key created", key=issued.record.name, id=issued.record.id, by=caller.name)
        return issued

    async def rotate(self, name: str, caller: Principal) -> IssuedKey:
        """Makes a second key of a name. Raises as `KeyStore.rotate`."""
        issued = await asyncio.to_thread(self._keys.rotate, name, caller)
        await self._tell()
        log.info("key rotated", key=name, id=issued.record.id, by=caller.name)
        return issued

    async def revoke(self, which: str, caller: Principal) -> Sequence[Key]:
        """Ends keys; no engine takes them when this returns. Raises as `KeyStore.revoke`."""
        ended = await asyncio.to_thread(self._keys.revoke, which, caller)
        await self._tell()
        log.info("key revoked", key=ended[0].name, ids=[key.id for key in ended], by=caller.name)
        return ended

    async def _tell(self) -> None:
        """Makes everyone on this node act by what is valid now."""
        # one at a time, or an older state could be told after a newer one
        async with self._telling:
            access = await asyncio.to_thread(self.access)
            self.gateway.renew(access)
            await self._snapshots.renew(access)

    async def _watch_keys(self) -> None:
        noted = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._tell()
            except AuguriumError as error:
                log.warning("keys cannot be read; those known stay valid", reason=str(error))
            if time.monotonic() - noted > NOTE_EVERY_S:
                noted = time.monotonic()
                await self._note_uses()

    async def _watch_issuer(self, issuer: Issuer) -> None:
        """Reads the issuer's keys when it is time; `_watch_keys` tells of them."""
        while True:
            if issuer.due(time.monotonic(), self._ledger.signer_wanted_at):
                await issuer.refresh()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _note_uses(self) -> None:
        """Writes down when keys were last used, where that is news."""
        times = {key.id: self._ledger.used(f"key:{key.id}") for key in self.gateway.live_keys()}
        news = {key: at for key, at in times.items() if at > self._noted.get(key, 0.0)}
        moments = {key: datetime.fromtimestamp(at, UTC) for key, at in news.items()}
        try:
            await asyncio.to_thread(self._keys.note_use, moments)
        except AuguriumError as error:
            log.warning("last uses of keys not noted", reason=str(error))
        else:
            self._noted |= news


def _token_rules(settings: AccessSettings) -> TokenRules | None:
    if not settings.issuer:
        return None
    return TokenRules(
        issuer=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        leeway_s=settings.leeway_s,
        scopes_claim=settings.scopes_claim,
        scope_map=settings.scope_map,
        models_claim=settings.models_claim,
    )


def _certificate_rules(settings: Settings) -> tuple[CertificateRule, ...]:
    # without an authority nobody has checked a name
    if not settings.tls.client_ca:
        return ()
    return tuple(
        CertificateRule(name, tuple(map(scope_named, scopes.split())))
        for name, scopes in settings.access.certificates.items()
    )
