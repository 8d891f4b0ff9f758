"""The catalog's own versions: library N reads catalog N-1 for sessions, and brings it to N at install().

Version 2 added the journal of the fleet and the placements kept ready; version 3 the archives, the tenants' data keys,
the schedules and the erasures. What was added stands in ``tables.py`` and is made where it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Final

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tenantry.catalog.tables import CATALOG_SCHEMA, OLDEST_READABLE, VERSION, meta, metadata
from tenantry.errors import CatalogVersionMismatch
from tenantry.settings import Config

_APP_FUNCTIONS: Final = (
    "refuse_bound()",
    "catalog_version()",
    "resolve(text, text)",
    "register(jsonb, jsonb, integer)",
    "enrol(jsonb, jsonb, integer, text)",
    "note_seed(uuid, uuid, text, text)",
    "seeds_of(uuid)",
    "advance(uuid, text, text, double precision, text)",
    "activate(uuid)",
    "discard(uuid)",
    "unfinished()",
)

# Whether a PostgreSQL server has a catalog; and where it has, its version.
VERSION_QUESTION: Final = (
    f"SELECT to_regclass('{CATALOG_SCHEMA}.meta') IS NOT NULL",
    f"SELECT max(value::integer) FROM {CATALOG_SCHEMA}.meta WHERE name = 'version'",
)


def postgres_statements(config: Config) -> list[str]:
    """Returns what brings the catalog of a PostgreSQL server to this library's version; running it again is safe."""
    return [
        f"CREATE SCHEMA IF NOT EXISTS {CATALOG_SCHEMA}",
        f"REVOKE ALL ON SCHEMA {CATALOG_SCHEMA} FROM PUBLIC",
        # The version comes first, as in register(), and is locked where nothing changes too, since indexes are looked
        # for behind a lock: two that lock it and the tables in turn cannot wait in a circle.
        *_creation([meta]),
        f"INSERT INTO {CATALOG_SCHEMA}.meta (name, value) VALUES ('version', '{VERSION}') ON CONFLICT DO NOTHING",
        f"SELECT FROM {CATALOG_SCHEMA}.meta WHERE name = 'version' FOR UPDATE",
        f"UPDATE {CATALOG_SCHEMA}.meta SET value = '{VERSION}' WHERE name = 'version' AND value <> '{VERSION}'",
        *_creation(metadata.sorted_tables),
        *_functions(config),
        *_grants(config),
    ]


def upgrade_sqlite(connection: Connection) -> None:
    """Brings the catalog file to this library's version; running it again is safe.

    Raises: CatalogVersionMismatch when a newer library made it.
    """
    meta.create(connection, checkfirst=True)
    versioned = meta.c.name == "version"
    found = connection.scalar(select(meta.c.value).where(versioned))
    check_upgradable(None if found is None else int(found))
    metadata.create_all(connection)
    if found is None:
        connection.execute(insert(meta).values(name="version", value=str(VERSION)))
    else:
        connection.execute(update(meta).where(versioned).values(value=str(VERSION)))


def check_upgradable(found: int | None) -> None:
    """Lets a catalog pass that is missing, older than this library, or its own.

    Raises: CatalogVersionMismatch for a newer one: an older library must not change it.
    """
    if found is not None and found > VERSION:
        raise CatalogVersionMismatch(found=found, oldest=OLDEST_READABLE, newest=VERSION)


def check_version(found: int, *, oldest: int = OLDEST_READABLE) -> None:
    """Lets a catalog pass that this library can read, as far back as *oldest*.

    Raises: CatalogVersionMismatch.
    """
    if not oldest <= found <= VERSION:
        raise CatalogVersionMismatch(found=found, oldest=oldest, newest=VERSION)


def _creation(tables: Iterable[Table]) -> list[str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves dialect constructors untyped
    statements = []
    for table in tables:
        statements.append(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)))
        indexes = (CreateIndex(index, if_not_exists=True) for index in table.indexes)
        statements.extend(str(index.compile(dialect=dialect)) for index in indexes)
    return [statement.strip() for statement in statements]


def _functions(config: Config) -> list[str]:
    text = resources.files("tenantry.catalog").joinpath("functions.sql").read_text(encoding="utf-8")
    filled = text.format(schema=CATALOG_SCHEMA, setting=config.context_setting)
    return ["CREATE OR REPLACE FUNCTION" + part.rstrip() for part in filled.split("CREATE OR REPLACE FUNCTION")[1:]]


def _grants(config: Config) -> list[str]:
    app, platform, operator = (config.role(name) for name in ("app", "platform", "operator"))
    functions = ", ".join(f"{CATALOG_SCHEMA}.{name}" for name in _APP_FUNCTIONS)
    record = f"{CATALOG_SCHEMA}.record_operator(text, text)"
    return [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {CATALOG_SCHEMA} FROM PUBLIC, {app}, {operator}",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {CATALOG_SCHEMA} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {CATALOG_SCHEMA} TO {app}, {platform}, {operator}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {CATALOG_SCHEMA} TO {platform}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {CATALOG_SCHEMA} TO {platform}",
        f"GRANT EXECUTE ON FUNCTION {functions} TO {app}, {platform}",
        f"GRANT EXECUTE ON FUNCTION {record} TO {operator}",
    ]
