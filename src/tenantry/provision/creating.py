"""A tenant made: registered, placed, filled, opened; what a crash left half made is finished or removed first."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from tenantry.catalog import store
from tenantry.catalog.holder import this_process
from tenantry.errors import (
    CreationInProgress,
    IdentityTaken,
    LoginRequired,
    TenantExists,
    TenantLimitReached,
    TenantUnavailable,
)
from tenantry.events import announce
from tenantry.isolation.base import Strategy
from tenantry.isolation.contents import delete_rows
from tenantry.isolation.control import Control
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.isolation.purging import emptying
from tenantry.isolation.schema import PostgresSchema
from tenantry.isolation.servers import MAIN, Servers
from tenantry.provision.heads import Scripts
from tenantry.provision.seeding import Seeding
from tenantry.settings import Config
from tenantry.types import Isolation, Tenant, TenantStatus

REGISTERED: Final = "registered"
WAITING: Final = "waiting"
PLACED: Final = "placed"
ACTIVE: Final = "active"
_ACTION: Final = "Creating a tenant"
_PLACED_ELSEWHERE: Final = "Give the owner's login, or create tenants with tenancy.tenants.create(...)."
_Names = Sequence[tuple[str, str]]
_Filling = tuple[str, str, Callable[[], None]]

# Tenants that threads of this process are making or removing right now, whatever Tenancy they use.
_in_hand: Final[set[uuid.UUID]] = set()
_in_hand_lock: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Case:
    """A tenant in hand: how far it had come, whether by somebody else's creation, and whether others go on."""

    tenant: Tenant
    step: str
    taken_over: bool = False
    others: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A tenant that has a place and is not open yet: nobody else is let in before it is finished."""

    creating: Creating
    case: _Case

    @property
    def tenant(self) -> Tenant:
        """The tenant."""
        return self.case.tenant

    def finish(self) -> Tenant:
        """Opens the tenant, once its first rows are committed, and returns it."""
        return self.creating.finish(self.case)

    def abandon(self) -> None:
        """Removes the tenant, where its first rows were not committed."""
        self.creating.abandon(self.case)


class Creating:
    """The making of tenants in one installation."""

    def __init__(
        self,
        control: Control,
        servers: Servers,
        config: Config,
        scripts: Scripts,
        *,
        write_record: Callable[[Tenant, Any], None],
        seeding: Seeding,
    ) -> None:
        self._control = control
        self._servers = servers
        self._config = config
        self._scripts = scripts
        self._write_record = write_record
        self._seeding = seeding

    def create(self, wanted: Tenant, names: _Names, record: object | None) -> Tenant:
        """Returns the tenant, active, or in ``provisioning`` where only another process can make its placement.

        Raises: as ``Tenants.create``.
        """
        if self._make_at_once(wanted, names, record):
            return replace(wanted, status=TenantStatus.ACTIVE)
        try:
            case = self._register(wanted, names, opened=record is None and not self._seeding.seeds)
        except TenantExists:
            case = self._taken_over(wanted.slug)
        except TenantLimitReached:
            # What crashed counts until it is removed.
            if not self._clean_up(sparing=wanted.slug):
                raise
            return self.create(wanted, names, record)
        try:
            if case.others:
                self._clean_up(sparing=wanted.slug)
            return self._finish(case, record)
        finally:
            _in_hand.discard(case.tenant.id)

    def begin(self, wanted: Tenant, names: _Names) -> Begun:
        """Returns a tenant that is placed and not yet open, for somebody to write its first rows and then finish it.

        Raises: as ``Tenants.create``; TenantUnavailable where only another process can make its placement.
        """
        try:
            case = self._register(wanted, names, opened=False)
        except (TenantLimitReached, IdentityTaken):
            # What crashed counts, and keeps its names, until it is removed.
            if not self._clean_up(sparing=""):
                raise
            case = self._register(wanted, names, opened=False)
        begun = Begun(self, case)
        try:
            if not self._place(case):
                raise TenantUnavailable(tenant=case.tenant.id, status=case.tenant.status, next_step=_PLACED_ELSEWHERE)
        except BaseException:
            begun.abandon()
            raise
        return begun

    def finish(self, case: _Case) -> Tenant:
        """Writes what else a tenant begins with, and opens it."""
        try:
            self._fill(case, None)
            self._open(case.tenant)
        finally:
            _in_hand.discard(case.tenant.id)
        announce("create", "done", tenant=case.tenant.id)
        return replace(case.tenant, status=TenantStatus.ACTIVE)

    def abandon(self, case: _Case) -> None:
        """Removes a tenant that was begun and in which nothing was committed."""
        try:
            if case.tenant.isolation is not Isolation.ROWS:
                self._strategy(case.tenant).drop(case.tenant.id, force=True)
            with self._control.app(_ACTION) as connection:
                self._control.store.discard(connection, case.tenant.id)
        finally:
            _in_hand.discard(case.tenant.id)

    def _make_at_once(self, wanted: Tenant, names: _Names, record: object | None) -> bool:
        """Registers a tenant, makes its schema and opens it in one transaction, where the catalog is on that server.

        False, and nothing done, where it must go step by step; and where anything is refused, as the steps know an
        answer to each refusal.
        """
        strategy, head = self._strategy(wanted), self._head(wanted)
        if (
            not isinstance(strategy, PostgresSchema)
            or not self._is_one_transaction(wanted, record)
            or not self._control.looked_at
            or self._config.max_tenants is not None
        ):
            return False
        for step in ("register", "place", "activate"):
            announce("create", step, tenant=wanted.id)
        first, then = self._control.registering(wanted, names, head), self._control.opening(wanted.id)
        try:
            made = strategy.create_with(wanted.id, head=head, first=first, then=then)
        except Exception as error:
            if getattr(error, "sqlstate", None) is None:
                raise
            return False
        if made:
            announce("create", "done", tenant=wanted.id)
        return made

    def _is_one_transaction(self, tenant: Tenant, record: object | None) -> bool:
        """Whether nothing has to come between making a tenant's schema and opening it, and this process may do both."""
        return record is None and not self._seeding.seeds and tenant.server == MAIN and self._may_place(tenant)

    def _register(self, wanted: Tenant, names: _Names, *, opened: bool) -> _Case:
        """Registers the tenant where a placement is kept ready, or where one is to be made."""
        announce("create", "register", tenant=wanted.id)
        case = _Case(wanted, REGISTERED)
        try:
            with self._control.app(_ACTION) as connection:
                case = self._enrol(connection, wanted, names, opened=opened)
                # In hand before anyone can find it in the journal, where it would look like a crash of ours.
                _in_hand.add(case.tenant.id)
        except BaseException:
            _in_hand.discard(case.tenant.id)
            raise
        return case

    def _enrol(self, connection: Connection, wanted: Tenant, names: _Names, *, opened: bool) -> _Case:
        catalog, ceiling = self._control.store, self._config.max_tenants
        head = self._head(wanted)
        enrolled = catalog.enrol(connection, wanted, names=names, ceiling=ceiling, head=head)
        if enrolled.placed and opened:
            catalog.activate(connection, enrolled.tenant.id)
        step = (ACTIVE if opened else PLACED) if enrolled.placed else REGISTERED
        return _Case(enrolled.tenant, step, others=enrolled.others)

    def _taken_over(self, slug: str) -> _Case:
        """Returns the half-made tenant of that slug, now ours to finish."""
        tenant = self._control.resolve(("slug", slug))
        if tenant is None or tenant.status is not TenantStatus.PROVISIONING:
            raise TenantExists(slug=slug)
        with self._control.app(_ACTION) as connection:
            for left in self._control.store.unfinished(connection):
                if left.tenant == tenant.id and self._take(connection, left):
                    return _Case(tenant, left.step, taken_over=True)
        raise CreationInProgress(slug=slug)

    def _take(self, connection: Connection, left: store.Unfinished) -> bool:
        """Takes a half-made tenant in hand, unless somebody has it; who takes it lets it go again."""
        if not _is_free(left) or not _take_in_hand(left.tenant):
            return False
        if self._control.store.advance(connection, left.tenant, left.step, seen=left.holder):
            return True
        _in_hand.discard(left.tenant)
        return False

    def _finish(self, case: _Case, record: object | None) -> Tenant:
        tenant = case.tenant
        if case.step != ACTIVE and not self._place_and_open(case, record):
            if not self._place(case):
                self._advance(tenant, WAITING)
                return tenant
            self._fill(case, record)
            self._open(tenant)
        announce("create", "done", tenant=tenant.id)
        return replace(tenant, status=TenantStatus.ACTIVE)

    def _place_and_open(self, case: _Case, record: object | None) -> bool:
        """Makes a schema and opens its tenant in one transaction, where the catalog is there and nothing comes between.

        Raises: CreationInProgress where another process has taken over.
        """
        tenant = case.tenant
        strategy = self._strategy(tenant)
        begun = case.step not in (REGISTERED, WAITING)
        if begun or not isinstance(strategy, PostgresSchema) or not self._is_one_transaction(tenant, record):
            return False
        announce("create", "place", tenant=tenant.id)
        announce("create", "activate", tenant=tenant.id)
        try:
            return strategy.create_with(tenant.id, head=self._head(tenant), then=self._control.opening(tenant.id))
        except Exception as error:
            if getattr(error, "sqlstate", None) != store.OVERTAKEN_STATE:
                raise
            raise CreationInProgress(slug=tenant.slug) from error

    def _place(self, case: _Case) -> bool:
        """Makes the placement, unless it stands; False where it is another process's to make."""
        if case.step not in (REGISTERED, WAITING):
            return True
        if not self._may_place(case.tenant):
            return False
        announce("create", "place", tenant=case.tenant.id)
        self._strategy(case.tenant).create(case.tenant.id, head=self._head(case.tenant))
        return True

    def _fill(self, case: _Case, record: object | None) -> None:
        """Writes the rows a tenant begins with, each part in a transaction of its own."""
        tenant, fillings = case.tenant, list(self._fillings(case.tenant, record))
        if fillings:
            self._advance(tenant, PLACED)
        if fillings and case.taken_over:
            # Nobody was let in yet, so what stands here is what a crashed creation wrote: seeds run on nothing.
            self._empty(tenant)
        for name, step, fill in fillings:
            announce("create", name, tenant=tenant.id)
            fill()
            self._advance(tenant, step)

    def _fillings(self, tenant: Tenant, record: object | None) -> Iterator[_Filling]:
        if record is not None:
            yield "record", "recorded", partial(self._write_record, tenant, record)
        for name in self._seeding.seeds:
            yield "seed", f"seeded {name}", partial(self._seeding.sow, tenant, name)

    def _open(self, tenant: Tenant) -> None:
        announce("create", "activate", tenant=tenant.id)
        with self._control.app(_ACTION) as connection:
            opened = self._control.store.activate(connection, tenant.id)
        if not opened:
            # Another process took it for abandoned, and finished or removed it.
            raise CreationInProgress(slug=tenant.slug)

    def _empty(self, tenant: Tenant) -> None:
        with emptying(self._strategy(tenant), self._servers.metadata, tenant.id) as purge:
            delete_rows(purge, self._servers.metadata)

    def _advance(self, tenant: Tenant, step: str) -> None:
        announce("create", f"note {step}", tenant=tenant.id)
        with self._control.app(_ACTION) as connection:
            self._control.store.advance(connection, tenant.id, step)

    def _may_place(self, tenant: Tenant) -> bool:
        server = self._servers.get(tenant.server)
        if tenant.isolation is Isolation.ROWS or not isinstance(server, PostgresServer):
            return True
        try:
            server.url(OWNER, action=_ACTION)
        except LoginRequired:
            return False
        return True

    def _clean_up(self, *, sparing: str) -> bool:
        """Removes what crashed creations left, and says whether anything was; whoever holds one that lives is left."""
        with self._control.app(_ACTION) as connection:
            left_over = [left for left in self._control.store.unfinished(connection) if left.step != WAITING]
        removed = [self._remove_half_made(left, sparing=sparing) for left in left_over if _is_free(left)]
        return any(removed)

    def _remove_half_made(self, left: store.Unfinished, *, sparing: str) -> bool:
        tenant = self._control.resolve(("id", str(left.tenant)))
        if tenant is None or tenant.slug == sparing or not self._may_place(tenant):
            return False
        with self._control.app(_ACTION) as connection:
            if not self._take(connection, left):
                return False
        try:
            self._strategy(tenant).drop(tenant.id, force=True)
            with self._control.app(_ACTION) as connection:
                return self._control.store.discard(connection, tenant.id)
        finally:
            _in_hand.discard(tenant.id)

    def _head(self, tenant: Tenant) -> str | None:
        return None if tenant.isolation is Isolation.ROWS else self._scripts.head()

    def _strategy(self, tenant: Tenant) -> Strategy:
        return self._servers.strategy(tenant.server, tenant.isolation)


def _is_free(left: store.Unfinished) -> bool:
    mine = left.holder == this_process() and left.tenant not in _in_hand
    return left.abandoned or mine or left.step == WAITING


def _take_in_hand(tenant: uuid.UUID) -> bool:
    with _in_hand_lock:
        if tenant in _in_hand:
            return False
        _in_hand.add(tenant)
        return True
