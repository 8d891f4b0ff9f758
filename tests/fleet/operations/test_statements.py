"""Which tables a text writes, checks or defines."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tenantry.fleet.operations.statements import Named, checked, data_mark, data_table, defined, separate, written

T = Named("tickets")


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("UPDATE tickets SET a = 1", [T]),
        ("update ONLY tickets set a = 1", [T]),
        ("UPDATE Tickets SET a = 1", [T]),
        ('UPDATE "Tickets" SET a = 1', [Named("Tickets")]),
        ("UPDATE public.tickets SET a = 1", [Named("tickets", "public")]),
        ("DELETE FROM tickets WHERE a = 'insert into agents'", [T]),
        ("INSERT INTO tickets (a) SELECT 1", [T]),
        ("INSERT OR REPLACE INTO tickets (a) VALUES (1)", [T]),
        ("MERGE INTO tickets USING agents ON true WHEN MATCHED THEN DELETE", [T]),
        ("-- UPDATE agents\nUPDATE tickets SET a = 1", [T]),
        ("WITH gone AS (DELETE FROM tickets RETURNING *) INSERT INTO agents SELECT * FROM gone", [T, Named("agents")]),
        ("WITH x AS (SELECT 1) SELECT * FROM tickets", []),
        ("SELECT 'UPDATE tickets SET a = 1'", []),
        ("CREATE TRIGGER t AFTER UPDATE ON tickets EXECUTE FUNCTION f()", []),
        ("DO $$ BEGIN UPDATE tickets SET a = 1; END $$", []),
        ("CREATE POLICY p ON tickets FOR UPDATE USING (true)", []),
        ("ALTER TABLE tickets ADD COLUMN updated int", []),
        (sa.delete(sa.table("tickets")), [T]),
        (sa.select(sa.literal(1)), []),
    ],
)
def test_tables_whose_rows_change(statement: object, tables: list[Named]) -> None:
    assert written(statement) == tables


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("ALTER TABLE tickets VALIDATE CONSTRAINT fk", [T]),
        ("ALTER TABLE tickets ADD FOREIGN KEY (a, b) REFERENCES agents (x, y)", [T, Named("agents")]),
        ("ALTER TABLE ONLY tickets ADD COLUMN a int REFERENCES agents", [T, Named("agents")]),
        ("ALTER TABLE IF EXISTS tickets ALTER COLUMN a TYPE text", [T]),
        ("ALTER TABLE tickets ALTER a SET DATA TYPE text", [T]),
        ("ALTER TABLE tickets ADD COLUMN type text", []),
        ("UPDATE tickets SET a = 1", []),
    ],
)
def test_tables_whose_keys_are_checked(statement: str, tables: list[Named]) -> None:
    assert checked(statement) == tables


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("CREATE INDEX x ON tickets (a)", T),
        ("create unique index concurrently if not exists x on tickets (a)", T),
        ("CREATE TABLE IF NOT EXISTS tickets (a int)", T),
        ("DROP TABLE tickets", T),
        ("TRUNCATE TABLE tickets", T),
        ("SELECT 1", None),
    ],
)
def test_table_that_is_defined(statement: str, table: Named | None) -> None:
    assert defined(statement) == table


def test_several_statements_are_taken_apart_where_rows_change() -> None:
    assert separate("UPDATE a SET x = ';'; DELETE FROM b;") == ["UPDATE a SET x = ';'", "DELETE FROM b"]
    body = "CREATE TRIGGER t AFTER DELETE ON a BEGIN DELETE FROM b; END"
    assert separate(body) == [body]
    assert separate("ALTER TABLE a ADD x int; ALTER TABLE a ADD y int") == [
        "ALTER TABLE a ADD x int; ALTER TABLE a ADD y int"
    ]
    bound = sa.text("UPDATE a SET x = :x; UPDATE b SET x = :x")
    assert separate(bound) == [bound]


def test_mark_is_read_back() -> None:
    assert data_table(f"{data_mark('tickets')}UPDATE tickets SET a = 1") == "tickets"
    assert data_table("UPDATE tickets SET a = 1") is None
