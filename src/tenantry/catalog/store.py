"""What the catalog answers and records. Every function takes a connection; the caller owns its transaction."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from sqlalchemy import Connection, and_, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenantry.catalog import warming
from tenantry.catalog.holder import LEASE_SECONDS, has_let_go, held, this_process
from tenantry.catalog.lifecycle import before, check_step
from tenantry.catalog.tables import (
    CATALOG_SCHEMA,
    fleet_work,
    identities,
    journal,
    meta,
    now,
    operator_log,
    placements,
    servers,
    tenants,
)
from tenantry.errors import CatalogMissing, IdentityTaken, TenantExists, TenantLimitReached, TenantNotFound
from tenantry.types import Isolation, Tenant, TenantStatus

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
        return _tenant(row._mapping) if row else None

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
        row = connection.execute(_placed().where(_found_by(kind, value))).one_or_none()
        return _tenant(row._mapping) if row else None

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


def catalog_version(connection: Connection) -> int:
    """Returns the catalog's version, read from its table."""
    return int(connection.execute(select(meta.c.value).where(meta.c.name == "version")).scalar_one())


def find(connection: Connection, kind: str, value: str) -> Tenant:
    """Returns the tenant that the pair finds, whatever its status.

    Raises: TenantNotFound.
    """
    row = connection.execute(_placed().where(_found_by(kind, value))).one_or_none()
    if row is None:
        raise TenantNotFound(key=value)
    return _tenant(row._mapping)


def listing(connection: Connection, *, after: uuid.UUID | None, limit: int, erased: bool = False) -> list[Tenant]:
    """Returns up to *limit* tenants in order of their identifiers, starting behind *after*."""
    statement = _placed().order_by(tenants.c.id).limit(limit)
    if after is not None:
        statement = statement.where(tenants.c.id > after)
    if not erased:
        statement = statement.where(tenants.c.status != TenantStatus.ERASED)
    return [_tenant(row._mapping) for row in connection.execute(statement)]


def set_status(connection: Connection, tenant: Tenant, wanted: TenantStatus) -> None:
    """Takes one step of the lifecycle, as one statement.

    Raises: LifecycleError when the tenant is not where the step starts.
    """
    legal = and_(tenants.c.id == tenant.id, tenants.c.status.in_(before(wanted)))
    if not connection.execute(update(tenants).where(legal).values(status=wanted)).rowcount:
        status = connection.execute(select(tenants.c.status).where(tenants.c.id == tenant.id)).scalar_one()
        check_step(tenant.id, TenantStatus(status), wanted)


def rename(connection: Connection, tenant: Tenant, *, slug: str, name: str) -> None:
    """Gives a tenant another slug and name.

    Raises: TenantExists when the slug is taken.
    """
    try:
        connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(slug=slug, name=name))
    except IntegrityError as error:
        raise TenantExists(slug=slug) from error


def add_identity(connection: Connection, tenant: Tenant, kind: str, value: str) -> None:
    """Lets one more outside name find a tenant.

    Raises: IdentityTaken.
    """
    try:
        connection.execute(insert(identities).values(kind=kind, value=value, tenant_id=tenant.id))
    except IntegrityError as error:
        raise IdentityTaken(kind=kind, value=value) from error


def identities_of(connection: Connection, tenant: Tenant) -> list[tuple[str, str]]:
    """Returns the outside names that find a tenant."""
    found = select(identities.c.kind, identities.c.value).where(identities.c.tenant_id == tenant.id)
    return [(row.kind, row.value) for row in connection.execute(found.order_by(*found.selected_columns))]


def bury(connection: Connection, tenant: Tenant) -> None:
    """Leaves of an erased tenant only its identifier, so that it is never given out again; names become free."""
    connection.execute(delete(identities).where(identities.c.tenant_id == tenant.id))
    # What the database said of it may hold its names.
    connection.execute(update(fleet_work).where(fleet_work.c.tenant_id == tenant.id).values(error=None))
    gone = {"slug": f"erased-{tenant.id.hex}", "name": "", "settings": {}}
    connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(**gone))


def note_server(connection: Connection, *, name: str, kind: str, location: str) -> None:
    """Records that a server exists; *location* never holds a password."""
    if connection.execute(update(servers).where(servers.c.name == name).values(kind=kind, location=location)).rowcount:
        return
    connection.execute(insert(servers).values(name=name, kind=kind, location=location))


def operator_entries(connection: Connection, limit: int = 100) -> list[tuple[datetime.datetime, str, str, str]]:
    """Returns the newest uses of the operator: when, by which login, on which server, and why."""
    columns = (operator_log.c.at, operator_log.c.login, operator_log.c.server, operator_log.c.reason)
    rows = connection.execute(select(*columns).order_by(operator_log.c.id.desc()).limit(limit))
    return [(row.at, row.login, row.server, row.reason) for row in rows]


def _placed() -> Any:
    here = and_(placements.c.tenant_id == tenants.c.id, placements.c.epoch == tenants.c.epoch)
    place = (placements.c.server, placements.c.isolation, placements.c.physical, placements.c.epoch)
    columns = (tenants.c.id, tenants.c.slug, tenants.c.name, tenants.c.status, tenants.c.settings, *place)
    return select(*columns).join(placements, here)


def _found_by(kind: str, value: str) -> Any:
    if kind == "id":
        return tenants.c.id == uuid.UUID(value)
    if kind == "slug":
        return tenants.c.slug == value
    named = and_(identities.c.kind == kind, identities.c.value == value)
    return tenants.c.id == select(identities.c.tenant_id).where(named).scalar_subquery()


def _creation(tenant: uuid.UUID) -> Any:
    return and_(journal.c.id == tenant, journal.c.kind == "create")


def _tenant(row: Mapping[Any, Any]) -> Tenant:
    settings = row["settings"]
    return Tenant(
        id=row["id"],
        slug=row["slug"],
        name=row["name"],
        status=TenantStatus(row["status"]),
        isolation=Isolation(row["isolation"]),
        server=row["server"],
        physical=row["physical"],
        epoch=row["epoch"],
        settings=json.loads(settings) if isinstance(settings, str) else settings,
    )


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
