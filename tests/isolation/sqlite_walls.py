"""A common file with two tenants in it, and the models that it holds."""

from __future__ import annotations

import datetime
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Computed,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Numeric,
    create_engine,
    event,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column, relationship

from tenantry.isolation.sqlite_connection import bind, walled_factory
from tenantry.isolation.sqlite_returning import teach_returning
from tenantry.isolation.sqlite_stored import stored_ddl
from tenantry.isolation.sqlite_wall import WallScript
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord, references, tenant_table

OWN = uuid.UUID("0191d8a0-0000-7000-8000-0000000000aa")
OTHER = uuid.UUID("0191d8a0-0000-7000-8000-0000000000bb")
OWN_ROWS, OTHER_ROWS = 3, 7
MARK = "foreign"


class Base(DeclarativeBase):
    """The models of these tests."""


class Country(Shared, Base):
    """Reference data."""

    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


class Invoice(Platform, Base):
    """The platform's own; not in the common file."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)


class Account(TenantRecord, Base):
    """The tenant itself."""

    __tablename__ = "accounts"
    name: Mapped[str]


class Company(TenantOwned, Base):
    """A tree of companies."""

    __tablename__ = "companies"
    name: Mapped[str] = mapped_column(unique=True)
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    country: Mapped[str | None] = mapped_column(ForeignKey("tenantry_shared.countries.code"))


tags_of_tickets = tenant_table(
    "ticket_tags",
    Base.metadata,
    references("tickets.id", ondelete="CASCADE"),
    references("tags.id", ondelete="CASCADE"),
)


class Tag(TenantOwned, Base):
    """A word on tickets."""

    __tablename__ = "tags"
    word: Mapped[str] = mapped_column(unique=True)


class Ticket(TenantOwned, Base):
    """A row with every kind of column that a view makes difficult."""

    __tablename__ = "tickets"
    __table_args__ = (CheckConstraint("priority >= 0", name="ck_priority"), Index("ix_opened_at", "opened_at"))
    subject: Mapped[str] = mapped_column(index=True)
    priority: Mapped[int] = mapped_column(server_default="3")
    doubled: Mapped[int] = mapped_column(Computed("priority * 2"))
    note: Mapped[str | None] = mapped_column(server_default="none")
    opened_at: Mapped[datetime.datetime] = mapped_column(server_default=func.current_timestamp())
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    reviewer_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="SET NULL"))
    comments: Mapped[list[Comment]] = relationship(back_populates="ticket", passive_deletes=True)
    tags: Mapped[list[Tag]] = relationship(secondary=tags_of_tickets)


class Comment(TenantOwned, Base):
    """What follows its ticket."""

    __tablename__ = "comments"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE", onupdate="CASCADE"))
    body: Mapped[str]
    ticket: Mapped[Ticket] = relationship(back_populates="comments")


configure_mappers()
STORED = ("accounts__rows", "companies__rows", "tags__rows", "tickets__rows", "comments__rows", "ticket_tags__rows")


def numbered(tenant: uuid.UUID, number: int) -> uuid.UUID:
    """Returns the id of a tenant's row by its number."""
    return uuid.UUID(int=tenant.int & 0xFF | number << 64)


class CommonFile:
    """A file of common tables: the owner's view of it, and walled connections into it."""

    script = WallScript.for_metadata(Base.metadata)

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "common.sqlite3")
        with self.plain() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in stored_ddl(Base.metadata):
                connection.execute(statement)
        self.reset()

    @contextmanager
    def plain(self) -> Iterator[sqlite3.Connection]:
        """Opens the file as its owner does, without a wall; commits at the end."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA recursive_triggers = ON")
            yield connection

    def reset(self) -> None:
        """Gives both tenants the rows that they begin with."""
        with self.plain() as connection:
            for table in (*reversed(STORED), "countries"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO countries VALUES ('de'), ('fr')")
            for tenant, word, count in ((OWN, "own", OWN_ROWS), (OTHER, MARK, OTHER_ROWS)):
                _fill(connection, tenant, word, count)

    def rows_of(self, tenant: uuid.UUID) -> dict[str, list[tuple[Any, ...]]]:
        """Returns every stored row of a tenant, as the owner sees it."""
        with self.plain() as connection:
            return {
                table: connection.execute(
                    f"SELECT * FROM {table} WHERE tenant_id = ? ORDER BY 1, 2", [tenant.hex]
                ).fetchall()
                for table in STORED
            }

    def belonging_to_others(self) -> dict[str, list[tuple[Any, ...]]]:
        """Returns every row that a session of OWN must not change."""
        with self.plain() as connection:
            shared = connection.execute("SELECT * FROM countries ORDER BY 1").fetchall()
        return {**self.rows_of(OTHER), "countries": shared}

    def count(self) -> int:
        """Returns the number of all stored rows, whosever they are."""
        with self.plain() as connection:
            return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in STORED)

    @contextmanager
    def walled(self, tenant: uuid.UUID | None = OWN, script: WallScript | None = None) -> Iterator[sqlite3.Connection]:
        """Opens a walled connection, bound to *tenant*."""
        with closing(sqlite3.connect(self.path, factory=walled_factory(script or self.script))) as connection:
            bind(connection, tenant)
            yield connection

    @contextmanager
    def session(self, tenant: uuid.UUID | None = OWN) -> Iterator[Session]:
        """Opens a session on an engine of walled connections."""
        with closing_engine(self.engine()) as engine, Session(engine.execution_options(tenant=tenant)) as session:
            yield session

    def engine(self) -> Engine:
        """Returns an engine whose transactions are bound to the execution option ``tenant``."""
        engine = create_engine(f"sqlite:///{self.path}", connect_args={"factory": walled_factory(self.script)})
        prepare(engine)
        return engine.execution_options(schema_translate_map={"tenantry_shared": None})


@contextmanager
def closing_engine(engine: Engine) -> Iterator[Engine]:
    """Disposes of an engine at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def prepare(engine: Engine) -> None:
    """Teaches an engine what the session room teaches its own."""
    teach_returning(engine.dialect)
    event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    bind(connection.connection, connection.get_execution_options()["tenant"])
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _fill(connection: sqlite3.Connection, tenant: uuid.UUID, word: str, count: int) -> None:
    def insert(table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join("?" * (len(values) + 1))
        connection.execute(f"INSERT INTO {table} (tenant_id, {names}) VALUES ({marks})", [tenant.hex, *values.values()])

    insert("accounts__rows", id=tenant.hex, name=f"{word}-account")
    for number in range(count):
        row = numbered(tenant, number).hex
        insert("companies__rows", id=row, name=f"{word}-company-{number}", country="de")
        insert("tags__rows", id=row, word=f"{word}-tag-{number}")
        insert("tickets__rows", id=row, subject=f"{word}-ticket-{number}", company_id=row, reviewer_id=row)
        insert("comments__rows", id=row, ticket_id=row, body=f"{word}-comment-{number}")
        insert("ticket_tags__rows", ticket_id=row, tag_id=row)
