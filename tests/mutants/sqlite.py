"""Faults in the wall inside SQLite: views, triggers, the authorizer, the bound tenant, other files."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from mutants.mutant import mutant, silence, wrap
from tenantry.isolation import hooks, sqlite_connection, sqlite_wall
from tenantry.isolation.binding import READ_ONLY_OPTION, Binding
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
    "the triggers on SQLite's common tables do not ask whose row is written, and write what they are told",
    places=ROWS,
    routes="test_text_sql::test_insert_for_the_foreign_tenant test_core_tables::test_insert_for_the_foreign_tenant",
)
def sqlite_triggers_unchecked(patch: pytest.MonkeyPatch) -> None:
    value = sqlite_wall._inserted_value

    def told(column: Any) -> str:
        return 'NEW."tenant_id"' if column.name == "tenant_id" else value(column)

    patch.setattr(sqlite_wall, "_CHECKED", "")
    patch.setattr(sqlite_wall, "_inserted_value", told)


@mutant(
    "nobody reads a statement before SQLite does; the authorizer does not hear of every column",
    places=ROWS,
    routes="test_sqlite::test_column_of_which_the_authorizer_does_not_hear",
)
def sqlite_text_unsearched(patch: pytest.MonkeyPatch) -> None:
    silence(patch, Wall, "_inspect")


@mutant(
    "nobody reads a statement before SQLite does, and its authorizer allows everything",
    places=ROWS,
    routes="test_names::test_qualified_select test_names::test_qualified_delete",
)
def sqlite_authorizer_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Wall, "_allows", lambda *_: True)
    sqlite_text_unsearched(patch)


@mutant(
    "nobody reads a statement before SQLite does, and its authorizer trusts whatever bears a view's plain name",
    places=ROWS,
    routes="test_sqlite::test_expression_that_takes_the_tables_name",
)
def sqlite_authorizer_trusts_names(patch: pytest.MonkeyPatch) -> None:
    may_read = Wall._may_read

    def trusting(self: Any, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        return on_behalf in self._script.views or may_read(self, table, column, database, on_behalf)

    patch.setattr(Wall, "_may_read", trusting)
    sqlite_text_unsearched(patch)


@mutant(
    "on SQLite's common tables only a transaction that writes is bound, and check-out leaves the last tenant",
    places=f"{ROWS} {AIOSQLITE}",
    routes="test_context::test_session_dropped_without_closing test_nested_tenants::test_outer_after_inner",
)
def sqlite_readers_unbound(patch: pytest.MonkeyPatch) -> None:
    bind, begin = sqlite_connection.bind, hooks._enter_sqlite

    def enter(connection: Any, binding: Binding) -> None:
        wall = wall_of(connection.connection)
        reads = connection.get_execution_options().get(READ_ONLY_OPTION)
        begin(connection, Binding(wall.tenant) if wall and wall.tenant and reads else binding)

    patch.setattr(hooks, "bind", lambda connection, tenant: tenant and bind(connection, tenant))
    for driver in (("pysqlite", False), ("aiosqlite", True)):
        patch.setitem(hooks._ENTRANCES, driver, enter)


@mutant(
    "a tenant's own SQLite file takes rows of another tenant",
    places="sqlite-file-sync sqlite-file-async-aiosqlite",
    routes="test_text_sql::test_insert_for_the_foreign_tenant test_tenant_column::test_rows_given_away_by_text",
)
def sqlite_file_unfenced(patch: pytest.MonkeyPatch) -> None:
    silence(patch, sqlite_connection.FencedConnection, "_keep_to")


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
