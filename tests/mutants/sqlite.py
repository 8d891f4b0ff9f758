"""Faults in the wall inside SQLite: views, triggers, the authorizer, the bound tenant, other files."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from mutants.mutant import mutant, wrap
from tenantry.isolation import hooks, sqlite_connection, sqlite_wall
from tenantry.isolation.sqlite_connection import wall_of
from tenantry.isolation.sqlite_wall import Wall

ROWS = "sqlite-rows-sync"
AIOSQLITE = "sqlite-rows-async-aiosqlite"


@mutant(
    "the views on SQLite's common tables do not ask for the tenant",
    places=f"{ROWS} {AIOSQLITE}",
    routes="test_text_sql::test_select test_text_sql::test_count",
)
def sqlite_views_of_everything(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, sqlite_wall, "_view", lambda made: re.sub(r"WHERE \S+ = @secret@tenant\(\)", "", made))


@mutant(
    "the triggers on SQLite's common tables do not check whose row is written",
    places=ROWS,
    routes="test_text_sql::test_insert_for_the_foreign_tenant test_tenant_column::test_rows_given_away_by_text",
)
def sqlite_triggers_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sqlite_wall, "_CHECKED", "")


@mutant(
    "SQLite's authorizer allows everything",
    places=ROWS,
    routes="test_names::test_qualified_select test_names::test_qualified_delete",
)
def sqlite_authorizer_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Wall, "_allows", lambda *_: True)


@mutant(
    "SQLite's authorizer trusts any expression that bears a view's plain name",
    places=ROWS,
    routes="test_sqlite::test_expression_that_takes_the_tables_name",
)
def sqlite_authorizer_trusts_names(patch: pytest.MonkeyPatch) -> None:
    may_read = Wall._may_read

    def trusting(self: Any, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        return on_behalf in self._script.views or may_read(self, table, column, database, on_behalf)

    patch.setattr(Wall, "_may_read", trusting)


@mutant(
    "a connection to SQLite's common tables keeps the first tenant it was bound to",
    places=f"{ROWS} {AIOSQLITE}",
    routes="test_context::test_session_dropped_without_closing test_nested_tenants::test_inner_sees_nothing_of_outer",
)
def sqlite_bound_once(patch: pytest.MonkeyPatch) -> None:
    bind = hooks.bind

    def once(connection: Any, tenant: Any) -> None:
        wall = wall_of(connection)
        if wall is None or wall.tenant is None:
            bind(connection, tenant)

    patch.setattr(hooks, "bind", once)


@mutant(
    "a tenant's SQLite connection may attach other files",
    places="sqlite-file-sync",
    routes="test_sqlite::test_attached_file test_sqlite::test_attached_file_through_the_session",
)
def sqlite_files_attached(patch: pytest.MonkeyPatch) -> None:
    allowed = {sqlite3.SQLITE_ATTACH}

    def open_to_files(authorizer: Any) -> Any:
        return lambda action, *names: sqlite3.SQLITE_OK if action in allowed else authorizer(action, *names)

    wrap(patch, sqlite_connection, "file_authorizer", open_to_files)
    make = sqlite_connection.FencedConnection.__init__

    def unlimited(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        sqlite3.Connection.setlimit(self, sqlite3.SQLITE_LIMIT_ATTACHED, 10)

    patch.setattr(sqlite_connection.FencedConnection, "__init__", unlimited)
