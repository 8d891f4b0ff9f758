"""The catalog's own numbered upgrades: library N reads catalog N-1, and brings it to N at install()."""

from __future__ import annotations

from importlib import resources
from typing import Final

from sqlalchemy import Connection, insert, select
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
    "advance(uuid, text, text, double precision, text)",
    "activate(uuid)",
    "discard(uuid)",
    "unfinished()",
)


def postgres_statements(config: Config) -> list[str]:
    """Returns what brings the catalog of a PostgreSQL server to this library's version; running it again is safe."""
    return [
        f"CREATE SCHEMA IF NOT EXISTS {CATALOG_SCHEMA}",
        f"REVOKE ALL ON SCHEMA {CATALOG_SCHEMA} FROM PUBLIC",
        *_tables(),
        f"INSERT INTO {CATALOG_SCHEMA}.meta (name, value) VALUES ('version', '{VERSION}') ON CONFLICT DO NOTHING",
        *_functions(config),
        *_grants(config),
    ]


def upgrade_sqlite(connection: Connection) -> None:
    """Brings the catalog file to this library's version.

    Raises: CatalogVersionMismatch when a newer library made it.
    """
    metadata.create_all(connection)
    found = connection.scalar(select(meta.c.value).where(meta.c.name == "version"))
    if found is None:
        connection.execute(insert(meta).values(name="version", value=str(VERSION)))
    else:
        check_version(int(found))


def check_version(found: int) -> None:
    """Lets a catalog pass that this library can read.

    Raises: CatalogVersionMismatch.
    """
    if not OLDEST_READABLE <= found <= VERSION:
        raise CatalogVersionMismatch(found=found, oldest=OLDEST_READABLE, newest=VERSION)


def _tables() -> list[str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves dialect constructors untyped
    statements = []
    for table in metadata.sorted_tables:
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
