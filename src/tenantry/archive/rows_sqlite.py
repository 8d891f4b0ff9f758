"""A tenant's rows in an SQLite file, read and written value by value: its types are not PostgreSQL's."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData

from tenantry.archive.encoding import NULL, Unwritable, escape, keys_of, split
from tenantry.archive.encoding_sqlite import Codec, codec
from tenantry.archive.places_base import CHUNK, Key, Writer
from tenantry.archive.refusing import not_canonical, row_refused
from tenantry.archive.shapes import Kind, TableShape
from tenantry.errors import ArchiveError, RowRefused
from tenantry.isolation.sqlite_stored import quote
from tenantry.models import TENANT_COLUMN, is_append_only
from tenantry.models.append_only import trigger_names
from tenantry.types import Tenant


@dataclass(frozen=True)
class File:
    """Where rows stand in SQLite."""

    connection: Connection
    metadata: MetaData
    suffix: str

    @property
    def driver(self) -> sqlite3.Connection:
        """sqlite3's connection: a statement per row of its own would cost more than the row."""
        found: sqlite3.Connection = self.connection.connection.driver_connection  # type: ignore[assignment]  # sqlite3's
        return found

    def name(self, table: str) -> str:
        """Returns the name under which a table stands."""
        return "main." + quote(table + self.suffix)

    def column(self, table: str, name: str) -> Column[Any] | None:
        """Returns a column as the models have it, None where they have none."""
        model = self.metadata.tables.get(table)
        return None if model is None else model.c.get(name)


class SqlitePlace(Writer):
    """A tenant's rows in one transaction on SQLite; in one that only reads, what writes is refused by SQLite."""

    def __init__(self, file: File, tenant: Tenant, tables: Sequence[TableShape], *, spelled: uuid.UUID) -> None:
        super().__init__(tenant, tables, spelled=spelled)
        self._file = file
        self.connection = file.connection
        self._codecs: dict[str, tuple[Codec, ...]] = {}

    def _rows(self, shape: TableShape) -> Generator[bytes]:
        order = ", ".join(map(quote, shape.key or shape.names))
        yield from self._written(shape, f"{self._selected(shape)}{f' ORDER BY {order}' if order else ''}", ())

    def _rows_of(self, shape: TableShape, keys: Iterable[Key]) -> Generator[bytes]:
        for values in self._stored_keys(shape, keys):
            yield from self._written(shape, f"{self._selected(shape)}{self._named(shape)}", values)

    def fill(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        shape = self.shape(table)
        return self._insert(shape, chunks, "")

    def put(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        shape, found = self.shape(table), list(chunks)
        if self._is_append_only(shape):
            # Such a row is not changed, even to what it is.
            self.remove(shape, keys_of(shape, found))
            return self._insert(shape, found, "")
        key = ", ".join(map(quote, (TENANT_COLUMN, *shape.key)))
        changes = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in shape.names if n not in shape.key)
        over = f" ON CONFLICT ({key}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
        return self._insert(shape, found, over)

    def put_if_it_fits(self, shape: TableShape, chunks: Sequence[bytes]) -> bool:
        if self._is_append_only(shape):
            return False
        self._file.driver.execute("SAVEPOINT fitting")
        try:
            self.put(shape, chunks)
        except RowRefused:
            self._file.driver.execute("ROLLBACK TO fitting")
            return False
        return True

    def let_go(self, shape: TableShape, keys: Sequence[Key]) -> None:
        question = (
            'SELECT f."from" FROM pragma_foreign_key_list(:stored) f, pragma_table_info(:stored) c '
            'WHERE c.name = f."from" AND NOT c."notnull"'
        )
        found = self._file.driver.execute(question, {"stored": shape.name + self._file.suffix}).fetchall()
        references = {name for (name,) in found} - set(shape.key)
        if not references or self._is_append_only(shape):
            return
        emptied = ", ".join(f"{quote(name)} = NULL" for name in sorted(references))
        statement = f"UPDATE {self._file.name(shape.name)} SET {emptied} WHERE {self._own}{self._named(shape)}"
        for values in self._stored_keys(shape, keys):
            self._file.driver.execute(statement, (self.tenant.id.hex, *values))

    def remove(self, table: TableShape | str, keys: Iterable[Key]) -> int:
        shape, gone = self.shape(table), 0
        statement = f"DELETE FROM {self._file.name(shape.name)} WHERE {self._own}{self._named(shape)}"
        with self._opened(shape):
            for values in self._stored_keys(shape, keys):
                gone += self._file.driver.execute(statement, (self.tenant.id.hex, *values)).rowcount
        return gone

    def clear(self) -> Mapping[str, int]:
        counts = {shape.name: self._count(shape) for shape in self.tables}
        for shape in reversed(self.tables):
            with self._opened(shape):
                statement = f"DELETE FROM {self._file.name(shape.name)} WHERE {self._own}"
                self._file.driver.execute(statement, (self.tenant.id.hex,))
        return counts

    def settle(self) -> None:
        """Does nothing: a row's number comes after the counter and after the highest that stands."""

    def _count(self, shape: TableShape) -> int:
        question = f"SELECT count(*) FROM {self._file.name(shape.name)} WHERE {self._own}"
        (count,) = self._file.driver.execute(question, (self.tenant.id.hex,)).fetchone()
        return int(count)

    @property
    def _own(self) -> str:
        return f"{quote(TENANT_COLUMN)} = ?"

    def _selected(self, shape: TableShape) -> str:
        columns = ", ".join(map(quote, shape.names)) or "1"
        return f"SELECT {columns} FROM {self._file.name(shape.name)} WHERE {self._own}"

    def _own_key(self, shape: TableShape) -> list[tuple[int, str]]:
        # What can only be the tenant's own id tells no rows apart, and may be spelled in two ways.
        own = {column.name for column in shape.columns if not column.of_tenant}
        return [(place, name) for place, name in enumerate(shape.key) if name in own]

    def _named(self, shape: TableShape) -> str:
        return "".join(f" AND {quote(name)} = ?" for _, name in self._own_key(shape))

    def _stored_keys(self, shape: TableShape, keys: Iterable[Key]) -> Iterator[tuple[Any, ...]]:
        codecs = dict(zip(shape.names, self._codecs_of(shape), strict=True))
        for key in keys:
            yield tuple(codecs[name].decode(key[place]) for place, name in self._own_key(shape))

    def _codecs_of(self, shape: TableShape) -> tuple[Codec, ...]:
        if shape.name not in self._codecs:
            made = (codec(column, self._file.column(shape.name, column.name)) for column in shape.columns)
            self._codecs[shape.name] = tuple(made)
        return self._codecs[shape.name]

    def _written(self, shape: TableShape, question: str, values: Sequence[Any]) -> Generator[bytes]:
        encoders = [self._encoder(shape, place) for place in range(len(shape.columns))]
        cursor = self._file.driver.execute(question, (self.tenant.id.hex, *values))
        lines: list[str] = []
        size = 0
        # Left open, it would hold on to what it saw.
        with contextlib.closing(cursor), self._undecodable(shape):
            for row in cursor:
                line = self._line(shape, encoders, row)
                lines.append(line)
                size += len(line)
                if size >= CHUNK:
                    yield "".join(lines).encode()
                    lines, size = [], 0
        if lines:
            yield "".join(lines).encode()

    def _encoder(self, shape: TableShape, place: int) -> Any:
        column, encode = shape.columns[place], self._codecs_of(shape)[place].encode
        if column.of_tenant and self.spelled != self.tenant.id:
            own, spelled = str(self.tenant.id), str(self.spelled)

            def spelled_otherwise(value: Any) -> str:
                text = encode(value)
                return spelled if text == own else text

            return spelled_otherwise
        if column.kind in _ESCAPED:
            return lambda value: escape(encode(value))
        return encode

    def _line(self, shape: TableShape, encoders: Sequence[Any], row: Sequence[Any]) -> str:
        try:
            fields = [NULL if value is None else encode(value) for encode, value in zip(encoders, row, strict=False)]
        except (ValueError, ArithmeticError):
            raise self._unwritable(shape, encoders, row) from None
        return "\t".join(fields) + "\n"

    def _unwritable(self, shape: TableShape, encoders: Sequence[Any], row: Sequence[Any]) -> RowRefused:
        """Returns the error that says which value of a row has no canonical text."""
        key = ", ".join(str(row[shape.names.index(name)]) for name in shape.key)
        for column, encode, value in zip(shape.columns, encoders, row, strict=True):
            try:
                if value is not None:
                    encode(value)
            except (ValueError, ArithmeticError) as error:
                return row_refused(shape, column, key, error)
        raise AssertionError("every value was written after all")

    @contextlib.contextmanager
    def _undecodable(self, shape: TableShape) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
            reason = "a text holds bytes that are no UTF-8"
            raise RowRefused(table=shape.name, column="unknown", key="unknown", reason=reason) from None

    def _insert(self, shape: TableShape, chunks: Iterable[bytes], tail: str) -> int:
        columns = ", ".join(map(quote, (TENANT_COLUMN, *shape.names)))
        values = ", ".join("?" * (len(shape.names) + 1))
        # What follows VALUES is read as a part of it without WHERE true (SQLite, UPSERT, parsing ambiguity).
        statement = f"INSERT INTO {self._file.name(shape.name)} ({columns}) VALUES ({values}){tail}"
        rows = self._stored_rows(shape, chunks)
        with self._kept(shape):
            return self._file.driver.executemany(statement, rows).rowcount

    @contextlib.contextmanager
    def _kept(self, shape: TableShape) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise RowRefused(table=shape.name, column="unknown", key="unknown", reason=str(error)) from error
        except sqlite3.OperationalError as error:
            what = f"Table {shape.name} of tenant {self.tenant.id}: {error}."
            raise ArchiveError(what=what, fix="Remove the cause and begin again.") from error

    def _stored_rows(self, shape: TableShape, chunks: Iterable[bytes]) -> Iterator[list[Any]]:
        decoders = [self._decoder(shape, place) for place in range(len(shape.columns))]
        tenant = self.tenant.id.hex
        for texts in self._texts_in(shape, chunks):
            try:
                stored = [None if text is None else decode(text) for decode, text in zip(decoders, texts, strict=True)]
            except (ValueError, ArithmeticError):
                raise self._unstorable(shape, decoders, texts) from None
            yield [tenant, *stored]

    def _texts_in(self, shape: TableShape, chunks: Iterable[bytes]) -> Iterator[list[str | None]]:
        try:
            for row in split(chunks):
                yield [None if value is None else value.decode() for value in row]
        except ValueError as error:
            raise not_canonical(shape, error) from error

    def _decoder(self, shape: TableShape, place: int) -> Any:
        column, decode = shape.columns[place], self._codecs_of(shape)[place].decode
        if not column.of_tenant or self.spelled == self.tenant.id:
            return decode
        own, spelled = str(self.tenant.id), str(self.spelled)
        return lambda text: decode(own if text == spelled else text)

    def _unstorable(self, shape: TableShape, decoders: Sequence[Any], texts: Sequence[str | None]) -> ArchiveError:
        """Returns the error that says which value of a row cannot be kept."""
        if len(texts) != len(decoders):
            return not_canonical(shape, Unwritable(f"a row has {len(texts)} values instead of {len(decoders)}"))
        key = ", ".join(str(texts[shape.names.index(name)]) for name in shape.key)
        for column, decode, text in zip(shape.columns, decoders, texts, strict=True):
            try:
                if text is not None:
                    decode(text)
            except (ValueError, ArithmeticError) as error:
                return row_refused(shape, column, key, error)
        raise AssertionError("every value was kept after all")

    def _is_append_only(self, shape: TableShape) -> bool:
        table = self._file.metadata.tables.get(shape.name)
        return table is not None and is_append_only(table)

    @contextlib.contextmanager
    def _opened(self, shape: TableShape) -> Iterator[None]:
        """Takes the triggers of an append-only table down; they are up again before anybody sees the transaction."""
        names = trigger_names(shape.name) if self._is_append_only(shape) else []
        question = "SELECT sql FROM main.sqlite_master WHERE type = 'trigger' AND name = ?"
        found = [row for name in names for row in self._file.driver.execute(question, (name,))]
        for name in names:
            self._file.driver.execute(f"DROP TRIGGER IF EXISTS main.{quote(name)}")
        yield
        for (statement,) in found:
            self._file.driver.execute(statement)


# Kinds whose texts may hold what a line cannot.
_ESCAPED: Final = frozenset({Kind.TEXT, Kind.PADDED, Kind.JSON, Kind.BYTES, Kind.OTHER})
