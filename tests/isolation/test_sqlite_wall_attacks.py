"""Raw SQL against SQLite's wall: each attempt is refused, or finds and changes its own tenant's rows only.

Every attempt runs as one tenant who knows everything but the secret: the names, the other's ids, the library's source.
The planted mutants at the end show that the attempts would succeed against a weaker wall.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.isolation import sqlite_connection, sqlite_wall
from tenantry.isolation.sqlite_connection import bind
from tenantry.isolation.sqlite_wall import Wall, WallScript

from .sqlite_walls import MARK, OTHER, OTHER_ROWS, OWN, OWN_ROWS, CommonFile, numbered

FOREIGN_ID = numbered(OTHER, 0).hex
TRIGGER = "tenantry_wall_comments_ticket_id_delete"
SPELLINGS = (
    "tickets__rows",
    "main.tickets__rows",
    '"main"."tickets__rows"',
    "MAIN.TICKETS__ROWS",
    "[tickets__rows]",
    "`main`.`tickets__rows`",
    "'tickets__rows'",
    "main . /* */ tickets__rows",
    "temp.tickets__rows",
)
SCHEMA_TABLES = (
    "sqlite_master",
    "sqlite_schema",
    "main.sqlite_master",
    "MAIN.Sqlite_Schema",
    '"sqlite_master"',
    "[SQLITE_MASTER]",
    "temp.sqlite_master",
    "temp.sqlite_schema",
    "sqlite_temp_master",
    "sqlite_temp_schema",
    '"SQLITE_temp_SCHEMA"',
    "sqlite_stmt",
    "dbstat",
    "sqlite_dbpage",
    "sqlite_stat1",
    "sqlite_sequence",
)
PRAGMAS = (
    "table_info(tickets)",
    "table_xinfo('tickets__rows')",
    "table_list",
    "database_list",
    "function_list",
    "module_list",
    "index_list(tickets__rows)",
    "foreign_key_list(tickets__rows)",
    "foreign_key_check",
    "integrity_check",
    "quick_check",
    "schema_version",
    "user_version = 3",
    "writable_schema = ON",
    "foreign_keys = OFF",
    "recursive_triggers = OFF",
    "defer_foreign_keys = ON",
    "ignore_check_constraints = ON",
    "trusted_schema = ON",
    "journal_mode = DELETE",
    "read_uncommitted = 1",
    "query_only = ON",
    "temp_store_directory = '/tmp'",
    "wal_checkpoint(TRUNCATE)",
    "optimize",
    "incremental_vacuum",
    "main.page_count",
)
EXPLANATIONS = (
    "EXPLAIN SELECT * FROM tickets",
    "explain query plan SELECT * FROM tickets",
    "/* x */ EXPLAIN SELECT * FROM tickets",
    "-- x\n EXPLAIN SELECT * FROM tickets",
    ";; explain SELECT * FROM tickets",
    "\t\n\f EXPLAIN DELETE FROM tickets",
    "\ufeffEXPLAIN SELECT * FROM tickets",
    "/* */ EXPLAIN /* */ SELECT * FROM tickets",
    "/* /* */ EXPLAIN INSERT INTO tickets DEFAULT VALUES",
    "--\nEXPLAIN -- */\nSELECT * FROM tickets",
)
SPOOFED = ("tickets", "Tickets", "tickets__rows", "main", "temp", TRIGGER, "tenantry_wall_", "tickets_rows")


@dataclass(frozen=True)
class Attempt:
    """Statements to try in turn on one connection; what the last one yields is looked at."""

    name: str
    statements: tuple[str, ...]
    refused: bool = True

    def __str__(self) -> str:
        return self.name


def _reading() -> Iterator[Attempt]:
    for number, name in enumerate(SPELLINGS):
        yield Attempt(f"read-{number}", (f"SELECT * FROM {name}",))
        yield Attempt(f"count-{number}", (f"SELECT count(*) FROM {name}",))
        yield Attempt(f"exists-{number}", (f"SELECT 'leak-{OTHER_ROWS}' FROM {name} LIMIT 1",))
    for name in SCHEMA_TABLES:
        yield Attempt(f"schema-{name}", (f"SELECT * FROM {name}",))
        yield Attempt(f"schema-count-{name}", (f"SELECT count(*) FROM {name}",))
    for pragma in PRAGMAS:
        yield Attempt(f"pragma-{pragma}", (f"PRAGMA {pragma}",))
    for function in ("table_info('tickets__rows')", "table_list", "database_list", "function_list", "module_list"):
        yield Attempt(f"pragma-function-{function}", (f"SELECT * FROM pragma_{function}",))
        yield Attempt(f"pragma-function-count-{function}", (f"SELECT count(*) FROM pragma_{function}",))
    for number, statement in enumerate(EXPLANATIONS):
        yield Attempt(f"explain-{number}", (statement,))
    stored = "tickets__rows"
    for name, statement in {
        "rowid": f"SELECT rowid FROM {stored}",
        "aggregate": f"SELECT group_concat(subject) FROM {stored}",
        "window": f"SELECT max(subject) OVER () FROM {stored}",
        "scalar": f"SELECT (SELECT group_concat(subject) FROM {stored})",
        "where-exists": f"SELECT 'leak-{OTHER_ROWS}' FROM tickets WHERE EXISTS (SELECT id FROM {stored} WHERE id)",
        "where-in": f"SELECT id FROM tickets WHERE '{FOREIGN_ID}' IN (SELECT id FROM {stored})",
        "union": f"SELECT subject FROM tickets UNION ALL SELECT subject FROM {stored}",
        "join": f"SELECT other.subject FROM tickets JOIN {stored} AS other",
        "left-join": f"SELECT other.subject FROM tickets LEFT JOIN {stored} AS other ON true",
        "from-subquery": f"SELECT * FROM (SELECT * FROM {stored})",
        "order-by": f"SELECT subject FROM tickets ORDER BY (SELECT max(subject) FROM {stored})",
        "limit": f"SELECT subject FROM tickets LIMIT (SELECT count(subject) FROM {stored})",
        "having": f"SELECT count(*) FROM tickets HAVING (SELECT max(subject) FROM {stored})",
        "values": f"VALUES ((SELECT max(subject) FROM {stored}))",
        "json": f"SELECT value FROM json_each((SELECT json_group_array(subject) FROM {stored}))",
        "full-join": f"SELECT subject FROM (SELECT NULL AS subject) FULL JOIN {stored} USING (subject)",
        "full-join-quoted": 'SELECT subject FROM (SELECT 1 AS subject) FULL JOIN MAIN."Tickets__ROWS" USING (subject)',
        "full-join-natural": f"SELECT id FROM (SELECT NULL AS id) NATURAL FULL JOIN {stored}",
        "full-join-schema": "SELECT name FROM (SELECT NULL AS name) FULL JOIN sqlite_temp_master USING (name)",
        "full-join-sql": 'SELECT sql FROM (SELECT NULL AS sql) FULL JOIN temp."SQLITE_schema" USING (sql)',
        "full-join-dbstat": "SELECT name FROM (SELECT NULL AS name) FULL JOIN dbstat USING (name)",
        "full-join-pragma": "SELECT name FROM (SELECT NULL AS name) FULL JOIN pragma_table_list USING (name)",
        "full-join-cte": "WITH c AS (SELECT id, word FROM tags FULL JOIN tags__rows USING (id, word)) SELECT * FROM c",
        "join-using": (
            "WITH guess (subject) AS (VALUES ('foreign-ticket-' || 3)) "
            f"SELECT 'leak-{OTHER_ROWS}' FROM guess JOIN {stored} USING (subject)"
        ),
        "natural-join": f"SELECT 'leak-{OTHER_ROWS}' FROM (SELECT '{FOREIGN_ID}' AS id) NATURAL JOIN {stored}",
        "indexed-by": f"SELECT * FROM {stored} INDEXED BY ix_tickets_subject",
        "view-indexed-by": "SELECT * FROM tickets INDEXED BY ix_tickets_subject",
        "recursive": f"WITH RECURSIVE c(s) AS (SELECT subject FROM {stored} UNION SELECT s FROM c) SELECT * FROM c",
        "materialized": f"WITH c AS MATERIALIZED (SELECT * FROM {stored}) SELECT * FROM c",
        "nested-cte": f"WITH a AS (WITH b AS (SELECT * FROM {stored}) SELECT * FROM b) SELECT * FROM a",
        "load-extension": "SELECT load_extension('x')",
        "fts-tokenizer": "SELECT fts3_tokenizer('simple')",
        "changes-of-everybody": "SELECT total_changes()",
        "bytecode": "SELECT * FROM bytecode('SELECT * FROM tickets')",
        "tables-used": "SELECT * FROM tables_used('SELECT * FROM tickets')",
    }.items():
        yield Attempt(name, (statement,))
    for name in SPOOFED:
        yield Attempt(f"cte-{name}", (f'WITH "{name}" AS (SELECT * FROM main.{stored}) SELECT * FROM "{name}"',))
        yield Attempt(f"cte-key-{name}", (f'WITH "{name}" AS (SELECT id FROM main.{stored}) SELECT * FROM "{name}"',))


def _opening() -> Iterator[Attempt]:
    for number, statement in enumerate(
        (
            "ATTACH 'common.sqlite3' AS other",
            "ATTACH DATABASE 'file:common.sqlite3?mode=ro' AS other",
            "ATTACH ':memory:' AS other",
            "ATTACH '' AS tickets",
            "ATTACH (SELECT 'common.sqlite3') AS other",
            "DETACH main",
            "DETACH temp",
            "VACUUM",
            "VACUUM INTO 'copy.sqlite3'",
            "VACUUM temp",
            "CREATE TABLE loot (x)",
            "CREATE TEMP TABLE tickets (x)",
            "CREATE TEMP TABLE loot AS SELECT * FROM main.tickets__rows",
            "CREATE TEMP VIEW loot AS SELECT * FROM main.tickets__rows",
            "CREATE VIEW loot AS SELECT * FROM tickets__rows",
            f"CREATE TEMP TRIGGER {TRIGGER}2 INSTEAD OF DELETE ON tickets BEGIN DELETE FROM tickets__rows; END",
            "CREATE TRIGGER loot AFTER INSERT ON tickets__rows BEGIN SELECT 1; END",
            "CREATE INDEX loot ON tickets__rows (subject)",
            "CREATE VIRTUAL TABLE loot USING fts5(x)",
            "CREATE VIRTUAL TABLE temp.loot USING fts4(content='tickets__rows', subject)",
            "CREATE VIRTUAL TABLE temp.loot USING dbstat",
            "DROP VIEW tickets",
            "DROP TABLE tickets__rows",
            f"DROP TRIGGER {TRIGGER}",
            "ALTER TABLE tickets__rows RENAME TO loot",
            "ALTER TABLE tickets__rows ADD COLUMN loot",
            "ALTER TABLE tickets RENAME TO loot",
            "REINDEX",
            "REINDEX tickets__rows",
            "ANALYZE",
            "ANALYZE tickets__rows",
        )
    ):
        yield Attempt(f"open-{number}", (statement, "SELECT * FROM loot"))


def _writing() -> Iterator[Attempt]:
    own, other, stored = OWN.hex, OTHER.hex, "tickets__rows"
    for name, statement in {
        "insert-foreign": f"INSERT INTO tags (tenant_id, id, word) VALUES ('{other}', 'x', 'x')",
        "insert-nobody": "INSERT INTO tags (tenant_id, id, word) VALUES (NULL, 'x', 'x')",
        "insert-no-tenant": "INSERT INTO tags (id, word) VALUES ('x', 'x')",
        "insert-blob-tenant": f"INSERT INTO tags (tenant_id, id, word) VALUES (x'{other.encode().hex()}', 'x', 'x')",
        "insert-upper-tenant": f"INSERT INTO tags (tenant_id, id, word) VALUES (upper('{own}'), 'x', 'x')",
        "insert-default": "INSERT INTO tags DEFAULT VALUES",
        "insert-or-ignore": f"INSERT OR IGNORE INTO tags (tenant_id, id, word) VALUES ('{other}', 'x', 'x')",
        "insert-or-replace": f"INSERT OR REPLACE INTO tags VALUES ('{other}', '{FOREIGN_ID}', 'x')",
        "insert-or-fail": f"INSERT OR FAIL INTO tags VALUES ('{own}', 'x', 'x'), ('{other}', 'x', 'x')",
        "replace-foreign": f"REPLACE INTO tags VALUES ('{other}', '{FOREIGN_ID}', 'x')",
        "insert-mixed": f"INSERT INTO tags VALUES ('{own}', 'x', 'x'), ('{other}', 'x', 'x')",
        "insert-stored": f"INSERT INTO tags__rows VALUES ('{other}', 'x', 'x')",
        "insert-stored-own": f"INSERT INTO main.tags__rows VALUES ('{own}', 'x', 'x')",
        "insert-select": f"INSERT INTO tags SELECT '{own}', id, subject FROM {stored}",
        "insert-cte": f"WITH c AS (SELECT * FROM {stored}) INSERT INTO tags SELECT '{own}', id, subject FROM c",
        "insert-returning": (
            f"INSERT INTO tags VALUES ('{own}', 'x', 'x') RETURNING (SELECT group_concat(subject) FROM {stored})"
        ),
        "upsert": f"INSERT INTO tags VALUES ('{own}', 'x', 'x') ON CONFLICT DO UPDATE SET word = 'y'",
        "upsert-nothing": f"INSERT INTO tags VALUES ('{other}', 'x', 'x') ON CONFLICT DO NOTHING",
        "update-tenant": f"UPDATE tickets SET tenant_id = '{other}'",
        "update-tenant-and-id": f"UPDATE tickets SET tenant_id = '{other}', id = id || 'x'",
        "update-or-ignore": f"UPDATE OR IGNORE tags SET tenant_id = '{other}'",
        "update-or-replace": f"UPDATE OR REPLACE tags SET tenant_id = '{other}', id = '{FOREIGN_ID}'",
        "update-to-nobody": "UPDATE tags SET tenant_id = NULL",
        "update-stored": f"UPDATE {stored} SET subject = 'x'",
        "update-from-stored": f"UPDATE tickets SET subject = o.subject FROM {stored} AS o WHERE o.id = '{FOREIGN_ID}'",
        "update-with-stored": f"UPDATE tickets SET subject = (SELECT max(subject) FROM {stored} WHERE id > '0')",
        "update-where-stored": f"UPDATE tickets SET subject = 'x' WHERE EXISTS (SELECT 1 FROM {stored})",
        "update-returning": f"UPDATE tickets SET note = 'x' RETURNING (SELECT group_concat(subject) FROM {stored})",
        "update-reference": f"UPDATE tickets SET company_id = '{FOREIGN_ID}'",
        "delete-stored": f"DELETE FROM {stored}",
        "delete-main": f"DELETE FROM main.{stored} WHERE tenant_id = '{own}'",
        "delete-where-stored": f"DELETE FROM tickets WHERE id IN (SELECT id FROM {stored})",
        "delete-returning": f"DELETE FROM tickets RETURNING (SELECT group_concat(subject) FROM {stored})",
        "delete-order-by": f"DELETE FROM tickets ORDER BY (SELECT max(subject) FROM {stored}) LIMIT 1",
        "schema-insert": "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (y)')",
        "temp-schema-delete": "DELETE FROM sqlite_temp_master",
        "shared-insert": "INSERT INTO countries VALUES ('xx')",
        "shared-update": "UPDATE countries SET code = 'xx'",
        "shared-delete": "DELETE FROM main.countries",
    }.items():
        yield Attempt(name, (statement, "SELECT subject FROM tickets UNION SELECT word FROM tags"))
    for name, statement in {
        "update-foreign-key": f"UPDATE tickets SET subject = 'x' WHERE tenant_id = '{other}'",
        "delete-foreign-key": f"DELETE FROM tickets WHERE id = '{FOREIGN_ID}'",
        "delete-foreign-tenant": f"DELETE FROM companies WHERE tenant_id <> '{own}' OR tenant_id = '{other}'",
        "delete-everything": "DELETE FROM companies",
        "replace-own": f"REPLACE INTO tags VALUES ('{own}', '{FOREIGN_ID}', 'foreign-tag-0')",
        "update-onto-foreign-id": f"UPDATE comments SET id = '{FOREIGN_ID}' WHERE body = 'own-comment-0'",
        "returning-foreign": "UPDATE tickets SET subject = subject WHERE true RETURNING *",
        "read-all": "SELECT * FROM tickets WHERE true OR 1 = 1 --",
        "read-shadow": "WITH tickets AS (SELECT * FROM temp.tickets) SELECT * FROM tickets",
        "read-json": "SELECT value FROM tickets, json_each('[1]')",
        "read-tree": "SELECT atom FROM json_tree('[1]'), comments",
        "read-window": "SELECT subject, count(*) OVER (), lag(subject) OVER (ORDER BY id) FROM tickets",
        "read-full-join": "SELECT subject FROM (SELECT NULL AS subject) FULL JOIN tickets USING (subject)",
        "read-right-join": "SELECT b.subject FROM comments AS a RIGHT JOIN tickets AS b ON a.body = b.subject",
        "commit-and-read": "SELECT count(*), max(subject) FROM tickets",
    }.items():
        yield Attempt(name, ("COMMIT",) * name.startswith("commit") + (statement,), refused=False)


ATTEMPTS = [*_reading(), *_opening(), *_writing()]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> CommonFile:
    return CommonFile(tmp_path_factory.mktemp("attacks"))


def tells(rows: list[Any]) -> bool:
    """Returns whether rows hold something of the other tenant's."""
    counts = {OTHER_ROWS, OTHER_ROWS + OWN_ROWS}
    values = [value for row in rows for value in row]
    return any(value in counts if isinstance(value, int) else _is_foreign(str(value)) for value in values)


def _is_foreign(word: str) -> bool:
    return f"{MARK}-" in word.replace("foreign-tag-0", "") or f"leak-{OTHER_ROWS}" in word or OTHER.hex in word


def run(connection: sqlite3.Connection, attempt: Attempt) -> tuple[list[Any], list[sqlite3.Error]]:
    """Returns what the statements yielded and the errors they met."""
    rows: list[Any] = []
    errors: list[sqlite3.Error] = []
    connection.execute("BEGIN IMMEDIATE")
    for statement in attempt.statements:
        try:
            rows += connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            errors.append(error)
    if connection.in_transaction:
        connection.commit()
    return rows, errors


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_an_attempt_finds_and_changes_nothing_of_others(file: CommonFile, attempt: Attempt) -> None:
    file.reset()
    theirs, mine, everything = file.belonging_to_others(), file.rows_of(OWN), file.count()
    with file.walled() as connection:
        rows, errors = run(connection, attempt)
        assert not tells(rows)
        assert not tells([[str(error)] for error in errors])
        assert not any(connection.wall._secret in str(error) for error in errors)
    assert file.belonging_to_others() == theirs
    assert file.count() == everything - _size(mine) + _size(file.rows_of(OWN))
    if attempt.refused:
        assert errors
        assert all(isinstance(error, sqlite3.DatabaseError) for error in errors)
    else:
        assert not errors


def _size(rows: dict[str, list[Any]]) -> int:
    return sum(map(len, rows.values()))


def test_there_are_enough_attempts() -> None:
    assert len({attempt.statements for attempt in ATTEMPTS}) >= 150


@pytest.mark.parametrize("name", ["leftover", "main.LeftOver", '"leftover"', "shown", "temp.leftover"])
@pytest.mark.parametrize(
    "form", ["SELECT x FROM {}", "SELECT count(*) FROM {}", "SELECT x FROM (SELECT 1 AS x) FULL JOIN {} USING (x)"]
)
def test_a_table_that_is_in_the_file_by_accident_is_hidden(tmp_path: Path, name: str, form: str) -> None:
    file = CommonFile(tmp_path)
    with file.plain() as owner:
        owner.execute("CREATE TABLE leftover (x)")
        owner.execute("CREATE VIEW shown AS SELECT subject AS x FROM tickets__rows")
    with file.walled() as connection, pytest.raises(sqlite3.DatabaseError):
        connection.execute(form.format(name))


def test_the_secret_cannot_be_uttered_even_when_it_is_known(file: CommonFile) -> None:
    with file.walled() as connection:
        view = connection.wall._view
        for spelled in (view, view.upper(), f'"{view}"', f"{view}x", view[:33] + "trigger0i"):
            statement = f"WITH {spelled} AS (SELECT * FROM main.tickets__rows) SELECT * FROM {spelled}"
            with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
                connection.execute(statement)
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            connection.executemany(f"INSERT INTO tags SELECT 1, 2, {view[:33]}tenant()", [])


def test_two_connections_have_two_secrets(file: CommonFile) -> None:
    with file.walled() as one, file.walled() as two:
        assert one.wall._secret != two.wall._secret
        assert len(one.wall._secret) == 33


def test_no_error_message_tells_the_secret(file: CommonFile) -> None:
    with file.walled() as connection:
        secret = connection.wall._secret
        with file.plain() as owner:
            owner.execute("ALTER TABLE comments__rows RENAME COLUMN body TO text")
        try:
            for statement in (
                "SELECT * FROM comments",
                "DELETE FROM comments",
                "INSERT INTO comments VALUES (1, 2, 3, 4)",
                "SELECT nothing FROM tickets",
                "SELECT tickets.* FROM tickets UNION SELECT 1",
                "INSERT INTO tickets VALUES (1)",
                f"INSERT INTO tickets (tenant_id, id) VALUES ('{OWN.hex}', 'x')",
                "SELECT id FROM tickets, comments, tags",
                "UPDATE tickets SET doubled = 1, nothing = 2",
                "SELECT tenant()",
                "SELECT abs(-9223372036854775808) FROM tickets",
                "SELECT json(subject) FROM tickets",
            ):
                with pytest.raises(sqlite3.Error) as caught:
                    connection.execute(statement).fetchall()
                assert secret not in str(caught.value)
        finally:
            with file.plain() as owner:
                owner.execute("ALTER TABLE comments__rows RENAME COLUMN text TO body")


@pytest.mark.parametrize(
    "call",
    [
        lambda connection, _: connection.backup(sqlite3.connect(":memory:")),
        lambda connection, _: connection.serialize(),
        lambda connection, _: connection.deserialize(b""),
        lambda connection, _: list(connection.iterdump()),
        lambda connection, _: connection.blobopen("tickets__rows", "subject", 1),
        lambda connection, _: connection.set_authorizer(None),
        lambda connection, _: connection.set_trace_callback(print),
        lambda connection, _: connection.total_changes,
        lambda connection, _: connection.enable_load_extension(True),
        lambda connection, _: connection.load_extension("x"),
        lambda connection, _: connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 10),
        lambda connection, _: connection.executescript("SELECT 1; EXPLAIN SELECT 1"),
        lambda connection, _: connection.cursor().executescript("SELECT 1"),
        lambda connection, _: connection.cursor(sqlite3.Cursor),
        lambda connection, cursor: cursor.connection.set_authorizer(None),
    ],
)
def test_the_side_doors_of_the_driver_are_shut(file: CommonFile, call: Callable[..., object]) -> None:
    with file.walled() as connection, connection:
        cursor = connection.execute("SELECT 1")
        with pytest.raises(sqlite3.NotSupportedError):
            call(connection, cursor)
        assert connection.execute("SELECT count(*) FROM tickets").fetchone() == (OWN_ROWS,)


@st.composite
def names_of_stored_tables(draw: st.DrawFn) -> str:
    table = draw(st.sampled_from(["tickets__rows", "accounts__rows", "sqlite_master", "sqlite_temp_schema"]))
    spelled = "".join(letter.upper() if draw(st.booleans()) else letter for letter in table)
    before, after = draw(st.sampled_from([("", ""), ('"', '"'), ("[", "]"), ("`", "`"), ("'", "'")]))
    schema = draw(st.sampled_from(["", "main.", "MAIN .", '"main".', "temp.", "[Temp] . "]))
    blank = draw(st.sampled_from([" ", "\n", "/**/", " -- x\n", "\t"]))
    return f"{blank}{schema}{blank}{before}{spelled}{after}{blank}"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=names_of_stored_tables(),
    form=st.sampled_from(
        [
            "SELECT * FROM {}",
            "SELECT count(*) FROM {}",
            "WITH c AS (SELECT * FROM {}) SELECT count(*) FROM c",
            "SELECT (SELECT max(rowid) FROM {})",
            "SELECT * FROM tickets NATURAL JOIN {}",
            "UPDATE {} SET tenant_id = 1",
            "DELETE FROM {}",
        ]
    ),
)
def test_no_spelling_of_a_name_gets_through(file: CommonFile, name: str, form: str) -> None:
    with file.walled() as connection, pytest.raises(sqlite3.DatabaseError):
        connection.execute(form.format(name)).fetchall()


class HearsNothing(Wall):
    """Looks at no statement before SQLite does: the authorizer stands alone."""

    def check_statement(self, sql: str) -> None:
        """Lets everything through."""


class SeesNothing(Wall):
    """Lets SQLite do whatever the statement's text did not give away."""

    def _allows(self, *_: object) -> bool:
        return True


class TrustsPlainNames(HearsNothing):
    """Believes whoever has the name of a view."""

    def _may_read(self, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        return on_behalf in self._script.views or super()._may_read(table, column, database, on_behalf)


class TrustsTriggersWithEverything(HearsNothing):
    """Lets a trigger's name read every column."""

    def _may_read(self, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        return self._is_trigger(on_behalf) or super()._may_read(table, column, database, on_behalf)


class CountsForEverybody(HearsNothing):
    """Forgets sources of which no column is used."""

    def _may_count(self, table: str, database: str | None) -> bool:
        return True


class LetsWritersWrite(HearsNothing):
    """Does not ask who writes a stored table."""

    def _may_write(self, table: str, database: str | None, on_behalf: str | None) -> bool:
        return True


class ShowsSchemaTables(HearsNothing):
    """Lets the schema tables be read, where the secret stands."""

    def _may_read(self, table: str, column: str, database: str | None, on_behalf: str | None) -> bool:
        return table.startswith("sqlite_") or super()._may_read(table, column, database, on_behalf)


def without_check(script: WallScript) -> WallScript:
    """Takes the check out of the triggers, and the bound tenant out of what they write."""
    unchecked = script.statements.replace(sqlite_wall._CHECKED, "")
    writes = re.sub(r"VALUES \(@secret@tenant\(\)", "VALUES (NEW.`tenant_id`", unchecked)
    assert writes not in (script.statements, unchecked)
    return replace(script, statements=writes)


def without_filter(script: WallScript) -> WallScript:
    """Takes the filter out of the views."""
    return replace(script, statements=script.statements.replace("WHERE `tenant_id` = @secret@tenant()", ""))


def told_the_secret(connection: sqlite3.Connection) -> Iterator[Attempt]:
    """Yields the attempt of somebody who reads the secret out of what a statement tells, and then uses it."""
    for statement in (*EXPLANATIONS, "SELECT * FROM sqlite_temp_master"):
        with suppress(sqlite3.Error):
            found = re.search(r"w[0-9a-f]{32}", str(connection.execute(statement).fetchall()))
            if found:
                name = f"{found[0]}view"
                yield Attempt("told", (f"WITH {name} AS (SELECT * FROM tickets__rows) SELECT * FROM {name}",))


def successes(file: CommonFile, monkeypatch: pytest.MonkeyPatch, wall: type[Wall], script: WallScript) -> set[str]:
    """Returns the attempts that succeed against this wall."""
    monkeypatch.setattr(sqlite_connection, "Wall", wall)
    found = set()
    for attempt in ATTEMPTS:
        file.reset()
        theirs = file.belonging_to_others()
        with file.walled(script=script) as connection:
            rows, _ = run(connection, attempt)
            if tells(rows) or file.belonging_to_others() != theirs:
                found.add(attempt.name)
    with file.walled(script=script) as connection:
        found |= {attempt.name for attempt in told_the_secret(connection) if tells(run(connection, attempt)[0])}
    return found


def test_nothing_succeeds_against_the_wall(file: CommonFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert successes(file, monkeypatch, Wall, CommonFile.script) == set()


@pytest.mark.parametrize(
    ("wall", "weaken", "expected"),
    [
        (TrustsPlainNames, None, {"cte-tickets"}),
        (TrustsTriggersWithEverything, None, {f"cte-{TRIGGER}", "cte-tenantry_wall_"}),
        (HearsNothing, None, {"told", "full-join", "full-join-cte", "join-using"}),
        (SeesNothing, None, {"shared-insert"}),
        (CountsForEverybody, None, {"count-0", "count-1", "exists-0"}),
        (LetsWritersWrite, None, {"insert-stored", "update-stored"}),
        (Wall, without_check, {"insert-foreign", "replace-foreign"}),
        (Wall, without_filter, {"read-all", "delete-foreign-tenant"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_weaker_wall_is_found_out(
    file: CommonFile,
    monkeypatch: pytest.MonkeyPatch,
    wall: type[Wall],
    weaken: Callable[[WallScript], WallScript] | None,
    expected: set[str],
) -> None:
    script = weaken(CommonFile.script) if weaken else CommonFile.script
    assert expected <= successes(file, monkeypatch, wall, script)


def test_the_schema_tables_would_tell_the_secret(file: CommonFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connection, "Wall", ShowsSchemaTables)
    with file.walled() as connection:
        told = str(connection.execute("SELECT sql FROM sqlite_temp_master").fetchall())
        assert connection.wall._secret in told


def test_a_blob_would_pass_the_authorizer(file: CommonFile) -> None:
    with file.walled() as connection, file.plain() as owner:
        number = owner.execute("SELECT rowid FROM tickets__rows WHERE tenant_id = ?", [OTHER.hex]).fetchone()[0]
        with closing(
            sqlite3.Connection.blobopen(connection, "tickets__rows", "subject", number, readonly=True)
        ) as blob:
            assert blob.read().startswith(MARK.encode())


def test_rebinding_is_the_only_way_to_the_other(file: CommonFile) -> None:
    file.reset()
    with file.walled() as connection:
        bind(connection, OTHER)
        rows = connection.execute("SELECT subject FROM tickets").fetchall()
        assert len(rows) == OTHER_ROWS
        assert tells(rows)
