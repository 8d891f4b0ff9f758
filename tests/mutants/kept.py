"""Faults in what keeps append-only rows as they are: rights and triggers of PostgreSQL, triggers of SQLite."""

from __future__ import annotations

import pytest

from mutants.mutant import mutant
from tenantry.isolation import appending, sqlite_stored, wall
from tenantry.models import append_only

ROWS = "postgresql-rows-sync"
SCHEMA = "postgresql-schema-sync"
ACTION = "kept/test_append_only::test_a_foreign_keys_action_is_refused_as_well"
STATEMENTS = "kept/test_append_only::test_the_database_refuses_it"


@mutant(
    "append-only tables of PostgreSQL have the rights of any other table, and no triggers",
    places=f"{ROWS} {SCHEMA}",
    routes=STATEMENTS,
)
def append_only_like_any_other(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wall, "_kept", wall._new_grants)


@mutant(
    "append-only tables of PostgreSQL have no triggers, so the action of a foreign key runs with its owner's rights",
    places=f"Finding-{ROWS} Remark-{ROWS}",
    routes=ACTION,
)
def append_only_without_triggers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(appending, "trigger_statements", lambda *_, **__: [])


@mutant(
    "append-only tables of PostgreSQL may be changed by the app, and the trigger believes any login that it purges",
    places=ROWS,
    routes="kept/test_append_only::test_saying_that_it_is_a_purge_does_not_help_the_apps_login",
)
def append_only_purged_by_anybody(patch: pytest.MonkeyPatch) -> None:
    grants, body = appending.grant_statements, appending.function_body

    def granting(table: str, config: object) -> list[str]:
        return [line.replace("SELECT, INSERT ON", "SELECT, INSERT, DELETE ON") for line in grants(table, config)]

    def believing(config: object) -> str:
        text = body(config)
        return text[: text.index("AND (pg_has_role")] + text[text.index("\n    THEN") :]

    patch.setattr(appending, "grant_statements", granting)
    patch.setattr(appending, "function_body", believing)


@mutant(
    "append-only tables of SQLite have no triggers",
    places="sqlite-rows-sync sqlite-file-sync",
    routes=STATEMENTS,
)
def append_only_without_triggers_on_sqlite(patch: pytest.MonkeyPatch) -> None:
    for owner in (append_only, sqlite_stored):
        patch.setattr(owner, "append_only_triggers", lambda *_, **__: [])
