"""The fence around one tenant's place on PostgreSQL: put up, closed in one open transaction, left, and taken down."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tenantry.errors import FenceBusy, MoveRefused
from tenantry.isolation import fencing_statements as statements
from tenantry.isolation.appending import PURGING
from tenantry.isolation.binding import Binding
from tenantry.isolation.fencing_names import SCHEMA
from tenantry.isolation.fencing_statements import DEPARTED, FENCING, OPEN, lock_key
from tenantry.isolation.postgres import INSTALL_LOCK, OPERATOR, OWNER, PostgresServer
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, POLICY, quote
from tenantry.models import TENANT_COLUMN
from tenantry.types import Isolation, Tenant

_ACTION: Final = "Fencing a tenant"
_NOT_IN_TIME: Final = "55P03"
_HELD: Final = (_NOT_IN_TIME, "40P01")
# One try at a lock: for so long whoever comes after the fence waits behind it.
_TRY: Final = "'300ms'"
# At a table the later tries are longer than deadlock_timeout: only then does PostgreSQL send an autovacuum away.
_TRIES: Final = (_TRY, _TRY, "'600ms'", "'1200ms'")
_BETWEEN: Final = 0.1
# What a connection that was lost leaves open ends after so much silence.
_SILENCE: Final = "idle_in_transaction_session_timeout = '10min'"
# What is noted and what is read are to be of one moment: else a row may refer to one that was not there yet.
_SNAPSHOT: Final = "transaction_isolation = 'repeatable read'"

# Types whose text no setting changes.
_PLAIN_TYPES: Final = ("uuid", "int2", "int4", "int8", "text", "varchar", "bpchar", "bool", "numeric", "name")

_OWN: Final = "tenant_id = %(tenant)s AND place = %(place)s"
_TABLES: Final = f"""
select c.relname::text as name,
       array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k(number, position)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
             where a.attname <> '{TENANT_COLUMN}' order by k.position) as key,
       coalesce((select bool_and(t.typname = any(%(plain)s)) from unnest(i.indkey::int2[]) as k(number)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                 join pg_type t on t.oid = a.atttypid), true) as plain
from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = '{POLICY}'
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'p') and not c.relispartition
order by 1
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tenant's rows stand: a schema of one of the server's databases, None for its home."""

    tenant: uuid.UUID
    database: str | None
    schema: str

    @property
    def lock(self) -> int:
        return lock_key(self.tenant, self.schema)

    def named(self, table: str) -> str:
        return f"{quote(self.schema)}.{quote(table)}"

    @property
    def words(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "place": self.schema}


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: Sequence[str]
    plain: bool


def prepare(server: PostgresServer, tenant: Tenant, *, patience: float, wait: float) -> None:
    """Has the tenant's place note what changes and hold its writers once the fence closes."""
    place, config = _place_of(server, tenant), server.config
    given: dict[str, Any] = {"tenant": tenant.id, "place": place.schema, "config": config}
    with server.owner(action=_ACTION, database=place.database) as connection:
        tables = _tables(connection, place)
        shapes = {(tuple(table.key), table.plain) for table in tables}
        notes = (line for key, plain in sorted(shapes) for line in statements.note_statements(key, config, plain=plain))
        # First the tenant's own row: a trigger that does not find it lets nobody through.
        row = f"INSERT INTO {SCHEMA}.fences (tenant_id, place) VALUES (%(tenant)s, %(place)s) ON CONFLICT DO NOTHING"
        with connection.transaction():
            _take_turn(connection)
            for statement in (*statements.schema_statements(config), *notes):
                connection.execute(statement)
            connection.execute(row, place.words)
        for table in tables:
            name = place.named(table.name)
            # Each by itself: whoever held a table and asked for a stronger lock could meet a writer who does the same.
            _run_patiently(
                connection, statements.present_statements(name, place=place.schema, config=config), tenant.id, patience
            )
            lines = statements.trigger_statements(
                name, relation=table.name, key=table.key, plain=table.plain, wait=round(wait * 1000), **given
            )
            _run_patiently(connection, lines, tenant.id, patience)


def take_down(server: PostgresServer, tenant: Tenant, *, patience: float, entirely: bool) -> None:
    """Takes the triggers and the notes away; the tombstone of a tenant that has left stays unless *entirely*."""
    place = _place_of(server, tenant)
    with _fenced(server, place.database) as connection:
        if connection is None:
            return
        names = [place.named(table.name) for table in _tables(connection, place)]
        for name in names:
            _run_patiently(connection, statements.untrigger_statements(name, tenant.id), tenant.id, patience)
        gone = "" if entirely else f" AND state = '{OPEN}'"
        with connection.transaction():
            connection.execute(f"DELETE FROM {SCHEMA}.changes WHERE {_OWN}", place.words)
            connection.execute(f"DELETE FROM {SCHEMA}.fences WHERE {_OWN}{gone}", place.words)
        _sweep(connection, place, names, patience)


def _sweep(connection: Any, place: _Place, names: Sequence[str], patience: float) -> None:
    """Takes the policy off a schema without fences, and the fence's own schema out of a database without any."""
    for name in names:
        lines = statements.unpresent_statements(name, place=place.schema)
        _run_patiently(connection, lines, place.tenant, patience)
    with connection.transaction():
        _take_turn(connection)
        connection.execute(statements.SWEEP)


@contextlib.contextmanager
def closed(server: PostgresServer, tenant: Tenant, *, patience: float, departing: bool) -> Iterator[Connection]:
    """Yields the transaction behind the fence; it commits on leaving, and the tenant has left if it is *departing*."""
    place = _place_of(server, tenant)
    with _working(server, place, f"{FENCING} = 'on'", _SILENCE) as connection:
        _lock(connection, place, patience)
        _change(connection, place)
        try:
            yield connection
        except DBAPIError as error:
            # A reader may hold rows, as one who writes elsewhere may hold what a key of theirs refers to.
            if getattr(error.orig, "sqlstate", None) not in _HELD:
                raise
            raise FenceBusy(tenant=tenant.id, seconds=patience) from error
        if departing:
            _change(connection, place, departed=True)


@contextlib.contextmanager
def catching(server: PostgresServer, tenant: Tenant) -> Iterator[Connection]:
    """Yields a transaction in which changes can be taken out of the log and rows be read; commits on leaving."""
    with _working(server, _place_of(server, tenant), _SILENCE, _SNAPSHOT) as connection:
        yield connection


def take_changes(
    connection: Connection, server: PostgresServer, tenant: Tenant, *, limit: int | None
) -> Mapping[str, set[tuple[str, ...]]]:
    """Takes the keys of changed rows out of the log, the oldest first."""
    words = {**_place_of(server, tenant).words, "limit": limit}
    oldest = (
        f"SELECT number FROM {SCHEMA}.changes WHERE tenant_id = :tenant AND place = :place ORDER BY number LIMIT :limit"
    )
    taken = text(f"DELETE FROM {SCHEMA}.changes WHERE number IN ({oldest}) RETURNING relation, key")
    found: dict[str, set[tuple[str, ...]]] = {}
    for relation, key in connection.execute(taken, words):
        found.setdefault(relation, set()).add(tuple(key))
    return found


def reopen(server: PostgresServer, tenant: Tenant) -> None:
    """Lets the tenant's sessions in again; its writers are still noted."""
    place = _place_of(server, tenant)
    opening = f"UPDATE {SCHEMA}.fences SET state = '{OPEN}', holder = NULL, changed_at = now() WHERE {_OWN}"
    with _fenced(server, place.database) as connection:
        if connection is not None:
            connection.execute(opening, place.words)


def fences(server: PostgresServer, tenant: Tenant | None) -> list[tuple[uuid.UUID, str, bool]]:
    """Returns who has a fence or a tombstone in the home database or a tenant's own, where, and whether it left."""
    database = _place_of(server, tenant).database if tenant else None
    with _fenced(server, database) as connection:
        if connection is None:
            return []
        question = f"select tenant_id, place, state = '{DEPARTED}' from {SCHEMA}.fences order by changed_at, tenant_id"
        return [tuple(row) for row in connection.execute(question)]


def _place_of(server: PostgresServer, tenant: Tenant) -> _Place:
    if tenant.isolation is Isolation.SCHEMA:
        return _Place(tenant.id, None, tenant.physical)
    database = tenant.physical if tenant.isolation is Isolation.DATABASE else None
    return _Place(tenant.id, database, server.config.common_schema)


def _tables(connection: Any, place: _Place) -> list[_Table]:
    rows = connection.execute(_TABLES, {"schema": place.schema, "plain": list(_PLAIN_TYPES)})
    return [_Table(*row) for row in rows]


@contextlib.contextmanager
def _fenced(server: PostgresServer, database: str | None) -> Iterator[Any]:
    """Lends the owner's connection to a database in which fences are noted; None where none are, or it is gone."""
    if database is not None:
        with server.owner(action=_ACTION) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone()
        if found is None:
            yield None
            return
    with server.owner(action=_ACTION, database=database) as connection:
        stands = connection.execute(f"select to_regclass('{SCHEMA}.fences') is not null").fetchone()[0]
        yield connection if stands else None


def _take_turn(connection: Any) -> None:
    connection.execute(f"SELECT pg_advisory_xact_lock({INSTALL_LOCK})")


def _run_patiently(connection: Any, lines: Iterable[str], tenant: uuid.UUID, patience: float) -> None:
    """Runs statements that lock a table; whoever uses it is waited for in short tries, so that others get through."""
    end, script = time.monotonic() + patience, "; ".join(lines)
    for limit in itertools.chain(_TRIES, itertools.repeat(_TRIES[-1])):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {limit}; {script}")
            return
        except Exception as error:
            _check_time(error, end, tenant, patience)
        time.sleep(_BETWEEN)


def _check_time(error: Any, end: float, tenant: uuid.UUID, patience: float) -> None:
    """Lets a lock that was not given in time be tried for once more.

    Raises: FenceBusy after the *end*, and any other *error* as it is.
    """
    if getattr(error, "sqlstate", None) != _NOT_IN_TIME:
        raise error
    if time.monotonic() >= end:
        raise FenceBusy(tenant=tenant, seconds=patience) from error


@contextlib.contextmanager
def _working(server: PostgresServer, place: _Place, *settings: str) -> Iterator[Connection]:
    login = OPERATOR if server.has_login(OPERATOR) else OWNER
    context = f"{server.config.context_setting} = '{place.tenant}'"
    path = f"search_path = {quote(place.schema)}, {EXTENSIONS_SCHEMA}, pg_temp"
    preamble = server.preamble(context, path, f"{PURGING} = 'on'", *settings, role=OPERATOR)
    binding = Binding(place.tenant, preamble, prepared=False)
    with server.connection_to(place.database, login=login, action=_ACTION, binding=binding) as connection:
        yield connection


def _lock(connection: Connection, place: _Place, patience: float) -> None:
    """Waits for the tenant's writers to end, in short tries: behind each of them its new ones wait."""
    end = time.monotonic() + patience
    while True:
        attempt = connection.begin_nested()
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_TRY}")
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": place.lock})
        except DBAPIError as error:
            attempt.rollback()
            _check_time(error.orig, end, place.tenant, patience)
        else:
            attempt.commit()
            # Whoever holds a row must not hold all of the tenant's writers up for ever.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1000, round(patience * 1000))}")
            return
        time.sleep(_BETWEEN)


def _change(connection: Connection, place: _Place, *, departed: bool = False) -> None:
    """Makes the transaction the one that holds the fence, which older snapshots run against."""
    state = f"'{DEPARTED}'" if departed else "state"
    statement = (
        f"UPDATE {SCHEMA}.fences SET state = {state}, holder = pg_current_xact_id(), changed_at = now() "
        f"WHERE tenant_id = :tenant AND place = :place"
    )
    if connection.execute(text(statement), place.words).rowcount != 1:
        raise MoveRefused(tenant=place.tenant, reason="nothing was made ready there to hold its writers.")
