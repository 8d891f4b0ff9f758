"""What triggers do for foreign keys in SQLite files: read before a migration, put up again after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table

from tenantry.isolation.searching_sqlite import (
    TABLES,
    put_up_statements,
    searched_tables,
    stands,
    take_down_statements,
)
from tenantry.isolation.sqlite_stored import (
    STORED_SUFFIX,
    TRIGGER_PREFIX,
    quote,
    reference_triggers,
    stored_append_only,
)
from tenantry.isolation.wall import quote as plainly_quoted
from tenantry.models import SET_NULL_TRIGGER, TENANT_COLUMN, Ownership, sqlite_triggers
from tenantry.models.append_only import APPEND_ONLY_TRIGGER, append_only_triggers, guarded_table
from tenantry.models.ownership import MARK

_TRIGGERS: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_OURS: Final = (TRIGGER_PREFIX, SET_NULL_TRIGGER, APPEND_ONLY_TRIGGER)
_SET_NULL: Final = "SET NULL"

Key = tuple[str, tuple[str, ...]]
Actions = dict[str, str]


class References:
    """What becomes of a row when the row it refers to goes or moves, by table and own columns of each lifted key.

    *append_only* names the tables whose rows stay as they are, *searched* those that have an index of words.
    """

    def __init__(self) -> None:
        self.append_only: set[str] = set()
        self.searched: set[str] = set()
        self._actions: dict[Key, Actions] = {}

    def actions_of(self, table: str, columns: Iterable[str]) -> Actions:
        """Returns the actions of one key in the words of the models."""
        key = _key(table, columns)
        nulled = f"{_SET_NULL} ({', '.join(map(plainly_quoted, key[1]))})"
        found = self._actions.get(key, {})
        return {word: nulled if action == _SET_NULL else action for word, action in found.items()}

    def note(self, table: str, key: ForeignKeyConstraint) -> None:
        """Remembers the actions of a key as it is declared."""
        wanted = {"ondelete": key.ondelete, "onupdate": key.onupdate}
        actions = {word: " ".join(action.upper().split()) for word, action in wanted.items() if action}
        if actions.get("ondelete", "").startswith(_SET_NULL):
            actions["ondelete"] = _SET_NULL
        self._actions[_key(table, key.column_keys)] = actions

    def rename_table(self, old: str, new: str) -> None:
        """Follows a table to its new name."""
        moved = {(new, columns): actions for (table, columns), actions in self._actions.items() if table == old}
        self._actions = {key: actions for key, actions in self._actions.items() if key[0] not in (old, new)} | moved
        for names in (self.append_only, self.searched):
            if old in names:
                names.remove(old)
                names.add(new)

    def rename_column(self, table: str, old: str, new: str) -> None:
        """Follows a column to its new name."""

        def followed(key: Key) -> Key:
            return key[0], tuple(new if key[0] == table and name == old else name for name in key[1])

        self._actions = {followed(key): actions for key, actions in self._actions.items()}

    def take_down(self, connection: Connection, *, stored: bool) -> None:
        """Reads what the triggers of a file do, drops them and searches, and gives stored tables their plain names."""
        self.searched |= set(searched_tables(connection.exec_driver_sql(TABLES).fetchall()))
        for name in sorted(self.searched):
            for statement in take_down_statements(name):
                connection.exec_driver_sql(statement)
        triggers = {name: sql for name, sql in connection.exec_driver_sql(_TRIGGERS) if name.startswith(_OURS)}
        self.append_only |= set(filter(None, map(guarded_table, triggers)))
        for name in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {quote(name)}")
        for name in _tables(connection) if stored else ():
            if name.endswith(STORED_SUFFIX):
                _rename(connection, name, name.removesuffix(STORED_SUFFIX))
        for table in _described(connection):
            for key in table.foreign_key_constraints:
                self._actions[_key(table.name, key.column_keys)] = _done_by(table.name, key, triggers)

    def put_up(self, connection: Connection, models: MetaData, *, stored: bool) -> None:
        """Gives walled tables their stored names, and puts up every trigger and search that they ask for.

        A search is what the models say, and is left out where a column of it is yet to come.
        """
        tables = _described(connection)
        for table in tables:
            for key in table.foreign_key_constraints:
                actions = self.actions_of(table.name, key.column_keys)
                key.ondelete, key.onupdate = actions.get("ondelete"), actions.get("onupdate")
        for table in tables if stored else ():
            _rename(connection, table.name, table.name + STORED_SUFFIX)
        for table in tables:
            for statement in reference_triggers(table) if stored else sqlite_triggers(table):
                connection.exec_driver_sql(statement)
        for name in sorted(self.append_only & {table.name for table in tables}):
            for statement in stored_append_only(name) if stored else append_only_triggers(name):
                connection.exec_driver_sql(statement)
        for name in sorted(self.searched & models.tables.keys()) if not stored else ():
            if stands(connection.exec_driver_sql, models.tables[name]):
                for statement in put_up_statements(models.tables[name]):
                    connection.exec_driver_sql(statement)


def orphans(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Returns how many rows refer to a row that does not exist, by their table and the one referred to."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        counts[table, parent] += 1
    return counts


def _key(table: str, columns: Iterable[str]) -> Key:
    return table, tuple(column for column in columns if column != TENANT_COLUMN)


def _tables(connection: Connection) -> list[str]:
    return [name for name, _ in connection.exec_driver_sql(TABLES)]


def _rename(connection: Connection, old: str, new: str) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {quote(old)} RENAME TO {quote(new)}")


def _done_by(table: str, key: ForeignKeyConstraint, triggers: Mapping[str, str]) -> Actions:
    """Returns the actions of a key: its own, or those of the triggers that bear its name."""
    own = "_".join([table, *(column for column in key.column_keys if column != TENANT_COLUMN)])
    actions: Actions = {}
    if key.ondelete:
        actions["ondelete"] = key.ondelete
    if key.onupdate:
        actions["onupdate"] = key.onupdate
    deleting = triggers.get(f"{TRIGGER_PREFIX}{own}_delete")
    if deleting is not None:
        actions["ondelete"] = "CASCADE" if "BEGIN DELETE FROM" in deleting else _SET_NULL
    if f"{SET_NULL_TRIGGER}{own}" in triggers:
        actions["ondelete"] = _SET_NULL
    if f"{TRIGGER_PREFIX}{own}_update" in triggers:
        actions["onupdate"] = "CASCADE"
    return actions


def _described(connection: Connection) -> list[Table]:
    """Returns the walled tables of a file with the keys between them, and nothing else of theirs."""
    metadata = MetaData()
    columns = {name: _columns(connection, name) for name in _tables(connection)}
    walled = [name for name, found in columns.items() if TENANT_COLUMN in found]
    tables = [Table(name, metadata, *(Column(column) for column in columns[name])) for name in walled]
    for table in tables:
        for key in _keys(connection, table.name, walled):
            table.append_constraint(key)
    for table in tables:
        # Only now: a table that is marked when it is declared would be lifted.
        table.info[MARK] = Ownership.TENANT
    return tables


def _columns(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({quote(table)})")]


def _keys(connection: Connection, table: str, walled: Sequence[str]) -> list[ForeignKeyConstraint]:
    rows = defaultdict(list)
    for row in connection.exec_driver_sql(f"PRAGMA foreign_key_list({quote(table)})"):
        rows[row[0]].append(row)
    return [_constraint(parts) for parts in rows.values() if parts[0][2] in walled]


def _constraint(parts: Sequence[Sequence[str]]) -> ForeignKeyConstraint:
    _, _, target, _, _, onupdate, ondelete, _ = parts[0]
    columns, referred = [part[3] for part in parts], [f"{target}.{part[4]}" for part in parts]
    return ForeignKeyConstraint(columns, referred, onupdate=_given(onupdate), ondelete=_given(ondelete))


def _given(action: str) -> str | None:
    return None if action == "NO ACTION" else action
