"""Orphans counted: rows whose foreign key points at nothing, by a login that sees the rows of every tenant.

A validated key is no proof: the owner, whom row-level security blinds, validates it without seeing a row.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tenantry.fleet.fingerprints_homes import AT_ONCE, first_line, on_each_server
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.owning import file_of
from tenantry.isolation.postgres import OPERATOR, PostgresServer
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.wall import OPERATOR_POLICY, quote
from tenantry.models import Ownership, owned_tables
from tenantry.tenancy import Tenancy

try:
    import psycopg
except ImportError:  # then no server of PostgreSQL can be asked, which its owner's connection says
    psycopg = None  # type: ignore[assignment]

# How many rows are orphans, by the key that they break; or why nobody can say.
Counted = Mapping[str, int] | str

_ACTION: Final = "Counting orphans"
_KEYS: Final = """
select k.conname::text as name, c.relname::text as child, n.nspname::text as schema,
       p.relname::text as parent, m.nspname::text as other_schema,
       array(select array[a.attname::text, b.attname::text]
             from unnest(k.conkey, k.confkey) as pair(own, other)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.own
             join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.other) as pairs,
       (select rolbypassrls or rolsuper from pg_roles where rolname = %(operator)s)
       or (select count(distinct l.polrelid) from pg_policy l
           where l.polrelid in (k.conrelid, k.confrelid) and l.polname = %(policy)s)
          = case when k.conrelid = k.confrelid then 1 else 2 end as visible
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid join pg_namespace m on m.oid = p.relnamespace
where k.contype = 'f' and n.nspname = %(schema)s and c.relname = any(%(walled)s) and p.relname = any(%(walled)s)
order by 1, 2
"""
_BROKEN: Final = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    child: str
    schema: str
    parent: str
    other_schema: str
    pairs: Sequence[Sequence[str]]
    visible: bool

    @property
    def question(self) -> str:
        """Counts the rows that point at nothing; a key with a null in it points nowhere."""
        given = " and ".join(f"c.{quote(own)} is not null" for own, _ in self.pairs)
        met = " and ".join(f"p.{quote(other)} = c.{quote(own)}" for own, other in self.pairs)
        parent = f"{quote(self.other_schema)}.{quote(self.parent)}"
        return (
            f"select count(*) from {quote(self.schema)}.{quote(self.child)} c "
            f"where {given} and not exists (select 1 from {parent} p where {met})"
        )


def orphans_of(tenancy: Tenancy, homes: Sequence[Home], *, jobs: int = 4) -> dict[Home, Counted]:
    """Returns how many rows of each home point at nothing, by key.

    Raises: LoginRequired without the owner's login.
    """
    counts = [count for name, here in on_each_server(homes) for count in _counts(tenancy.servers.get(name), here)]
    counted: dict[Home, Counted] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for found in pool.map(lambda count: count(), counts):
            counted |= found
    return counted


def _counts(server: Server, homes: Sequence[Home]) -> Iterator[Callable[[], Mapping[Home, Counted]]]:
    if isinstance(server, SqliteServer):
        yield from (functools.partial(_in_file, server, home) for home in homes)
        return
    by_database: dict[str | None, list[Home]] = defaultdict(list)
    for home in homes:
        by_database[home.physical if home.kind is HomeKind.DATABASE else None].append(home)
    for database, here in by_database.items():
        for start in range(0, len(here), AT_ONCE):
            yield functools.partial(_in_database, server, database, here[start : start + AT_ONCE])


def _in_file(server: SqliteServer, home: Home) -> Mapping[Home, Counted]:
    path = file_of(home, server).absolute().as_uri()
    try:
        with contextlib.closing(sqlite3.connect(f"{path}?mode=rw", uri=True, timeout=30)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return {home: {f"{child} to {parent}": count for child, parent, count in connection.execute(_BROKEN)}}
    except sqlite3.Error as error:
        return {home: str(error)}


def _in_database(server: PostgresServer, database: str | None, homes: Sequence[Home]) -> Mapping[Home, Counted]:
    try:
        with server.owner(action=_ACTION, database=database) as connection:
            return {home: _in_schema(connection, server, home) for home in homes}
    except psycopg.Error as error:
        return dict.fromkeys(homes, first_line(error))


def _in_schema(connection: Any, server: PostgresServer, home: Home) -> Counted:
    operator = server.config.role(OPERATOR)
    try:
        with connection.transaction():
            keys = _keys(connection, server, home, operator)
            if hidden := [key.name for key in keys if not key.visible]:
                return f"{operator} has neither BYPASSRLS nor a policy on the tables of {', '.join(hidden)}"
            connection.execute(f"SET LOCAL ROLE {operator}")
            counts = _ask(connection, keys)
    except psycopg.DatabaseError as error:
        if connection.closed:
            raise
        return first_line(error)
    return {f"{key.child}.{key.name}": count for key, count in zip(keys, counts, strict=True) if count}


def _keys(connection: Any, server: PostgresServer, home: Home, operator: str) -> list[_Key]:
    walled = [table.name for table in owned_tables(server.metadata, Ownership.TENANT, Ownership.RECORD)]
    schema = home.physical if home.kind is HomeKind.SCHEMA else server.config.common_schema
    asked = {"operator": operator, "policy": OPERATOR_POLICY, "schema": schema, "walled": walled}
    return [_Key(*row) for row in connection.execute(_KEYS, asked)]


def _ask(connection: Any, keys: Sequence[_Key]) -> Sequence[int]:
    if not keys:
        return ()
    counts: Sequence[int] = connection.execute("select " + ", ".join(f"({key.question})" for key in keys)).fetchone()
    return counts
