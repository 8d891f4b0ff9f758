"""What PostgreSQL's catalog and SQLite's do each in its own way, on a connection whose transaction is the caller's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from sqlalchemy import Connection, and_, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenantry.catalog import warming
from tenantry.catalog.holder import LEASE_SECONDS, has_let_go, held, this_process
from tenantry.catalog.records import catalog_version, found_by, placed, tenant_in
from tenantry.catalog.resting import check_rested
from tenantry.catalog.tables import (
    CATALOG_SCHEMA,
    identities,
    journal,
    now,
    operator_log,
    placements,
    tenants,
)
from tenantry.errors import CatalogMissing, IdentityTaken, TenantExists, TenantLimitReached
from tenantry.ids import SLUG_KIND
from tenantry.types import Tenant, TenantStatus

_LIMIT_STATE: Final = "TN003"
# Division by nought: another process has the tenant.
OVERTAKEN_STATE: Final = "22012"
_running: Final = and_(journal.c.kind == "create", journal.c.state == "running")
_UNDEFINED_SCHEMA: Final = ("3F000", "42883", "42P01")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A creation that has not ended: who holds it, how far it came, and whether its holder is gone."""

    tenant: uuid.UUID
    step: str
    holder: str
    abandoned: bool


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A tenant as it was registered: whether its placement was kept ready, and whether other creations go on."""

    tenant: Tenant
    placed: bool
    others: bool


def opening_statement(tenant: uuid.UUID) -> str:
    """Returns the statement by which PostgreSQL's catalog opens a tenant, or fails with ``OVERTAKEN_STATE``."""
    # A block of PL/pgSQL would be compiled for this one use.
    return f"SELECT 1 / {CATALOG_SCHEMA}.activate('{tenant}')::int"


def registering_statements(tenant: Tenant, names: Sequence[tuple[str, str]], head: str | None) -> list[str]:
    """Returns the statements by which PostgreSQL's catalog registers a tenant inside a transaction of the owner's.

    They fail with ``OVERTAKEN_STATE`` where a placement is kept ready, or another creation has not ended.
    """
    server, isolation, at_head = _quoted(tenant.server), _quoted(tenant.isolation.value), _quoted(head)
    ready = f"server = {server} AND isolation = {isolation} AND state = 'ready' AND head IS NOT DISTINCT FROM {at_head}"
    running = "kind = 'create' AND state = 'running' AND step <> 'waiting'"
    return [
        # First of all, as in register(): the catalog's upgrade locks it before the tables.
        f"SELECT FROM {CATALOG_SCHEMA}.meta WHERE name = 'version' FOR SHARE",
        f"SELECT 1 / (NOT EXISTS (SELECT FROM {CATALOG_SCHEMA}.warm WHERE {ready}) "
        f"AND NOT EXISTS (SELECT FROM {CATALOG_SCHEMA}.journal WHERE {running}))::int",
        f"SELECT {CATALOG_SCHEMA}.register({_quoted(_document(tenant))}, {_quoted(_pairs(names))}, NULL)",
    ]


class Store(Protocol):
    """What the two databases do each in its own way; PostgreSQL's app login reaches the catalog by functions only."""

    def resolve(self, connection: Connection, kind: str, value: str) -> Tenant | None: ...
    def version(self, connection: Connection) -> int: ...
    def register(
        self, connection: Connection, tenant: Tenant, *, names: Sequence[tuple[str, str]], ceiling: int | None
    ) -> None: ...
    def enrol(
        self,
        connection: Connection,
        tenant: Tenant,
        *,
        names: Sequence[tuple[str, str]],
        ceiling: int | None,
        head: str | None,
    ) -> Enrolled: ...
    def advance(self, connection: Connection, tenant: uuid.UUID, step: str, *, seen: str | None = None) -> bool: ...
    def activate(self, connection: Connection, tenant: uuid.UUID) -> bool: ...
    def discard(self, connection: Connection, tenant: uuid.UUID) -> bool: ...
    def unfinished(self, connection: Connection) -> list[Unfinished]: ...
    def record_operator(self, connection: Connection, reason: str, server: str) -> None: ...


class PostgresStore:
    """The catalog behind the functions of ``functions.sql``."""

    def resolve(self, connection: Connection, kind: str, value: str) -> Tenant | None:
        row = self._call(connection, "select * from {0}.resolve(:kind, :value)", kind=kind, value=value).one_or_none()
        return tenant_in(row._mapping) if row else None

    def version(self, connection: Connection) -> int:
        return int(self._call(connection, "select {0}.catalog_version()").scalar_one())

    def register(
        self, connection: Connection, tenant: Tenant, *, names: Sequence[tuple[str, str]], ceiling: int | None
    ) -> None:
        statement = "select {0}.register(cast(:tenant as jsonb), cast(:names as jsonb), :ceiling)"
        self._registered(connection, statement, tenant, names, ceiling)

    def enrol(
        self,
        connection: Connection,
        tenant: Tenant,
        *,
        names: Sequence[tuple[str, str]],
        ceiling: int | None,
        head: str | None,
    ) -> Enrolled:
        statement = "select * from {0}.enrol(cast(:tenant as jsonb), cast(:names as jsonb), :ceiling, :head)"
        row = self._registered(connection, statement, tenant, names, ceiling, head=head).one()
        return Enrolled(replace(tenant, id=row.id, physical=row.physical), row.placed, row.others)

    def _registered(
        self,
        connection: Connection,
        statement: str,
        tenant: Tenant,
        names: Sequence[tuple[str, str]],
        ceiling: int | None,
        **parameters: Any,
    ) -> Any:
        parameters |= {"tenant": _document(tenant), "names": _pairs(names)}
        try:
            return self._call(connection, statement, ceiling=ceiling, **parameters)
        except DBAPIError as error:
            raise _registration_error(error, tenant, names, ceiling) from error

    def advance(self, connection: Connection, tenant: uuid.UUID, step: str, *, seen: str | None = None) -> bool:
        statement = "select {0}.advance(cast(:tenant as uuid), :step, :holder, :lease, :seen)"
        held = {"holder": this_process(), "lease": LEASE_SECONDS, "seen": seen}
        return bool(self._call(connection, statement, tenant=str(tenant), step=step, **held).scalar_one())

    def activate(self, connection: Connection, tenant: uuid.UUID) -> bool:
        return bool(self._call(connection, "select {0}.activate(cast(:t as uuid))", t=str(tenant)).scalar_one())

    def discard(self, connection: Connection, tenant: uuid.UUID) -> bool:
        return bool(self._call(connection, "select {0}.discard(cast(:t as uuid))", t=str(tenant)).scalar_one())

    def unfinished(self, connection: Connection) -> list[Unfinished]:
        rows = self._call(connection, "select * from {0}.unfinished()")
        return [Unfinished(r.tenant_id, r.step, r.holder, has_let_go(r.holder, expired=r.expired)) for r in rows]

    def record_operator(self, connection: Connection, reason: str, server: str) -> None:
        self._call(connection, "select {0}.record_operator(:why, :server)", why=reason, server=server)

    def _call(self, connection: Connection, statement: str, **parameters: Any) -> Any:
        try:
            return connection.execute(text(statement.format(CATALOG_SCHEMA)), parameters)
        except DBAPIError as error:
            if _sqlstate(error) in _UNDEFINED_SCHEMA:
                raise CatalogMissing(server="main") from error
            raise


class SqliteStore:
    """The catalog in a file that only the library opens."""

    def resolve(self, connection: Connection, kind: str, value: str) -> Tenant | None:
        row = connection.execute(placed().where(found_by(kind, value))).one_or_none()
        return tenant_in(row._mapping) if row else None

    def version(self, connection: Connection) -> int:
        return catalog_version(connection)

    def register(
        self, connection: Connection, tenant: Tenant, *, names: Sequence[tuple[str, str]], ceiling: int | None
    ) -> None:
        # BEGIN IMMEDIATE has taken the write lock: nobody else can register between the count and the insert.
        alive = select(func.count()).select_from(tenants).where(tenants.c.status != TenantStatus.ERASED)
        if ceiling is not None and connection.execute(alive).scalar_one() >= ceiling:
            raise TenantLimitReached(limit=ceiling)
        try:
            self._insert(connection, tenant, names)
        except IntegrityError as error:
            raise _registration_error(error, tenant, names, 0) from error
        check_rested(connection, tenant.id, [(SLUG_KIND, tenant.slug), *names])

    def _insert(self, connection: Connection, tenant: Tenant, names: Sequence[tuple[str, str]]) -> None:
        connection.execute(
            insert(tenants).values(
                id=tenant.id,
                slug=tenant.slug,
                name=tenant.name,
                status=TenantStatus.PROVISIONING,
                settings=dict(tenant.settings),
                epoch=tenant.epoch,
            )
        )
        place = {"server": tenant.server, "isolation": tenant.isolation, "physical": tenant.physical}
        connection.execute(insert(placements).values(tenant_id=tenant.id, epoch=tenant.epoch, **place))
        for kind, value in names:
            connection.execute(insert(identities).values(kind=kind, value=value, tenant_id=tenant.id))
        entry = {"kind": "create", "step": "registered", "state": "running", "detail": {}, **held()}
        connection.execute(insert(journal).values(id=tenant.id, tenant_id=tenant.id, **entry))

    def enrol(
        self,
        connection: Connection,
        tenant: Tenant,
        *,
        names: Sequence[tuple[str, str]],
        ceiling: int | None,
        head: str | None,
    ) -> Enrolled:
        taken = warming.take(connection, tenant.server, tenant.isolation, head)
        enrolled = tenant if taken is None else replace(tenant, id=taken[0], physical=taken[1])
        self.register(connection, enrolled, names=names, ceiling=ceiling)
        if taken is not None:
            self.advance(connection, enrolled.id, "placed")
        others = and_(_running, journal.c.step != "waiting", journal.c.id != enrolled.id)
        found = connection.execute(select(journal.c.id).where(others).limit(1)).one_or_none()
        return Enrolled(enrolled, taken is not None, found is not None)

    def advance(self, connection: Connection, tenant: uuid.UUID, step: str, *, seen: str | None = None) -> bool:
        statement = update(journal).where(_creation(tenant), journal.c.state == "running").values(step=step, **held())
        if seen is not None:
            statement = statement.where(journal.c.holder == seen)
        return bool(connection.execute(statement).rowcount)

    def activate(self, connection: Connection, tenant: uuid.UUID) -> bool:
        waiting = and_(tenants.c.id == tenant, tenants.c.status == TenantStatus.PROVISIONING)
        if not connection.execute(update(tenants).where(waiting).values(status=TenantStatus.ACTIVE)).rowcount:
            return False
        connection.execute(update(journal).where(_creation(tenant)).values(step="active", state="done"))
        return True

    def discard(self, connection: Connection, tenant: uuid.UUID) -> bool:
        waiting = and_(tenants.c.id == tenant, tenants.c.status == TenantStatus.PROVISIONING)
        if not connection.execute(select(tenants.c.id).where(waiting)).one_or_none():
            return False
        for table in (identities, placements):
            connection.execute(delete(table).where(table.c.tenant_id == tenant))
        # What else the journal tells of it is in somebody's hands: a restore that is taken back.
        own = and_(journal.c.tenant_id == tenant, journal.c.kind.in_(("create", "seed")))
        connection.execute(delete(journal).where(own))
        connection.execute(delete(tenants).where(waiting))
        return True

    def unfinished(self, connection: Connection) -> list[Unfinished]:
        running = select(journal).where(_running)
        return [
            Unfinished(row.tenant_id, row.step, row.holder, has_let_go(row.holder, expired=row.lease_until < now()))
            for row in connection.execute(running)
        ]

    def record_operator(self, connection: Connection, reason: str, server: str) -> None:
        connection.execute(insert(operator_log).values(login="local", server=server, reason=reason))


def _document(tenant: Tenant) -> str:
    """Returns a new tenant as the catalog's functions take it."""
    document = {
        "id": str(tenant.id),
        "slug": tenant.slug,
        "name": tenant.name,
        "settings": dict(tenant.settings),
        "server": tenant.server,
        "isolation": tenant.isolation.value,
        "physical": tenant.physical,
        "holder": this_process(),
        "lease": LEASE_SECONDS,
    }
    return json.dumps(document)


def _pairs(names: Sequence[tuple[str, str]]) -> str:
    return json.dumps([list(pair) for pair in names])


def _quoted(value: str | None) -> str:
    """Returns a literal of PostgreSQL that is read alike under every setting."""
    return "NULL" if value is None else "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _creation(tenant: uuid.UUID) -> Any:
    return and_(journal.c.id == tenant, journal.c.kind == "create")


def _registration_error(
    error: DBAPIError, tenant: Tenant, names: Sequence[tuple[str, str]], limit: int | None
) -> Exception:
    if limit is not None and _sqlstate(error) == _LIMIT_STATE:
        return TenantLimitReached(limit=limit)
    if not isinstance(error, IntegrityError):
        return error
    # What comes after the first line tells of the function, which speaks of identities too.
    if "identities" in str(error.orig).partition("\n")[0] and names:
        kind, value = _named_in(str(error.orig), names)
        return IdentityTaken(kind=kind, value=value)
    return TenantExists(slug=tenant.slug)


def _named_in(message: str, names: Sequence[tuple[str, str]]) -> tuple[str, str]:
    return next((pair for pair in names if pair[1] in message), names[0])


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
