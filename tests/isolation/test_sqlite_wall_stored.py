"""The stored tables: nothing that the models say is lost on the way into the common file."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    create_engine,
    func,
    inspect,
)

from tenantry.isolation.sqlite_connection import bind, walled_factory
from tenantry.isolation.sqlite_stored import stored_ddl
from tenantry.isolation.sqlite_wall import WallScript
from tenantry.models import Ownership, is_walled

from .sqlite_walls import OTHER, OWN, Base, CommonFile, closing_engine


@pytest.fixture
def file(tmp_path: Path) -> CommonFile:
    return CommonFile(tmp_path)


def walled(name: str, metadata: MetaData, *items: object) -> Table:
    key = Column("tenant_id", Uuid(), primary_key=True), Column("id", String(32), primary_key=True)
    return Table(name, metadata, *key, *items, info={"tenantry": Ownership.TENANT})


def test_every_table_key_index_and_check_is_there(file: CommonFile) -> None:
    with closing_engine(create_engine(f"sqlite:///{file.path}")) as engine:
        found = inspect(engine)
        stored = {table.name + "__rows": table for table in Base.metadata.tables.values() if is_walled(table)}
        assert set(found.get_table_names()) == {*stored, "countries"}
        for name, table in stored.items():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
            assert {str(index["name"]) for index in found.get_indexes(name)} == {str(i.name) for i in table.indexes}
            assert len(found.get_unique_constraints(name)) == name.startswith(("companies", "tags"))
            assert len(found.get_check_constraints(name)) == name.startswith(("accounts", "tickets"))
            keys = {(*key["constrained_columns"], key["referred_table"]) for key in found.get_foreign_keys(name)}
            assert keys == {
                (*key.column_keys, key.referred_table.name + "__rows" * is_walled(key.referred_table))
                for key in table.foreign_key_constraints
            }


def test_every_index_begins_with_the_tenant(file: CommonFile) -> None:
    metadata = MetaData()
    table = walled("things", metadata, Column("word", String), Column("number", Integer))
    Index("by_expression", func.lower(table.c.word))
    Index("by_word_in_a_tenant", table.c.word, table.c.tenant_id)
    Index("partial", table.c.number, sqlite_where=table.c.number > 3, postgresql_using="gin")
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in stored_ddl(metadata):
            connection.execute(statement)
        for name in ("by_expression", "by_word_in_a_tenant", "partial"):
            assert connection.execute(f"PRAGMA index_info({name})").fetchone()[2] == "tenant_id"


def test_names_that_need_quotes(tmp_path: Path) -> None:
    metadata = MetaData()
    odd = walled('od"d `select', metadata, Column("group", String, server_default="it's"), Column('a "b`', Integer))
    walled("child of", metadata, Column("order", String(32)), ForeignKeyConstraint(
        ["tenant_id", "order"], [odd.c.tenant_id, odd.c.id], ondelete="CASCADE"
    ), CheckConstraint('"order" <> \'x\''))  # fmt: skip
    path = tmp_path / "odd.sqlite3"
    with closing(sqlite3.connect(path)) as owner, owner:
        for statement in stored_ddl(metadata):
            owner.execute(statement)
    factory = walled_factory(WallScript.for_metadata(metadata))
    with closing(sqlite3.connect(path, factory=factory)) as connection:
        bind(connection, OWN)
        name = '"od""d `select"'
        connection.execute(f"INSERT INTO {name} (tenant_id, id) VALUES (?, 'a')", [OWN.hex])
        connection.execute('INSERT INTO "child of" VALUES (?, ?, ?)', [OWN.hex, "c", "a"])
        assert connection.execute(f'SELECT "group" FROM {name}').fetchall() == [("it's",)]
        assert connection.execute(f"DELETE FROM {name}").rowcount == 1
        assert connection.execute('SELECT * FROM "child of"').fetchall() == []
        bind(connection, OTHER)
        assert connection.execute(f"SELECT * FROM {name}").fetchall() == []


ACTIONS = ["CASCADE", "SET NULL", "NO ACTION", "RESTRICT", None]


@pytest.mark.parametrize("seed", range(12))
def test_triggers_do_what_foreign_keys_of_the_database_do(tmp_path: Path, seed: int) -> None:
    """Deletes at random in a random graph of tables, once behind the wall and once with SQLite's own actions."""
    rng = random.Random(seed)
    metadata = MetaData()
    names = [f"t{number}" for number in range(4)]
    for name in names:
        table = walled(name, metadata, Column("up", String(32)))
        target, action = rng.choice(names), rng.choice(ACTIONS)
        action = "SET NULL (up)" if action == "SET NULL" else action
        table.append_constraint(
            ForeignKeyConstraint(["tenant_id", "up"], [f"{target}.tenant_id", f"{target}.id"], ondelete=action)
        )
        table.info["up"] = (target, action)
    behind, plain = _wall_of(metadata, tmp_path), _plain_of(metadata)
    with closing(behind), closing(plain):
        rows = [(name, str(number), rng.choice([None, *"01234"])) for name in names for number in range(5)]
        for connection in (behind, plain):
            connection.execute("BEGIN")
            for name, row, _ in rows:
                connection.execute(f"INSERT INTO {name} (tenant_id, id) VALUES (?, ?)", [OWN.hex, row])
            for name, row, up in rows:
                connection.execute(f"UPDATE {name} SET up = ? WHERE id = ?", [up, row])
        for _ in range(15):
            name, row = rng.choice(names), rng.choice("01234")
            statement = f"DELETE FROM {name} WHERE id = '{row}'"
            assert _outcome(behind, statement) == _outcome(plain, statement)
            assert _contents(behind, names) == _contents(plain, names)


def _wall_of(metadata: MetaData, directory: Path) -> sqlite3.Connection:
    with closing(sqlite3.connect(directory / "graph.sqlite3")) as owner:
        for statement in stored_ddl(metadata):
            owner.execute(statement)
    factory = walled_factory(WallScript.for_metadata(metadata))
    connection = sqlite3.connect(directory / "graph.sqlite3", factory=factory)
    bind(connection, OWN)
    return connection


def _plain_of(metadata: MetaData) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for table in metadata.tables.values():
        target, action = table.info["up"]
        action = "SET NULL" if action == "SET NULL (up)" else action or "NO ACTION"
        connection.execute(
            f"CREATE TABLE {table.name} (tenant_id DEFAULT 'one', id PRIMARY KEY, "
            f"up REFERENCES {target} (id) ON DELETE {action})"
        )
    return connection


def _outcome(connection: sqlite3.Connection, statement: str) -> int | str:
    try:
        return connection.execute(statement).rowcount
    except sqlite3.IntegrityError as error:
        return str(error)


def _contents(connection: sqlite3.Connection, names: list[str]) -> list[list[tuple[str, str]]]:
    return [connection.execute(f"SELECT id, up FROM {name} ORDER BY id").fetchall() for name in names]
