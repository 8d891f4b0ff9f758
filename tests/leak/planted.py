"""What a DBA planted by mistake: a view and a SECURITY DEFINER function of the tables' owner."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
from psycopg import sql

VIEWS = ("ticket_overview", "ticket_overview_invoker")
FUNCTIONS = ("ticket_subjects", "ticket_subjects_invoker")


def plant_in_postgres(url: str, schemas: list[str]) -> None:
    """Makes the views and functions in each schema, owned by whoever owns its tables, open to everyone."""
    with psycopg.connect(url, autocommit=True) as connection:
        for schema in schemas:
            owner = connection.execute(
                "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass", [f'"{schema}".tickets']
            ).fetchone()[0]
            for template in _STATEMENTS:
                statement = sql.SQL(template).format(schema=sql.Identifier(schema), owner=sql.SQL(owner))
                connection.execute(statement)


_STATEMENTS = (
    "CREATE VIEW {schema}.ticket_overview AS SELECT id, subject, number FROM {schema}.tickets",
    "CREATE VIEW {schema}.ticket_overview_invoker WITH (security_invoker) AS SELECT subject FROM {schema}.tickets",
    "CREATE FUNCTION {schema}.ticket_subjects() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
    " SET search_path = pg_catalog AS 'SELECT subject::text FROM {schema}.tickets'",
    "CREATE FUNCTION {schema}.ticket_subjects_invoker() RETURNS SETOF text LANGUAGE sql STABLE"
    " AS 'SELECT subject::text FROM {schema}.tickets'",
    "ALTER VIEW {schema}.ticket_overview OWNER TO {owner}",
    "ALTER VIEW {schema}.ticket_overview_invoker OWNER TO {owner}",
    "ALTER FUNCTION {schema}.ticket_subjects() OWNER TO {owner}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.ticket_overview, {schema}.ticket_overview_invoker TO PUBLIC",
    "GRANT EXECUTE ON FUNCTION {schema}.ticket_subjects(), {schema}.ticket_subjects_invoker() TO PUBLIC",
)


def plant_in_sqlite(file: Path) -> None:
    """Makes a view over the stored table of tickets in *file*, whatever that table is called."""
    with closing(sqlite3.connect(file)) as connection:
        stored = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'tickets%' ORDER BY length(name)"
        ).fetchone()[0]
        connection.execute(f'CREATE VIEW ticket_overview AS SELECT id, subject, number FROM "{stored}"')
        connection.commit()
