"""What has SQLite search a tenant's own file by an FTS5 index, as statements.

A tenant's own file only: an index in common tables would tell of the others' words, by its statistics and by time, and
no wall can be put before a virtual table.

The index keeps words and where they stand, and no text. It numbers rows by a small table of keys, as SQLite may number
those of the model's table anew (VACUUM); a view tells it their texts, so that it can be written anew (``rebuild``)
without the models. Triggers keep all of it, whoever writes.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from typing import Any, Final

from sqlalchemy import Table

from tenantry.isolation.searching import FIND, LONGEST, SearchPlan, key_of, plan_of, quoted

_WORDS: Final = "_words"
_KEYS: Final = "_keys"
_ROWS: Final = "_rows"
# The tables that FTS5 makes for an index; no other index is called so, as its own name ends otherwise.
_INSIDE: Final = ("_data", "_idx", "_docsize", "_config")
_EVENTS: Final = ("insert", "update", "delete")

_IS_INSIDE: Final = re.compile(rf"{FIND}.+{_WORDS}(?:{'|'.join(_INSIDE)})", re.IGNORECASE | re.DOTALL)
_IS_WORDS: Final = re.compile(rf'CREATE VIRTUAL TABLE "{FIND}.+{_WORDS}" USING fts5\(', re.DOTALL)

# The same words as PostgreSQL's configurations find: its ``simple`` keeps accents, its ``english`` cuts endings.
_LETTERS: Final = "unicode61 remove_diacritics 0"
_TOKENIZERS: Final = {"english": f"porter {_LETTERS}"}

TABLES: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
_MADE: Final = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, ?) = ?"
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"

# Runs a statement with its parameters and returns the rows of its answer.
Ask = Callable[[str, tuple[Any, ...]], Iterable[Any]]


@functools.cache
def has_engine() -> bool:
    """Whether this process's SQLite has FTS5."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5(a)")
        except sqlite3.OperationalError:
            return False
    return True


@functools.cache
def must_be_trusted() -> bool:
    """Whether a trigger may write an index only where the schema of a file is trusted.

    FTS5 is marked as harmless in newer releases of SQLite (seen in 3.51, not in 3.40). What else hangs on that trust,
    functions of the application's own above all, no statement of a session can put into a schema.
    """
    if not has_engine():
        return False
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "PRAGMA trusted_schema = OFF; CREATE TABLE rows (a); CREATE VIRTUAL TABLE words USING fts5(a); "
            "CREATE TRIGGER t AFTER INSERT ON rows BEGIN INSERT INTO words VALUES (NEW.a); END"
        )
        try:
            connection.execute("INSERT INTO rows VALUES ('a')")
        except sqlite3.OperationalError:
            return True
    return False


@functools.lru_cache(maxsize=1024)
def speaks_of_search(statement: str) -> bool:
    """Whether a statement names anything of a search; a name cannot be disguised in SQLite."""
    return FIND in statement.lower()


def is_inside(name: str | None) -> bool:
    """Whether a table is one that FTS5 writes for an index, by statements of its own."""
    return name is not None and _IS_INSIDE.fullmatch(name) is not None


def words_table(table: str) -> str:
    """Returns the name of the index of a table."""
    return f"{FIND}{table}{_WORDS}"


def keys_table(table: str) -> str:
    """Returns the name of the table that numbers a table's keys for its index."""
    return f"{FIND}{table}{_KEYS}"


def parts(table: str) -> list[str]:
    """Returns the names of what must stand for a search of a table: its index and the triggers that keep it."""
    return [words_table(table), *(f"{FIND}{table}_{event}" for event in _EVENTS)]


def searched_tables(tables: Iterable[Any]) -> list[str]:
    """Returns the tables of a file that have an index; *tables* is the answer to ``TABLES``."""
    return [_table_of(sql) for _, sql in tables if _IS_WORDS.match(sql or "")]


def tables_of_searches(tables: Iterable[Any]) -> set[str]:
    """Returns the tables of a file that its searches have made, and none that only bears such a name."""
    known = dict(map(tuple, tables))
    words = [words_table(table) for table in searched_tables(known.items())]
    inside = {name + part for name in words for part in _INSIDE}
    # Told by its whole text: it may be what is left of a search.
    keys = {name for name, sql in known.items() if sql == _keys_statement(name[len(FIND) : -len(_KEYS)])}
    return {*words, *inside, *keys} & known.keys()


def views_of_searches(tables: Iterable[Any]) -> set[str]:
    """Returns the views that the searches of a file have made; *tables* is the answer to ``TABLES``."""
    return {f"{FIND}{table}{_ROWS}" for table in searched_tables(tables)}


def to_make(schema: Collection[Any]) -> list[Any]:
    """Returns those rows of a schema (name and sql) that are to be made; FTS5 makes its own tables itself."""
    inside = {name for name in tables_of_searches(schema) if is_inside(name)}
    return [row for row in schema if row[0] not in inside]


def index_statements(table: Table) -> list[str]:
    """Returns what makes the index of an empty table and all that keeps it; none for a table that is not searched."""
    plan = plan_of(table)
    if plan is None or not has_engine():
        return []
    name, key = table.name, quoted(key_of(table))
    words, keys, rows = quoted(words_table(name)), quoted(keys_table(name)), quoted(f"{FIND}{name}{_ROWS}")
    tokenizer = _TOKENIZERS.get(plan.language, _LETTERS)
    return [
        _keys_statement(name),
        f"CREATE VIEW {rows} AS SELECT k.id, {_text(plan, 't')} AS words "
        f"FROM {quoted(name)} AS t JOIN {keys} AS k ON k.key = t.{key}",
        f"CREATE VIRTUAL TABLE {words} USING fts5(words, content={rows}, content_rowid='id', tokenize='{tokenizer}')",
        *_triggers(table, plan),
    ]


def put_up_statements(table: Table) -> list[str]:
    """Returns what has a table searched as the models say, whatever stood there; none for one that is not searched."""
    made = index_statements(table)
    if not made:
        return []
    name = table.name
    keys = f"INSERT INTO {quoted(keys_table(name))} (key) SELECT {quoted(key_of(table))} FROM {quoted(name)}"
    return [*take_down_statements(name), *made, keys, rebuild_statement(name)]


def take_down_statements(table: str) -> list[str]:
    """Returns what has a table searched no longer, if it was."""
    return [
        *(f"DROP TRIGGER IF EXISTS {quoted(f'{FIND}{table}_{event}')}" for event in _EVENTS),
        f"DROP TABLE IF EXISTS {quoted(words_table(table))}",
        f"DROP VIEW IF EXISTS {quoted(f'{FIND}{table}{_ROWS}')}",
        f"DROP TABLE IF EXISTS {quoted(keys_table(table))}",
    ]


def rebuild_statement(table: str) -> str:
    """Returns what writes the index of a table anew; nothing is left in it of what was deleted."""
    words = quoted(words_table(table))
    return f"INSERT INTO {words} ({words}) VALUES ('rebuild')"


def stands(ask: Ask, table: Table) -> bool:
    """Whether a table is there with every column that its search reads; a migration may be yet to come."""
    plan = plan_of(table)
    wanted = set() if plan is None else {*plan.columns, key_of(table)}
    return bool(wanted) and wanted <= {name for (name,) in ask(_COLUMNS, (table.name,))}


def is_whole(ask: Ask, table: Table) -> bool:
    """Whether everything stands that a table's search needs, to the letter, and knows each of its rows."""
    made = {sql for (sql,) in ask(_MADE, (len(FIND), FIND))}
    return made.issuperset(index_statements(table)) and not list(ask(_strangers(table), ()))


def _strangers(table: Table) -> str:
    keys, rows, key = quoted(keys_table(table.name)), quoted(table.name), quoted(key_of(table))
    return (
        f"SELECT 1 FROM {rows} AS t WHERE NOT EXISTS (SELECT 1 FROM {keys} AS k WHERE k.key = t.{key}) "
        f"UNION ALL SELECT 1 WHERE (SELECT count(*) FROM {keys}) <> (SELECT count(*) FROM {rows}) LIMIT 1"
    )


def _keys_statement(table: str) -> str:
    # No type: a key is kept as the table keeps it.
    return f"CREATE TABLE {quoted(keys_table(table))} (id INTEGER PRIMARY KEY, key UNIQUE NOT NULL)"


def _triggers(table: Table, plan: SearchPlan) -> Iterator[str]:
    name, key = table.name, quoted(key_of(table))
    words, keys = quoted(words_table(name)), quoted(keys_table(name))
    # FTS5 must be told what it is to forget, word for word.
    forget = (
        f"INSERT INTO {words} ({words}, rowid, words) "
        f"SELECT 'delete', id, {_text(plan, 'OLD')} FROM {keys} WHERE key = OLD.{key};"
    )
    learn = f"INSERT INTO {words} (rowid, words) SELECT id, {_text(plan, 'NEW')} FROM {keys} WHERE key = NEW.{key};"
    read = [quoted(column) for column in (key_of(table), *plan.columns)]
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in read)
    moments = {
        "insert": (f"INSERT ON {quoted(name)}", f"INSERT INTO {keys} (key) VALUES (NEW.{key}); {learn}"),
        "update": (
            f"UPDATE OF {', '.join(read)} ON {quoted(name)} WHEN {changed}",
            f"{forget} UPDATE {keys} SET key = NEW.{key} WHERE key = OLD.{key}; {learn}",
        ),
        "delete": (f"DELETE ON {quoted(name)}", f"{forget} DELETE FROM {keys} WHERE key = OLD.{key};"),
    }
    for event, (moment, body) in moments.items():
        yield f"CREATE TRIGGER {quoted(f'{FIND}{name}_{event}')} AFTER {moment} BEGIN {body} END"


def _text(plan: SearchPlan, row: str) -> str:
    texts = " || ' ' || ".join(f"coalesce({row}.{quoted(name)}, '')" for name in plan.columns)
    return f"substr({texts}, 1, {LONGEST})"


def _table_of(sql: str) -> str:
    name = sql.partition('"')[2].partition('" USING fts5(')[0].replace('""', '"')
    return name.removeprefix(FIND).removesuffix(_WORDS)
