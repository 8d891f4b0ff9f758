"""Tenants created, found, listed, suspended, renamed and erased."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from tenantry.catalog import store
from tenantry.catalog.holder import this_process
from tenantry.catalog.lifecycle import check_step
from tenantry.errors import (
    CreationInProgress,
    EraseNotConfirmed,
    LoginRequired,
    TenantCreationDisabled,
    TenantExists,
    TenantNotFound,
)
from tenantry.events import announce
from tenantry.ids import check_identity, check_slug, parse_key, uuid7
from tenantry.isolation.base import Strategy
from tenantry.isolation.control import Control
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.isolation.servers import MAIN, Servers
from tenantry.provision.heads import Scripts
from tenantry.settings import Config
from tenantry.types import Isolation, Tenant, TenantKey, TenantStatus

WAITING: Final = "waiting"
_CREATING: Final = "Creating a tenant"

# Tenants that threads of this process are making or removing right now, whatever Tenancy they use.
_in_hand: Final[set[uuid.UUID]] = set()
_in_hand_lock: Final = threading.Lock()


class Tenants:
    """The tenants of one installation."""

    def __init__(
        self,
        control: Control,
        servers: Servers,
        config: Config,
        scripts: Scripts,
        *,
        write_record: Callable[[Tenant, object], None],
        changed: Callable[[Tenant], None],
    ) -> None:
        self._control = control
        self._servers = servers
        self._config = config
        self._scripts = scripts
        self._write_record = write_record
        self._changed = changed

    def create(
        self,
        slug: str,
        *,
        name: str | None = None,
        isolation: Isolation | str | None = None,
        server: str | None = None,
        identities: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        settings: Mapping[str, Any] | None = None,
        record: object | None = None,
    ) -> Tenant:
        """Returns a new tenant, ready for sessions; what a crash left half-made is finished or removed first.

        Without the owner's login a schema or a database cannot be made: the tenant then stays in ``provisioning``
        until a process with that login creates it again by its slug.

        Raises: InvalidSlug, InvalidKey, TenantExists, IdentityTaken, TenantLimitReached, TenantCreationDisabled,
            IsolationUnavailable, ServerUnknown, CreationInProgress.
        """
        wanted = self._wanted(slug, name=name, isolation=isolation, server=server or MAIN, settings=settings or {})
        pairs = _pairs(identities)
        if not self._config.allow_tenant_creation:
            raise TenantCreationDisabled
        self._clean_up(sparing=slug)
        tenant = self._register(wanted, pairs)
        try:
            return self._finish(tenant, record)
        finally:
            _in_hand.discard(tenant.id)

    def get(self, key: TenantKey) -> Tenant:
        """Returns the tenant that *key* finds, whatever its status.

        Raises: InvalidKey, TenantNotFound.
        """
        kind, value = parse_key(key)
        found = self._control.resolve((kind, value))
        if found is None:
            raise TenantNotFound(key=value)
        return found

    def list(self, after: TenantKey | None = None, limit: int = 100) -> list[Tenant]:
        """Returns up to *limit* tenants in the order of their creation, starting behind *after*.

        Raises: LoginRequired without the platform's or the owner's login.
        """
        start = self.get(after).id if after is not None else None
        with self._control.manage("Listing tenants") as connection:
            return store.listing(connection, after=start, limit=limit)

    def suspend(self, key: TenantKey) -> Tenant:
        """Closes a tenant to new sessions; other processes follow within ``Config.route_ttl`` seconds.

        Raises: TenantNotFound, LifecycleError.
        """
        return self._step(key, TenantStatus.SUSPENDED, "Suspending a tenant")

    def resume(self, key: TenantKey) -> Tenant:
        """Opens a suspended tenant again.

        Raises: TenantNotFound, LifecycleError.
        """
        return self._step(key, TenantStatus.ACTIVE, "Resuming a tenant")

    def rename(self, key: TenantKey, slug: str, *, name: str | None = None) -> Tenant:
        """Gives a tenant another slug; its identifier and its rows stay where they are.

        Raises: TenantNotFound, InvalidSlug, TenantExists.
        """
        tenant = self.get(key)
        with self._control.manage("Renaming a tenant") as connection:
            store.rename(connection, tenant, slug=check_slug(slug), name=name or tenant.name)
        self._changed(tenant)
        return self.get(tenant.id)

    def add_identity(self, key: TenantKey, kind: str, value: str) -> None:
        """Lets one more outside name find a tenant.

        Raises: TenantNotFound, InvalidKey, IdentityTaken.
        """
        pair = check_identity(kind, value)
        tenant = self.get(key)
        with self._control.manage("Adding an identity") as connection:
            store.add_identity(connection, tenant, *pair)

    def identities(self, key: TenantKey) -> Sequence[tuple[str, str]]:
        """Returns the outside names that find a tenant, as (kind, value).

        Raises: TenantNotFound.
        """
        tenant = self.get(key)
        with self._control.manage("Listing identities") as connection:
            return store.identities_of(connection, tenant)

    def erase(self, key: TenantKey, *, confirm: str) -> Mapping[str, int]:
        """Removes every row of a tenant and its placement, and returns how many rows went, by table.

        The identifier is never given out again; the slug is free.

        Raises: TenantNotFound, EraseNotConfirmed, LifecycleError.
        """
        tenant = self.get(key)
        if confirm != tenant.slug:
            raise EraseNotConfirmed(slug=tenant.slug)
        if tenant.status is not TenantStatus.ERASING:
            tenant = self._step(tenant, TenantStatus.ERASING, "Erasing a tenant")
        announce("erase", "drop", tenant=tenant.id)
        counts = self._strategy(tenant).drop(tenant.id)
        announce("erase", "bury", tenant=tenant.id)
        with self._control.manage("Erasing a tenant") as connection:
            store.set_status(connection, tenant, TenantStatus.ERASED)
            store.bury(connection, tenant)
        self._changed(tenant)
        return counts

    def _wanted(
        self,
        slug: str,
        *,
        name: str | None,
        isolation: Isolation | str | None,
        server: str,
        settings: Mapping[str, Any],
    ) -> Tenant:
        chosen = Isolation(isolation) if isolation else self._servers.default_isolation(server)
        identifier = uuid7()
        return Tenant(
            id=identifier,
            slug=check_slug(slug),
            name=name or slug,
            status=TenantStatus.PROVISIONING,
            isolation=chosen,
            server=server,
            physical=self._servers.strategy(server, chosen).place(identifier),
            epoch=1,
            settings=settings,
        )

    def _register(self, wanted: Tenant, pairs: Sequence[tuple[str, str]]) -> Tenant:
        announce("create", "register", tenant=wanted.id)
        # Taken in hand before anyone can find it in the journal, where it would look like a crash of this process.
        _in_hand.add(wanted.id)
        try:
            with self._control.app(_CREATING) as connection:
                self._control.store.register(connection, wanted, names=pairs, ceiling=self._config.max_tenants)
        except BaseException as error:
            _in_hand.discard(wanted.id)
            if isinstance(error, TenantExists):
                return self._taken_over(wanted.slug)
            raise
        return wanted

    def _taken_over(self, slug: str) -> Tenant:
        """Returns the half-made tenant of that slug, now ours to finish."""
        tenant = self.get(slug)
        if tenant.status is not TenantStatus.PROVISIONING:
            raise TenantExists(slug=slug)
        with self._control.app(_CREATING) as connection:
            left_over = [left for left in self._control.store.unfinished(connection) if left.tenant == tenant.id]
            if not any(self._take(connection, left) for left in left_over):
                raise CreationInProgress(slug=slug)
        return tenant

    def _take(self, connection: Connection, left: store.Unfinished) -> bool:
        """Takes a half-made tenant in hand, unless somebody has it; who takes it lets it go again."""
        if not self._is_free(left) or not _take_in_hand(left.tenant):
            return False
        if self._control.store.advance(connection, left.tenant, left.step, seen=left.holder):
            return True
        _in_hand.discard(left.tenant)
        return False

    def _is_free(self, left: store.Unfinished) -> bool:
        mine = left.holder == this_process() and left.tenant not in _in_hand
        return left.abandoned or mine or left.step == WAITING

    def _finish(self, tenant: Tenant, record: object | None) -> Tenant:
        if not self._may_place(tenant):
            self._advance(tenant, WAITING)
            return tenant
        announce("create", "place", tenant=tenant.id)
        self._strategy(tenant).create(tenant.id, head=self._head(tenant))
        self._advance(tenant, "placed")
        if record is not None:
            announce("create", "record", tenant=tenant.id)
            self._write_record(tenant, record)
            self._advance(tenant, "recorded")
        announce("create", "activate", tenant=tenant.id)
        with self._control.app(_CREATING) as connection:
            self._control.store.activate(connection, tenant.id)
        announce("create", "done", tenant=tenant.id)
        self._changed(tenant)
        return self.get(tenant.id)

    def _advance(self, tenant: Tenant, step: str) -> None:
        announce("create", f"note {step}", tenant=tenant.id)
        with self._control.app(_CREATING) as connection:
            self._control.store.advance(connection, tenant.id, step)

    def _may_place(self, tenant: Tenant) -> bool:
        server = self._servers.get(tenant.server)
        if tenant.isolation is Isolation.ROWS or not isinstance(server, PostgresServer):
            return True
        try:
            server.url(OWNER, action=_CREATING)
        except LoginRequired:
            return False
        return True

    def _clean_up(self, *, sparing: str) -> None:
        """Removes what crashed creations of other tenants left; whoever holds one that lives is left alone."""
        with self._control.app(_CREATING) as connection:
            left_over = self._control.store.unfinished(connection)
        for left in left_over:
            if left.step != WAITING and self._is_free(left):
                self._remove_half_made(left, sparing)

    def _remove_half_made(self, left: store.Unfinished, sparing: str) -> None:
        tenant = self._control.resolve(("id", str(left.tenant)))
        if tenant is None or tenant.slug == sparing or not self._may_place(tenant):
            return
        with self._control.app(_CREATING) as connection:
            if not self._take(connection, left):
                return
        try:
            self._strategy(tenant).drop(tenant.id, force=True)
            with self._control.app(_CREATING) as connection:
                self._control.store.discard(connection, tenant.id)
        finally:
            _in_hand.discard(tenant.id)

    def _step(self, key: TenantKey, wanted: TenantStatus, action: str) -> Tenant:
        tenant = self.get(key)
        check_step(tenant.id, tenant.status, wanted)
        with self._control.manage(action) as connection:
            store.set_status(connection, tenant, wanted)
        self._changed(tenant)
        return self.get(tenant.id)

    def _head(self, tenant: Tenant) -> str | None:
        return None if tenant.isolation is Isolation.ROWS else self._scripts.head()

    def _strategy(self, tenant: Tenant) -> Strategy:
        return self._servers.strategy(tenant.server, tenant.isolation)


def _take_in_hand(tenant: uuid.UUID) -> bool:
    with _in_hand_lock:
        if tenant in _in_hand:
            return False
        _in_hand.add(tenant)
        return True


def _pairs(identities: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    given = identities.items() if isinstance(identities, Mapping) else identities or ()
    return [check_identity(kind, value) for kind, value in given]
