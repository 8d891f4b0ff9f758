"""Tenants created, found, listed, suspended, renamed and erased."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tenantry.catalog import operations, records
from tenantry.catalog.lifecycle import check_step
from tenantry.catalog.warming import WarmPlacement
from tenantry.errors import EraseNotConfirmed, OperationInProgress, TenantCreationDisabled, TenantNotFound
from tenantry.events import announce, watched
from tenantry.ids import check_identity, check_slug, parse_key, uuid7
from tenantry.isolation.base import Strategy
from tenantry.isolation.control import Control
from tenantry.isolation.servers import MAIN, Servers
from tenantry.provision.adopting import adopt
from tenantry.provision.creating import Begun, Creating
from tenantry.provision.seeding import Seeding
from tenantry.provision.warm import WarmPool
from tenantry.settings import Config
from tenantry.types import Isolation, Tenant, TenantKey, TenantStatus


class Tenants:
    """The tenants of one installation."""

    def __init__(
        self,
        control: Control,
        servers: Servers,
        config: Config,
        *,
        creating: Creating,
        seeding: Seeding,
        pool: WarmPool,
        changed: Callable[[Tenant], None],
    ) -> None:
        self._control = control
        self._servers = servers
        self._config = config
        self._creating = creating
        self._seeding = seeding
        self._pool = pool
        self._changed = changed

    @watched("tenants.create")
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
        self._check_allowed()
        tenant = self._creating.create(wanted, pairs, record)
        self._changed(tenant)
        return tenant

    def begin(
        self,
        slug: str,
        *,
        name: str | None = None,
        isolation: Isolation | str | None = None,
        server: str | None = None,
        identities: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
    ) -> Begun:
        """Returns a new tenant that has its place and gets no sessions before it is finished; for doors.

        Raises: as ``create``, and TenantUnavailable where this process cannot make the placement.
        """
        wanted = self._wanted(slug, name=name, isolation=isolation, server=server or MAIN, settings={})
        self._check_allowed()
        return self._creating.begin(wanted, _pairs(identities))

    def seed(self, key: TenantKey) -> Sequence[str]:
        """Runs for an active tenant the seeds that have not run for it yet, and returns their names.

        Raises: TenantNotFound, and as ``Tenancy.session``.
        """
        tenant = self.get(key)
        missing = self._seeding.missing(tenant.id)
        for name in missing:
            self._seeding.sow(tenant, name)
        return missing

    @watched("tenants.adopt")
    def adopt(
        self,
        slug: str,
        url: str,
        *,
        name: str | None = None,
        server: str | None = None,
        identities: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Tenant:
        """Returns a new tenant whose rows are in a database that exists, which is left exactly as it stands.

        It gets sessions once its tables have keys: ``fleet.adopting.Adoption(tenancy, Plan(tenants=Single(slug)))``.

        Raises: InvalidSlug, InvalidKey, TenantExists, IdentityTaken, TenantLimitReached, TenantCreationDisabled,
            ConfigurationError for a database that is not there, is ours, or has another tenant, LoginRequired.
        """
        wanted = self._wanted(
            slug, name=name, isolation=Isolation.DATABASE, server=server or MAIN, settings=settings or {}
        )
        return adopt(self._control, self._servers, self._config, wanted, _pairs(identities), url=url, server=server)

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
            return records.listing(connection, after=start, limit=limit)

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

        Another tenant may have the old slug when no process remembers it, ``Config.route_ttl`` seconds later.

        Raises: TenantNotFound, InvalidSlug, TenantExists.
        """
        tenant = self.get(key)
        with self._control.manage("Renaming a tenant") as connection:
            rests = self._config.route_ttl
            records.rename(connection, tenant, slug=check_slug(slug), name=name or tenant.name, rests=rests)
        self._changed(tenant)
        return self.get(tenant.id)

    def add_identity(self, key: TenantKey, kind: str, value: str) -> None:
        """Lets one more outside name find a tenant.

        Raises: TenantNotFound, InvalidKey, IdentityTaken.
        """
        pair = check_identity(kind, value)
        tenant = self.get(key)
        with self._control.manage("Adding an identity") as connection:
            records.add_identity(connection, tenant, *pair)

    def identities(self, key: TenantKey) -> Sequence[tuple[str, str]]:
        """Returns the outside names that find a tenant, as (kind, value).

        Raises: TenantNotFound.
        """
        tenant = self.get(key)
        with self._control.manage("Listing identities") as connection:
            return records.identities_of(connection, tenant)

    @watched("tenants.erase")
    def erase(self, key: TenantKey, *, confirm: str, force: bool = False) -> Mapping[str, int]:
        """Removes every row of a tenant and its placement, and returns how many rows went, by table.

        The identifier is never given out again; slug and identities are free when no process remembers them,
        ``Config.route_ttl`` seconds later. *force* takes along what stands in the placement and was not made from the
        models.

        Raises: TenantNotFound, EraseNotConfirmed, OperationInProgress while a move of it has another place in hand,
            LifecycleError, SurprisingErase.
        """
        tenant = self.get(key)
        if confirm != tenant.slug:
            raise EraseNotConfirmed(slug=tenant.slug)
        self._refuse_moving(tenant)
        if tenant.status is not TenantStatus.ERASING:
            tenant = self._close(tenant)
        announce("erase", "drop", tenant=tenant.id)
        counts = self._strategy(tenant).drop(tenant.id, force=force)
        announce("erase", "bury", tenant=tenant.id)
        with self._control.manage("Erasing a tenant") as connection:
            records.set_status(connection, tenant, TenantStatus.ERASED)
            records.bury(connection, tenant)
        self._changed(tenant)
        return counts

    def warm(self, isolation: Isolation | str, *, server: str = MAIN, size: int) -> int:
        """Brings the placements kept ready to *size* and returns how many were made; creations take them first.

        Raises: IsolationUnavailable, ServerUnknown, LoginRequired without the owner's login.
        """
        return self._pool.bring(Isolation(isolation), server, size=size)

    def refill(self) -> int:
        """Makes what is missing of ``Config.warm`` and returns how many were made.

        Raises: as ``warm``.
        """
        return self._pool.refill()

    def keep_warm(self, *, every: float = 5.0) -> AbstractContextManager[None]:
        """Has a thread refill what ``Config.warm`` asks for, every so many seconds, while a ``with`` block lasts."""
        return self._pool.kept(every=every)

    def warm_placements(self, *, begun: bool = False) -> Sequence[WarmPlacement]:
        """Returns the placements that are kept ready, the oldest first; *begun* adds those being made or dropped.

        Raises: LoginRequired without the platform's or the owner's login.
        """
        return self._pool.placements(begun=begun)

    def note_warm_head(self, placement: uuid.UUID, head: str | None) -> None:
        """Records that the fleet brought a placement kept ready to another revision; of a tenant's it says nothing."""
        self._pool.note_head(placement, head)

    def _check_allowed(self) -> None:
        if not self._config.allow_tenant_creation:
            raise TenantCreationDisabled

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

    def _step(self, key: TenantKey, wanted: TenantStatus, action: str) -> Tenant:
        tenant = self.get(key)
        check_step(tenant.id, tenant.status, wanted)
        with self._control.manage(action) as connection:
            records.set_status(connection, tenant, wanted)
        self._changed(tenant)
        return self.get(tenant.id)

    def _close(self, tenant: Tenant) -> Tenant:
        check_step(tenant.id, tenant.status, TenantStatus.ERASING)
        with self._control.manage("Erasing a tenant") as connection:
            records.close(connection, tenant, rests=self._config.route_ttl)
        self._changed(tenant)
        return self.get(tenant.id)

    def _refuse_moving(self, tenant: Tenant) -> None:
        with self._control.manage("Erasing a tenant") as connection:
            found = operations.of_tenant(connection, tenant.id, operations.MOVE)
        for move in found:
            if move.state not in operations.ENDED:
                raise OperationInProgress(tenant=tenant.id, kind=move.kind, operation=move.id, step=move.step)

    def _strategy(self, tenant: Tenant) -> Strategy:
        return self._servers.strategy_of(tenant)


def _pairs(identities: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    given = identities.items() if isinstance(identities, Mapping) else identities or ()
    return [check_identity(kind, value) for kind, value in given]
