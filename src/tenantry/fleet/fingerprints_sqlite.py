"""The shape of an SQLite file, told by PRAGMAs.

ALTER TABLE and batch mode leave another text behind than CREATE TABLE does, for the same table.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tenantry.fleet.fingerprints import COLUMN, TABLE, Fact, Fingerprint
from tenantry.fleet.fingerprints_text import clauses, normal, parted, spelled, tokens
from tenantry.isolation.searching_sqlite import TABLES, tables_of_searches, views_of_searches

Rows = dict[str, list[tuple[Any, ...]]]

_OURS: Final = "name NOT LIKE 'sqlite~_%' ESCAPE '~'"
_OBJECTS: Final = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {_OURS} ORDER BY type, name"
_FLAGS: Final = "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
# A file's tables are asked about all at once: a question for each costs more than its answer.
_EACH_TABLE: Final = f"FROM (SELECT name AS belongs FROM sqlite_schema WHERE type = 'table' AND {_OURS})"
_COLUMNS: Final = (
    f'SELECT belongs, x.name, x.type, x."notnull", x.dflt_value, x.pk {_EACH_TABLE}, pragma_table_xinfo(belongs) x'
)
_KEYS: Final = (
    f'SELECT belongs, x.id, x."table", x."from", x."to", x.on_update, x.on_delete '
    f"{_EACH_TABLE}, pragma_foreign_key_list(belongs) x"
)
_INDEXES: Final = (
    f'SELECT belongs, i.name, i."unique", i.origin, i.partial, x.name, x."desc", x.coll '
    f"{_EACH_TABLE}, pragma_index_list(belongs) i, pragma_index_xinfo(i.name) x WHERE x.key ORDER BY i.name, x.seqno"
)


def read_file(path: Path, known: dict[str, Fingerprint]) -> Fingerprint:
    """Returns the shape of a file, at once where *known* holds a file of the same text already.

    Raises: sqlite3.Error for a file that is missing or cannot be read.
    """
    # Not mode=ro: such a connection cannot clean up after itself in WAL mode.
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as connection:
        connection.execute("PRAGMA query_only = ON")
        text = repr(connection.execute(_OBJECTS).fetchall())
        if text not in known:
            known[text] = read(connection)
        return known[text]


def read(connection: sqlite3.Connection) -> Fingerprint:
    """Returns the shape of an open database."""
    # One state of the file, however many questions it takes.
    connection.execute("BEGIN")
    try:
        tables = connection.execute(TABLES).fetchall()
        # What a search needs is derived from the models; the doctor compares it.
        searching = tables_of_searches(tables) | views_of_searches(tables)
        return Fingerprint.of(fact for fact in _facts(connection) if fact.table not in searching)
    finally:
        connection.rollback()


def _facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    texts: dict[tuple[str, str], str] = {}
    for kind, name, table, sql in connection.execute(_OBJECTS):
        texts[kind, name] = sql or ""
        if kind in ("trigger", "view"):
            yield Fact(table if kind == "trigger" else name, kind, name if kind == "trigger" else "", _body(sql, name))
    for name, without_rowid, strict in connection.execute(_FLAGS):
        if (TABLE, name) in texts:
            flags = [word for word, given in (("without rowid", without_rowid), ("strict", strict)) if given]
            yield Fact(name, TABLE, "", ", ".join(flags) or "plain")
            yield from _told_by_text(name, texts[TABLE, name])
    yield from _columns(_grouped(connection, _COLUMNS))
    yield from _foreign_keys(_grouped(connection, _KEYS))
    yield from _indexes(_grouped(connection, _INDEXES), texts)


def _grouped(connection: sqlite3.Connection, question: str) -> Rows:
    found: Rows = defaultdict(list)
    for table, *row in connection.execute(question):
        found[table].append(tuple(row))
    return found


def _body(sql: str, name: str) -> str:
    words = tokens(sql)
    return spelled(words[words.index(tokens(f'"{name}"')[0]) + 1 :])


def _told_by_text(table: str, sql: str) -> Iterator[Fact]:
    for clause in clauses(sql):
        if clause.column:
            yield Fact(table, clause.kind, clause.column, clause.text)
        elif clause.name:
            yield Fact(table, clause.kind, clause.name, clause.text)
        else:
            yield Fact(table, clause.kind, f"({clause.text})", "")


def _columns(tables: Rows) -> Iterator[Fact]:
    for table, rows in tables.items():
        for name, kind, required, default, _ in rows:
            words = [_type(kind), "not null" if required else "null"]
            if default is not None:
                words.append(f"default {normal(default)}")
            yield Fact(table, COLUMN, name, " ".join(filter(None, words)))
        key = [name for name, *_, place in sorted(rows, key=lambda row: row[-1]) if place]
        if key:
            yield Fact(table, "primary key", "", f"({', '.join(key)})")


def _type(declared: str) -> str:
    told = normal(declared).upper().replace(" (", "(")
    # Mapped[float] is FLOAT by SQLAlchemy 2.0 and DOUBLE by 2.1, and SQLite keeps the same either way.
    return "DOUBLE" if told == "FLOAT" else told


def _foreign_keys(tables: Rows) -> Iterator[Fact]:
    for table, rows in tables.items():
        keys: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for number, *pair in rows:
            keys[number].append(tuple(pair))
        for pairs in keys.values():
            target, _, _, on_update, on_delete = pairs[0]
            own, others = zip(*sorted((own, other or "its key") for _, own, other, *_ in pairs), strict=True)
            acts = [f"on delete {on_delete.lower()}"] * (on_delete != "NO ACTION")
            acts += [f"on update {on_update.lower()}"] * (on_update != "NO ACTION")
            name = f"({', '.join(own)}) to {target} ({', '.join(others)})"
            yield Fact(table, "foreign key", name, " ".join(acts) or "no action")


def _indexes(tables: Rows, texts: dict[tuple[str, str], str]) -> Iterator[Fact]:
    for table, rows in tables.items():
        indexes: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for name, *row in rows:
            indexes[name].append(tuple(row))
        for name, parts in indexes.items():
            unique, origin, partial = parts[0][:3]
            columns = ", ".join(_indexed(part) for part in parts)
            if origin == "u":
                yield Fact(table, "unique", f"({columns})", "")
            elif origin == "c":
                by_text = partial or any(part[3] is None for part in parts)
                said = _after_on(texts["index", name]) if by_text else f"({columns})"
                yield Fact(table, "index", name, f"unique {said}" if unique else said)


def _indexed(part: tuple[Any, ...]) -> str:
    _, _, _, column, descending, collation = part
    words = [column or "expression", "desc" if descending else "", "" if collation == "BINARY" else collation.lower()]
    return " ".join(filter(None, words))


def _after_on(sql: str) -> str:
    words = tokens(sql)
    columns, condition = parted(words[words.index("on") + 2 :], "where")
    return f"({spelled(columns)}) where {spelled(condition)}" if condition else f"({spelled(columns)})"
