"""A tenant's rows written to PostgreSQL: by COPY where the role may, else by sets of rows in one statement each."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from tenantry.archive.encoding import NULL, Unwritable, keys_of, split, whole_lines
from tenantry.archive.places_base import Key, Writer
from tenantry.archive.reading_postgres import Ground, PostgresReader
from tenantry.archive.refusing import not_canonical, writing_refused
from tenantry.archive.shapes import TableShape
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN
from tenantry.models.numbering import COUNTERS
from tenantry.types import Tenant

try:
    import psycopg
except ImportError:  # then nobody has a connection to give
    psycopg = None  # type: ignore[assignment]

_ROWS_AT_ONCE: Final = 1000
_HELD_IN_MEMORY: Final = 1 << 22
# How far a sequence that neighbours draw from is moved past the highest number: one may draw at the same moment.
MARGIN: Final = 1024

_REFERENCES: Final = """
select c.relname::text, p.relname::text, k.condeferrable,
       array(select a.attname::text from unnest(k.conkey) n join pg_attribute a
             on a.attrelid = k.conrelid and a.attnum = n where a.attname <> %s),
       array(select a.attname::text from unnest(k.conkey) n join pg_attribute a
             on a.attrelid = k.conrelid and a.attnum = n where a.attnotnull and a.attname <> %s)
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class p on p.oid = k.confrelid
join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and n.nspname = %s and p.relnamespace = n.oid and c.relname = any(%s) and p.relname = any(%s)
"""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the role may do, and how rows of its tables are to be handled."""

    copies: bool
    append_only: frozenset[str]
    margin: int
    move_sequences: Callable[[Sequence[str]], None]


@dataclass
class _Circle:
    """References to tables that are filled later: they are left out at first, and kept until then."""

    columns: tuple[str, ...]
    held: IO[bytes]
    rows: int = 0


class PostgresWriter(PostgresReader, Writer):
    """A tenant's rows written in one transaction on PostgreSQL."""

    def __init__(
        self, ground: Ground, tenant: Tenant, tables: Sequence[TableShape], *, spelled: uuid.UUID, abilities: Abilities
    ) -> None:
        super().__init__(ground, tenant, tables, spelled=spelled)
        self.abilities = abilities
        self._circles: dict[tuple[str, tuple[str, ...]], _Circle] = {}
        self._references = self._find_references()
        self._filled: set[str] = set()
        self._files = contextlib.ExitStack()

    def _rows(self, shape: TableShape) -> Generator[bytes]:
        self.close_circles()
        yield from super()._rows(shape)

    def fill(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        shape = self.shape(table)
        # Rows of one COPY may refer to each other in any order; a set may refer to the next one.
        standing = {*self._filled, shape.name} if self.abilities.copies else self._filled
        lines = self._open_circle(shape, self._respelled(shape, whole_lines(chunks)), standing)
        self._filled = {*self._filled, shape.name}
        with writing_refused(self.tenant, shape):
            try:
                return self._copy(shape, lines) if self.abilities.copies else self._insert(shape, lines, "")
            except ValueError as error:
                raise not_canonical(shape, error) from error

    def put(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        shape, found = self.shape(table), list(whole_lines(chunks))
        if shape.name in self.abilities.append_only:
            # Such a row is not changed, even to what it is.
            self.remove(shape, keys_of(shape, found))
            return self.fill(shape, found)
        # What stands above is up to date by now; what comes below may have to wait.
        above = {table.name for table in self.tables[: self.tables.index(shape)]}
        if sum(chunk.count(b"\n") for chunk in found) <= _ROWS_AT_ONCE:
            above.add(shape.name)
        lines = self._open_circle(shape, self._respelled(shape, found), above)
        with writing_refused(self.tenant, shape):
            try:
                return self._insert(shape, lines, self._over(shape))
            except ValueError as error:
                raise not_canonical(shape, error) from error

    def put_if_it_fits(self, shape: TableShape, chunks: Sequence[bytes]) -> bool:
        if shape.name in self.abilities.append_only:
            return False
        lines = self._respelled(shape, whole_lines(chunks))
        with self.ground.cursor() as cursor:
            cursor.execute("SAVEPOINT fitting")
            try:
                self._insert(shape, lines, self._over(shape))
            except psycopg.IntegrityError:
                cursor.execute("ROLLBACK TO SAVEPOINT fitting")
                return False
        return True

    def let_go(self, shape: TableShape, keys: Sequence[Key]) -> None:
        references = {name for _, empty in self._references.get(shape.name, ()) for name in empty}
        if not references or shape.name in self.abilities.append_only:
            return
        emptied = ", ".join(f"{quote(name)} = NULL" for name in sorted(references))
        with writing_refused(self.tenant, shape), self.ground.cursor() as cursor:
            for start in range(0, len(keys), _ROWS_AT_ONCE):
                among = self.among(shape, keys[start : start + _ROWS_AT_ONCE])
                cursor.execute(f"UPDATE {self.ground.name(shape.name)} SET {emptied} WHERE {self.own} AND {among}")

    def remove(self, table: TableShape | str, keys: Iterable[Key]) -> int:
        shape, named, gone = self.shape(table), list(keys), 0
        with writing_refused(self.tenant, shape), self.ground.cursor() as cursor:
            for start in range(0, len(named), _ROWS_AT_ONCE):
                among = self.among(shape, named[start : start + _ROWS_AT_ONCE])
                cursor.execute(f"DELETE FROM {self.ground.name(shape.name)} WHERE {self.own} AND {among}")
                gone += cursor.rowcount
        return gone

    def clear(self) -> Mapping[str, int]:
        # All in one statement: tables that refer to each other in a circle are empty when the keys are looked at.
        gone = ", ".join(
            f"gone{number} AS (DELETE FROM {self.ground.name(shape.name)} WHERE {self.own} RETURNING 1)"
            for number, shape in enumerate(self.tables)
        )
        counts = ", ".join(f"(SELECT count(*) FROM gone{number})" for number in range(len(self.tables)))
        with writing_refused(self.tenant, self.tables[0]), self.ground.cursor() as cursor:
            found = cursor.execute(f"WITH {gone} SELECT {counts}").fetchone()
        return {shape.name: rows for shape, rows in zip(self.tables, found, strict=True)}

    def settle(self) -> None:
        self.close_circles()
        statements = [
            line
            for shape in self.tables
            for column in self.ground.standing[shape.name].columns.values()
            if column.numbered
            for line in self._raising(shape, column.name)
        ]
        if statements:
            self.abilities.move_sequences(statements)

    def _raising(self, shape: TableShape, column: str) -> Iterator[str]:
        """Yields the statement that has a sequence go on after the highest number, if there is any."""
        table = self.ground.name(shape.name)
        questions = [f"SELECT max({quote(column)}) FROM {table} WHERE {self.own}"]
        if COUNTERS in self._by_name:
            counters = self.ground.name(COUNTERS)
            questions.append(f"SELECT max(value) FROM {counters} WHERE {self.own} AND name = '{shape.name}'")
        asked = ", ".join(f"({question})" for question in questions)
        with self.ground.cursor() as cursor:
            highest, name = cursor.execute(
                f"SELECT greatest({asked}), pg_get_serial_sequence(%s, %s)", (table, column)
            ).fetchone()
        if highest is not None and highest > 0:
            # Never back: neighbours may draw from the same sequence.
            wanted = highest + self.abilities.margin
            yield f"SELECT setval('{name}', {wanted}) FROM {name} WHERE last_value < {highest}"

    def close(self) -> None:
        """Ends what is still being read, and forgets what was kept beside the database."""
        super().close()
        self._files.close()

    def close_circles(self) -> None:
        """Writes the references that had to wait until the rows they lead to stood."""
        for (name, _), circle in self._circles.items():
            if circle.rows:
                circle.rows = 0
                self._close(self.shape(name), circle)

    def _close(self, shape: TableShape, circle: _Circle) -> None:
        circle.held.seek(0)
        names = (*shape.key, *circle.columns)
        rows = split(iter(lambda: circle.held.read(1 << 18), b""))
        assignments = ", ".join(f"{quote(name)} = named.{quote(name)}" for name in circle.columns)
        meeting = " AND ".join(f"stands.{quote(name)} = named.{quote(name)}" for name in shape.key)
        update = f"UPDATE {self.ground.name(shape.name)} AS stands SET {assignments} FROM (%s) AS named "
        with writing_refused(self.tenant, shape), self.ground.cursor() as cursor:
            for values in _batches(rows):
                cursor.execute(
                    update % self._unnested(shape, names) + f"WHERE stands.{self.own} AND {meeting}",
                    _columns(values, len(names)),
                )
        circle.held.seek(0)
        circle.held.truncate()

    def _find_references(self) -> dict[str, list[tuple[str, frozenset[str]]]]:
        """Returns to which tables each refers at once, and the columns of each reference that may be empty."""
        names = [shape.name for shape in self.tables]
        asked = (TENANT_COLUMN, TENANT_COLUMN, self.ground.schema, names, names)
        with self.ground.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            found = cursor.execute(_REFERENCES, asked).fetchall()
        references: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for child, parent, deferrable, columns, given in found:
            if not deferrable:
                references.setdefault(child, []).append((parent, frozenset(columns) - frozenset(given)))
        return references

    def _open_circle(self, shape: TableShape, chunks: Iterable[bytes], standing: Collection[str]) -> Iterable[bytes]:
        """Returns the rows without references to tables whose rows do not all stand yet."""
        references = self._references.get(shape.name, ())
        waiting = {name for parent, empty in references if parent not in standing for name in empty}
        columns = tuple(name for name in shape.names if name in waiting)
        if not columns:
            return chunks
        return self._without(shape, self._circle(shape.name, columns), chunks)

    def _circle(self, table: str, columns: tuple[str, ...]) -> _Circle:
        if (table, columns) not in self._circles:
            held = self._files.enter_context(tempfile.SpooledTemporaryFile(_HELD_IN_MEMORY))  # noqa: SIM115  # closed by close()
            self._circles[table, columns] = _Circle(columns, held)
        return self._circles[table, columns]

    def _without(self, shape: TableShape, circle: _Circle, chunks: Iterable[bytes]) -> Iterator[bytes]:
        places = [shape.names.index(name) for name in circle.columns]
        keys = [shape.names.index(name) for name in shape.key]
        null = NULL.encode()
        for fields in _fields(chunks):
            waiting = [fields[place] for place in places]
            if any(value != null for value in waiting):
                circle.held.write(b"\t".join([*(fields[place] for place in keys), *waiting]) + b"\n")
                circle.rows += 1
            for place in places:
                fields[place] = null
            yield b"\t".join(fields) + b"\n"

    def _respelled(self, shape: TableShape, chunks: Iterable[bytes]) -> Iterable[bytes]:
        places = [place for place, column in enumerate(shape.columns) if column.of_tenant]
        if not places or self.spelled == self.tenant.id:
            return chunks
        return respelled(chunks, places, str(self.spelled).encode(), str(self.tenant.id).encode())

    def _copy(self, shape: TableShape, chunks: Iterable[bytes]) -> int:
        # The tenant stands before each row; a line only ends where a row does.
        tenant = str(self.tenant.id).encode() + (b"\t" if shape.columns else b"")
        columns = ", ".join(map(quote, (TENANT_COLUMN, *shape.names)))
        with self.ground.cursor() as cursor:
            with cursor.copy(f"COPY {self.ground.name(shape.name)} ({columns}) FROM STDIN") as copy:
                for chunk in chunks:
                    copy.write(tenant + chunk[:-1].replace(b"\n", b"\n" + tenant) + b"\n")
            return int(cursor.rowcount)

    def _insert(self, shape: TableShape, chunks: Iterable[bytes], tail: str) -> int:
        columns = ", ".join(map(quote, (TENANT_COLUMN, *shape.names)))
        # An identity that is always the database's own would not take the row's number.
        statement = (
            f"INSERT INTO {self.ground.name(shape.name)} ({columns}) OVERRIDING SYSTEM VALUE "
            f"SELECT '{self.tenant.id}'::uuid, * FROM ({self._unnested(shape, shape.names)}) AS given{tail}"
        )
        written = 0
        with self.ground.cursor() as cursor:
            for values in _batches(split(chunks)):
                cursor.execute(statement, _columns(values, len(shape.names)))
                written += len(values)
        return written

    def _unnested(self, shape: TableShape, names: Sequence[str]) -> str:
        """Returns the query of rows that are given as an array of texts for each column."""
        casts = ", ".join(
            f"v{number}::{self._standing(shape, name).cast} AS {quote(name)}" for number, name in enumerate(names)
        ).replace("%", "%%")
        arrays, aliases = ", ".join(["%s::text[]"] * len(names)), ", ".join(f"v{n}" for n in range(len(names)))
        return f"SELECT {casts} FROM unnest({arrays}) AS row({aliases})"

    def _over(self, shape: TableShape) -> str:
        key = ", ".join(map(quote, (TENANT_COLUMN, *shape.key)))
        others = [quote(name) for name in shape.names if name not in shape.key]
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        return f" ON CONFLICT ({key}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")


def respelled(chunks: Iterable[bytes], places: Sequence[int], old: bytes, new: bytes) -> Iterator[bytes]:
    """Yields the same rows with one id in place of another in some columns."""
    for chunk in chunks:
        lines = [line.split(b"\t") for line in chunk[:-1].split(b"\n")]
        for fields in lines:
            for place in places:
                if fields[place] == old:
                    fields[place] = new
        yield b"\n".join(map(b"\t".join, lines)) + b"\n"


def _fields(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    for chunk in chunks:
        for line in chunk[:-1].split(b"\n"):
            yield line.split(b"\t")


def _batches(rows: Iterable[Sequence[bytes | None]]) -> Iterator[list[Sequence[bytes | None]]]:
    waiting = iter(rows)
    while batch := list(itertools.islice(waiting, _ROWS_AT_ONCE)):
        yield batch


def _columns(rows: Sequence[Sequence[bytes | None]], width: int) -> list[list[str | None]]:
    """Returns rows turned into columns of texts.

    Raises: ValueError for a row of another width.
    """
    if any(len(row) != width for row in rows):
        raise Unwritable(f"a row has not {width} values")
    return [[None if value is None else value.decode() for value in column] for column in zip(*rows, strict=True)]
