"""The registry in PostgreSQL: a schema of its own, which the owner alone may enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.sqitch.plan import Change
from tenantry.fleet.sqitch.project import Project
from tenantry.fleet.sqitch.registry import Registry, Unfinished
from tenantry.isolation.registries import UNFINISHED, registry_schema
from tenantry.isolation.wall import quote

_COMMITTED: Final = """
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    committer_name text NOT NULL,
    committer_email text NOT NULL,
    planned_at timestamptz NOT NULL,
    planner_name text NOT NULL,
    planner_email text NOT NULL"""

_SCHEMA: Final = f"""
CREATE TABLE {{0}}.releases (
    version real PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    installer_name text NOT NULL,
    installer_email text NOT NULL
);
CREATE TABLE {{0}}.projects (
    project text PRIMARY KEY,
    uri text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    creator_name text NOT NULL,
    creator_email text NOT NULL
);
CREATE TABLE {{0}}.changes (
    change_id text PRIMARY KEY,
    script_hash text,
    change text NOT NULL,
    project text NOT NULL REFERENCES {{0}}.projects (project) ON UPDATE CASCADE,
    note text NOT NULL DEFAULT '',{_COMMITTED},
    UNIQUE (project, script_hash)
);
CREATE TABLE {{0}}.tags (
    tag_id text PRIMARY KEY,
    tag text NOT NULL,
    project text NOT NULL REFERENCES {{0}}.projects (project) ON UPDATE CASCADE,
    change_id text NOT NULL REFERENCES {{0}}.changes (change_id) ON UPDATE CASCADE,
    note text NOT NULL DEFAULT '',{_COMMITTED},
    UNIQUE (project, tag)
);
CREATE TABLE {{0}}.dependencies (
    change_id text NOT NULL REFERENCES {{0}}.changes (change_id) ON UPDATE CASCADE ON DELETE CASCADE,
    type text NOT NULL,
    dependency text NOT NULL,
    dependency_id text REFERENCES {{0}}.changes (change_id) ON UPDATE CASCADE
        CONSTRAINT dependencies_check CHECK (
            type = 'require' AND dependency_id IS NOT NULL OR type = 'conflict' AND dependency_id IS NULL
        ),
    PRIMARY KEY (change_id, dependency)
);
CREATE TABLE {{0}}.events (
    event text NOT NULL CONSTRAINT events_event_check CHECK (event IN ('deploy', 'revert', 'fail', 'merge')),
    change_id text NOT NULL,
    change text NOT NULL,
    project text NOT NULL REFERENCES {{0}}.projects (project) ON UPDATE CASCADE,
    note text NOT NULL DEFAULT '',
    requires text[] NOT NULL DEFAULT '{{{{}}}}',
    conflicts text[] NOT NULL DEFAULT '{{{{}}}}',
    tags text[] NOT NULL DEFAULT '{{{{}}}}',{_COMMITTED},
    PRIMARY KEY (change_id, committed_at)
);
"""


def registry_of(project: Project, home: Home) -> str:
    """Returns the schema that holds a home's registry: what to pass to ``sqitch --registry``.

    A database has one by Sqitch's own name; the tenants' schemas of one database have one each.
    """
    return registry_schema(home.physical) if home.kind is HomeKind.SCHEMA else project.registry


class PostgresRegistry(Registry):
    """The registry of a home in PostgreSQL, on the owner's connection."""

    mark = "%s"
    moment = "clock_timestamp()"

    def __init__(self, project: Project, home: Home, connection: Any) -> None:
        self.schema = registry_of(project, home)
        super().__init__(project, prefix=f"{quote(self.schema)}.")
        self._connection = connection

    def exists(self) -> bool:
        return self._relation("changes")

    def create(self) -> None:
        name = quote(self.schema)
        self._run(f"CREATE SCHEMA IF NOT EXISTS {name}")
        self._run(f"REVOKE ALL ON SCHEMA {name} FROM PUBLIC")
        self._run(_SCHEMA.format(name))
        self._record_release()

    def record_deploy(self, change: Change) -> None:
        self._lock()
        super().record_deploy(change)

    def record_revert(self, change_id: str) -> None:
        self._lock()
        super().record_revert(change_id)

    def _lock(self) -> None:
        # Older versions of sqitch know no other lock.
        self._run(f"LOCK TABLE {self._prefix}changes IN EXCLUSIVE MODE")

    def unfinished(self) -> Unfinished | None:
        if not self._relation(UNFINISHED):
            return None
        ((kind, change_id),) = self._rows(f"SELECT kind, change_id FROM {self._prefix}{UNFINISHED}")
        return Unfinished(kind, change_id)

    def note_unfinished(self, note: Unfinished) -> None:
        # One message, so that the note is there whole or not at all.
        table = f"{self._prefix}{UNFINISHED}"
        self._run(
            f"DROP TABLE IF EXISTS {table}; "
            f"CREATE TABLE {table} AS SELECT '{note.kind}'::text AS kind, '{note.change_id}'::text AS change_id"
        )

    def forget_unfinished(self) -> None:
        self._run(f"DROP TABLE IF EXISTS {self._prefix}{UNFINISHED}")

    def _relation(self, name: str) -> bool:
        question = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s"
        return self._one(question, [self.schema, name]) is not None

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        rows: list[Any] = self._connection.execute(statement, values or None, prepare=False).fetchall()
        return rows

    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        self._connection.execute(statement, values or None, prepare=False)

    def _time(self, planned_at: str) -> object:
        return planned_at

    def _many(self, names: Iterable[str], *, separator: str = ",") -> object:
        return list(names)


def latest_question(project: str, schemas: Sequence[str]) -> tuple[str, list[object]]:
    """Returns the question, with its values, for the newest change of each registry."""
    parts = [
        f"(SELECT {number}, change_id FROM {quote(schema)}.changes WHERE project = %s "
        "ORDER BY committed_at DESC LIMIT 1)"
        for number, schema in enumerate(schemas)
    ]
    return " UNION ALL ".join(parts), [project] * len(parts)


REGISTRIES_QUESTION: Final = (
    "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = 'changes' AND c.relkind = 'r' AND n.nspname = ANY(%s)"
)
