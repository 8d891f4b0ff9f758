"""Ordinary work behind SQLite's wall: what the ORM relies on holds as on plain tables."""

from __future__ import annotations

import datetime
import sqlite3
import uuid
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError
from tenantry.isolation.sqlite_connection import bind, wall_of, walled_factory

from .sqlite_walls import (
    OTHER,
    OTHER_ROWS,
    OWN,
    OWN_ROWS,
    Account,
    Comment,
    CommonFile,
    Company,
    Country,
    Tag,
    Ticket,
    closing_engine,
    numbered,
)


@pytest.fixture
def file(tmp_path: Path) -> CommonFile:
    return CommonFile(tmp_path)


def count(session: Session, model: type) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_session_sees_its_own_tenant_only(file: CommonFile) -> None:
    with file.session(OWN) as own, file.session(OTHER) as other:
        assert count(own, Ticket) == OWN_ROWS
        own.rollback()
        assert count(other, Ticket) == OTHER_ROWS
        assert all(ticket.subject.startswith("foreign") for ticket in other.scalars(select(Ticket)))


def test_create_read_update_delete(file: CommonFile) -> None:
    with file.session() as session:
        ticket = Ticket(tenant_id=OWN, subject="new", facts={"deep": [1, None]}, price=Decimal("12.50"))
        session.add(ticket)
        session.commit()
        key = ticket.id
        session.expire_all()
        assert ticket.facts == {"deep": [1, None]}
        assert ticket.price == Decimal("12.50")
        assert isinstance(ticket.id, uuid.UUID)
        ticket.subject = "changed"
        session.commit()
        assert session.scalars(select(Ticket.subject).where(Ticket.id == key)).one() == "changed"
        session.delete(ticket)
        session.commit()
        assert count(session, Ticket) == OWN_ROWS
    assert file.count() == 52


def test_what_the_database_fills_in_comes_back_at_once(file: CommonFile) -> None:
    with file.session() as session:
        ticket = Ticket(tenant_id=OWN, subject="new")
        session.add(ticket)
        session.flush()
        loaded = vars(ticket)
        assert (loaded["priority"], loaded["doubled"]) == (3, 6)
        assert isinstance(loaded["opened_at"], datetime.datetime)
        assert ticket.note == "none"
        ticket.priority = 5
        session.flush()
        assert ticket.doubled == 10


def test_a_default_gives_way_to_a_value(file: CommonFile) -> None:
    opened = datetime.datetime(2020, 1, 2, 3, 4, 5)
    with file.session() as session:
        session.add(Ticket(tenant_id=OWN, id=numbered(OWN, 99), subject="x", priority=0, note="", opened_at=opened))
        session.commit()
        ticket = session.get_one(Ticket, (OWN, numbered(OWN, 99)))
        assert (ticket.priority, ticket.note, ticket.opened_at) == (0, "", opened)
        ticket.note = None
        session.commit()
        assert session.scalar(select(Ticket.note).where(Ticket.id == ticket.id)) is None


def test_many_rows_at_once_keep_their_order(file: CommonFile) -> None:
    with file.session() as session:
        tickets = [Ticket(tenant_id=OWN, subject=f"bulk-{number}") for number in range(250)]
        session.add_all(tickets)
        session.flush()
        assert all(vars(ticket)["priority"] == 3 for ticket in tickets)
        rows = [{"tenant_id": OWN, "subject": f"more-{number}", "priority": number} for number in range(250)]
        made = session.scalars(insert(Ticket).returning(Ticket, sort_by_parameter_order=True), rows).all()
        assert [ticket.subject for ticket in made] == [row["subject"] for row in rows]
        assert [ticket.doubled for ticket in made] == [2 * row["priority"] for row in rows]
        session.commit()
        assert count(session, Ticket) == OWN_ROWS + 500


def test_returning_of_update_and_delete(file: CommonFile) -> None:
    with file.session() as session:
        updated = session.execute(update(Ticket).values(priority=7).returning(Ticket.priority, Ticket.doubled)).all()
        assert updated == [(7, 14)] * OWN_ROWS
        deleted = session.execute(delete(Comment).returning(Comment.body)).scalars().all()
        assert sorted(deleted) == [f"own-comment-{number}" for number in range(OWN_ROWS)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE tickets SET subject = 'x'", OWN_ROWS),
        ("UPDATE tickets SET subject = 'x' WHERE subject = 'foreign-ticket-0'", 0),
        ("WITH one AS (SELECT 1) UPDATE tickets SET subject = 'x'", OWN_ROWS),
        ("DELETE FROM companies WHERE name = 'own-company-1'", 1),
        ("DELETE FROM companies", OWN_ROWS),
        ("DELETE FROM tags", OWN_ROWS),
        ("INSERT INTO tags (tenant_id, id, word) VALUES (:own, 'a', 'a'), (:own, 'b', 'b')", 2),
        ("INSERT OR IGNORE INTO tags (tenant_id, id, word) VALUES (:own, 'a', 'own-tag-0'), (:own, 'b', 'b')", 1),
        ("INSERT OR REPLACE INTO tags (tenant_id, id, word) VALUES (:own, 'a', 'own-tag-0')", 1),
        ("UPDATE comments SET id = 'moved' WHERE body = 'own-comment-0'", 1),
        ("SELECT * FROM tickets", -1),
    ],
)
def test_row_counts_are_of_rows_matched_and_of_nothing_else(file: CommonFile, statement: str, expected: int) -> None:
    with file.walled() as connection:
        cursor = connection.execute(statement, {"own": OWN.hex} if ":own" in statement else {})
        assert cursor.rowcount == expected


def test_row_count_of_many_executions(file: CommonFile) -> None:
    with file.walled() as connection:
        cursor = connection.executemany(
            "UPDATE tickets SET subject = 'x' WHERE id = ?", [[numbered(OWN, number).hex] for number in (0, 1, 50)]
        )
        assert cursor.rowcount == 2


def test_the_orm_notices_a_row_that_is_gone(file: CommonFile) -> None:
    with file.session() as session:
        ticket = session.scalars(select(Ticket).limit(1)).one()
        session.execute(text("DELETE FROM tickets"))
        ticket.subject = "late"
        with pytest.raises(Exception, match="expected to update 1 row"):
            session.flush()


def test_cascades_follow_the_foreign_keys(file: CommonFile) -> None:
    with file.session() as session:
        top, middle, leaf = (numbered(OWN, number) for number in range(3))
        session.execute(update(Company).where(Company.id == middle).values(parent_id=top))
        session.execute(update(Company).where(Company.id == leaf).values(parent_id=middle))
        session.execute(update(Ticket).where(Ticket.id == leaf).values(company_id=None))
        session.commit()
        session.delete(session.get_one(Company, (OWN, top)))
        session.commit()
        assert count(session, Company) == 0
        left = session.scalars(select(Ticket)).one()
        assert (left.id, left.company_id, left.reviewer_id) == (leaf, None, None)
        assert [comment.ticket_id for comment in session.scalars(select(Comment))] == [leaf]
    assert len(file.rows_of(OTHER)["tickets__rows"]) == OTHER_ROWS


def test_a_circle_of_parents_can_go(file: CommonFile) -> None:
    with file.walled() as connection:
        first, second = numbered(OWN, 0).hex, numbered(OWN, 1).hex
        connection.execute("UPDATE companies SET parent_id = ? WHERE id = ?", [first, second])
        connection.execute("UPDATE companies SET parent_id = ? WHERE id = ?", [second, first])
        assert connection.execute("DELETE FROM companies WHERE id = ?", [first]).rowcount == 1
        assert connection.execute("SELECT count(*) FROM companies").fetchone() == (1,)


def test_a_changed_id_is_followed(file: CommonFile) -> None:
    with file.walled() as connection:
        connection.execute("DELETE FROM ticket_tags")
        connection.execute("UPDATE tickets SET id = 'moved', subject = 'y' WHERE subject = 'own-ticket-1'")
        found = connection.execute("SELECT body FROM comments WHERE ticket_id = 'moved'").fetchall()
        assert found == [("own-comment-1",)]
        assert connection.execute("SELECT subject FROM tickets WHERE id = 'moved'").fetchall() == [("y",)]


def test_links_are_written_and_removed(file: CommonFile) -> None:
    with file.session() as session:
        ticket = session.get_one(Ticket, (OWN, numbered(OWN, 0)))
        assert [tag.word for tag in ticket.tags] == ["own-tag-0"]
        ticket.tags = [session.get_one(Tag, (OWN, numbered(OWN, 1))), session.get_one(Tag, (OWN, numbered(OWN, 2)))]
        session.commit()
        assert sorted(tag.word for tag in ticket.tags) == ["own-tag-1", "own-tag-2"]
        session.delete(ticket)
        session.commit()
    assert len(file.rows_of(OWN)["ticket_tags__rows"]) == OWN_ROWS - 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Company(tenant_id=OWN, name="own-company-0"), "UNIQUE"),
        (Ticket(tenant_id=OWN, subject=None), "NOT NULL"),
        (Ticket(tenant_id=OWN, subject="x", priority=-1), "CHECK"),
        (Ticket(tenant_id=OWN, subject="x", company_id=numbered(OTHER, 0)), "FOREIGN KEY"),
        (Company(tenant_id=OWN, name="x", country="xx"), "FOREIGN KEY"),
        (Account(tenant_id=OWN, id=OTHER, name="x"), "CHECK"),
    ],
    ids=["unique", "not-null", "check", "foreign-key", "shared-foreign-key", "record"],
)
def test_constraints_hold(file: CommonFile, row: object, message: str) -> None:
    with file.session() as session:
        session.merge(row)
        with pytest.raises(IntegrityError, match=message):
            session.commit()


def test_the_same_key_and_the_same_name_may_stand_in_two_tenants(file: CommonFile) -> None:
    with file.session() as session:
        session.add(Company(tenant_id=OWN, id=numbered(OTHER, 0), name="foreign-company-0"))
        session.commit()
        assert count(session, Company) == OWN_ROWS + 1


def test_savepoints(file: CommonFile) -> None:
    with file.session() as session:
        with session.begin_nested():
            session.add(Tag(tenant_id=OWN, word="kept"))
        nested = session.begin_nested()
        session.add(Tag(tenant_id=OWN, word="undone"))
        session.flush()
        nested.rollback()
        session.commit()
        assert sorted(session.scalars(select(Tag.word).where(Tag.word.in_(["kept", "undone"])))) == ["kept"]


def test_shared_tables_are_read_and_not_written(file: CommonFile) -> None:
    with file.session() as session:
        assert sorted(session.scalars(select(Country.code))) == ["de", "fr"]
        assert session.scalar(select(func.count()).select_from(Country)) == 2
        session.add(Country(code="xx"))
        with pytest.raises(DBAPIError, match="not authorized"):
            session.flush()


def test_nobody_bound_sees_nothing_and_writes_nothing(file: CommonFile) -> None:
    before = file.count()
    with file.walled(None) as connection:
        assert connection.execute("SELECT * FROM tickets").fetchall() == []
        assert connection.execute("SELECT code FROM countries ORDER BY 1").fetchall() == [("de",), ("fr",)]
        for statement in (
            f"INSERT INTO tags (tenant_id, id, word) VALUES ('{OWN.hex}', 'a', 'a')",
            "INSERT INTO tags (id, word) VALUES ('a', 'a')",
            "UPDATE tags SET word = 'a'",
            "DELETE FROM tags",
            "WITH one AS (SELECT 1) DELETE FROM tags",
            "REPLACE INTO tags VALUES (NULL, 'a', 'a')",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="no tenant is bound"):
                connection.execute(statement)
    assert file.count() == before


def test_the_database_itself_refuses_a_write_for_nobody(file: CommonFile) -> None:
    with file.walled(OWN) as connection:
        connection.execute("SELECT 1").close()
        bind(connection, None)
        with pytest.raises(sqlite3.IntegrityError, match="no tenant is bound"):
            sqlite3.Cursor(connection).execute("INSERT INTO tags (id, word) VALUES ('a', 'a')")


def test_binding_takes_only_a_uuid_and_fails_closed(file: CommonFile) -> None:
    with file.walled(OTHER) as connection:
        with pytest.raises(TypeError, match="by its UUID"):
            bind(connection, OTHER.hex)
        assert wall_of(connection).tenant is None
        assert connection.execute("SELECT * FROM tickets").fetchall() == []


def test_a_connection_without_a_wall_is_told(file: CommonFile) -> None:
    with file.plain() as connection, pytest.raises(ConfigurationError, match="has no wall"):
        bind(connection, OWN)


def test_a_cursor_ends_with_its_binding(file: CommonFile) -> None:
    with file.walled(OWN) as connection:
        cursor = connection.execute("SELECT subject FROM tickets UNION ALL SELECT body FROM comments")
        assert next(cursor)[0].startswith("own")
        bind(connection, OTHER)
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, lambda: next(cursor)):
            with pytest.raises(sqlite3.ProgrammingError, match="another tenant"):
                fetch()
        bind(connection, OWN)
        assert all(word.startswith("own") for (word,) in cursor)


def test_another_connection_may_change_the_schema(file: CommonFile) -> None:
    with file.walled() as connection:
        assert connection.execute("SELECT count(*) FROM tickets").fetchone() == (OWN_ROWS,)
        with file.plain() as owner:
            owner.execute("CREATE TABLE later__rows (tenant_id, secret)")
            owner.execute("ALTER TABLE tickets__rows ADD COLUMN later")
        assert connection.execute("SELECT count(*) FROM tickets").fetchone() == (OWN_ROWS,)
        assert connection.execute("SELECT value FROM json_each('[1, 2]')").fetchall() == [(1,), (2,)]
        assert connection.execute("UPDATE tickets SET subject = 'x'").rowcount == OWN_ROWS
        for statement in ("SELECT * FROM later__rows", "SELECT count(*) FROM later__rows"):
            with pytest.raises(sqlite3.DatabaseError):
                connection.execute(statement)


def test_what_it_relies_on_is_set_on_every_connection(file: CommonFile) -> None:
    with file.walled() as connection:
        bare = sqlite3.Cursor(connection)
        sqlite3.Connection.set_authorizer(connection, None)
        found = {name: bare.execute(f"PRAGMA {name}").fetchone()[0] for name in ("foreign_keys", "journal_mode")}
        assert found == {"foreign_keys": 1, "journal_mode": "wal"}
        assert connection.isolation_level is None


def test_a_file_that_cannot_have_a_journal_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="journal_mode"):
        closing(sqlite3.connect(":memory:", factory=walled_factory(CommonFile.script)))


def test_the_pool_hands_a_connection_from_tenant_to_tenant(file: CommonFile) -> None:
    with closing_engine(file.engine()) as engine:
        for tenant, rows in ((OWN, OWN_ROWS), (OTHER, OTHER_ROWS), (OWN, OWN_ROWS)):
            with Session(engine.execution_options(tenant=tenant)) as session:
                assert count(session, Ticket) == rows


def test_a_read_by_key_finds_its_way_by_the_primary_key(file: CommonFile) -> None:
    with file.walled() as connection:
        plan = sqlite3.Cursor(connection).execute("EXPLAIN QUERY PLAN SELECT * FROM tickets WHERE id = ?", ["x"])
        assert "(tenant_id=? AND id=?)" in " ".join(row[3] for row in plan)


def test_statistics_never_let_a_condition_come_before_the_tenant(file: CommonFile) -> None:
    with file.plain() as owner:
        owner.executemany(
            "INSERT INTO tickets__rows (tenant_id, id, subject) VALUES (?, ?, 'own')",
            [(OWN.hex, f"many-{number}") for number in range(500)],
        )
        owner.execute("ANALYZE")
        assert owner.execute("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'tickets__rows'").fetchone() > (0,)
    seen: list[str] = []
    with file.walled() as connection:
        connection.create_function("peek", 1, lambda value: seen.append(value) or 1)
        plans = sqlite3.Cursor(connection).execute("EXPLAIN QUERY PLAN SELECT * FROM tickets WHERE peek(note)")
        assert "SCAN" not in " ".join(row[3] for row in plans)
        connection.execute("SELECT * FROM tickets WHERE subject = 'foreign-ticket-1' OR priority = 3 AND peek(subject)")
        assert seen
        assert not any(value.startswith("foreign") for value in seen)
