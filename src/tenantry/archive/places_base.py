"""What reads and what writes a tenant's rows, whichever database they stand in."""

from __future__ import annotations

import abc
import datetime
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final
from weakref import WeakSet

from sqlalchemy import Connection

from tenantry.archive.encoding import digest_of, keys_of
from tenantry.archive.shapes import TableDigest, TableShape
from tenantry.types import Tenant

# A row's own key: the texts of its key columns, in the order of the shape.
Key = Sequence[str]

# How much is handed on at once.
CHUNK: Final = 1 << 18


class Reader(abc.ABC):
    """One consistent view of a tenant's rows."""

    connection: Connection

    def __init__(self, tenant: Tenant, tables: Sequence[TableShape], *, spelled: uuid.UUID) -> None:
        self.tenant = tenant
        self.tables = tuple(tables)
        # The id that rows show where they point at the tenant itself.
        self.spelled = spelled
        self.revision: str | None = None
        self.taken_at = datetime.datetime.now(datetime.UTC)
        self._running: WeakSet[Generator[bytes]] = WeakSet()
        self._by_name = {table.name: table for table in self.tables}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} tenant={self.tenant.id}>"

    def shape(self, table: TableShape | str) -> TableShape:
        """Returns the shape of a table.

        Raises: KeyError for one that is not read here.
        """
        return self._by_name[table if isinstance(table, str) else table.name]

    def rows(self, table: TableShape | str) -> Iterator[bytes]:
        """Yields the canonical rows of a table in the order of their keys, in chunks of whole lines.

        Raises: RowRefused for a value that has no canonical text.
        """
        return self._begun(self._rows(self.shape(table)))

    def rows_of(self, table: TableShape | str, keys: Iterable[Key]) -> Iterator[bytes]:
        """Yields those rows whose keys are named and that stand, in no order that means anything.

        Raises: as ``rows``.
        """
        return self._begun(self._rows_of(self.shape(table), keys))

    def close(self) -> None:
        """Ends what is still being read; the transaction has to end after it."""
        for rows in list(self._running):
            rows.close()

    def _begun(self, rows: Generator[bytes]) -> Iterator[bytes]:
        # An error that is on its way keeps alive what it passed through.
        self._running.add(rows)
        return rows

    @abc.abstractmethod
    def _rows(self, shape: TableShape) -> Generator[bytes]:
        """Yields the rows of a table."""

    @abc.abstractmethod
    def _rows_of(self, shape: TableShape, keys: Iterable[Key]) -> Generator[bytes]:
        """Yields the rows of some keys."""

    def digest(self, table: TableShape | str) -> TableDigest:
        """Returns what a table amounts to.

        Raises: as ``rows``.
        """
        return digest_of(self.rows(table))


class Writer(Reader):
    """One transaction that writes a tenant's rows; it sees what it wrote, and commits on leaving."""

    @abc.abstractmethod
    def fill(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        """Adds canonical rows to a table and returns how many; tables are filled in the order of ``tables``.

        Raises: RowRefused for a value that cannot be kept here exactly, ArchiveError for bytes that are no rows.
        """

    @abc.abstractmethod
    def remove(self, table: TableShape | str, keys: Iterable[Key]) -> int:
        """Removes the named rows and returns how many there were."""

    @abc.abstractmethod
    def put(self, table: TableShape | str, chunks: Iterable[bytes]) -> int:
        """Writes rows over those of the same keys, or beside the others, and returns how many.

        Raises: as ``fill``.
        """

    @abc.abstractmethod
    def clear(self) -> Mapping[str, int]:
        """Removes every row of the tenant, and returns how many went, by table."""

    @abc.abstractmethod
    def settle(self) -> None:
        """Has the database number new rows from after the highest number that stands."""

    def replace(self, table: TableShape | str, keys: Iterable[Key], chunks: Iterable[bytes]) -> None:
        """Makes the rows of these keys what *chunks* say: those that are not among them go.

        Where tables refer to each other, several are brought up to date with ``apply``.

        Raises: as ``fill``.
        """
        shape, found = self.shape(table), list(chunks)
        self.remove(shape, self._not_among(keys, shape, found))
        self.put(shape, found)

    def apply(
        self, changes: Mapping[str, Iterable[Key]], rows: Callable[[TableShape, Sequence[Key]], Iterable[bytes]]
    ) -> int:
        """Makes changed rows what they are elsewhere, *rows* says which still are, and returns how many were named.

        Raises: as ``fill``.
        """
        named = {shape: list(changes[shape.name]) for shape in self.tables if changes.get(shape.name)}
        found = {shape: list(rows(shape, keys)) for shape, keys in named.items()}
        gone = {shape: self._not_among(keys, shape, found[shape]) for shape, keys in named.items()}
        if any(gone.values()):
            self._untie(found)
        for shape in reversed(named):
            self.remove(shape, gone[shape])
        for shape, chunks in found.items():
            self.put(shape, chunks)
        return sum(map(len, named.values()))

    def _untie(self, found: Mapping[TableShape, Sequence[bytes]]) -> None:
        """Has no row that stays refer to one that goes: a foreign key might take it along, with all below it."""
        for shape, chunks in found.items():
            # What is new may be in the way of what goes, or may need what is still to come.
            if not self.put_if_it_fits(shape, chunks):
                self.let_go(shape, list(keys_of(shape, chunks)))

    @abc.abstractmethod
    def put_if_it_fits(self, shape: TableShape, chunks: Sequence[bytes]) -> bool:
        """Puts rows as they are, or returns False and changes nothing."""

    @abc.abstractmethod
    def let_go(self, shape: TableShape, keys: Sequence[Key]) -> None:
        """Empties those references of the named rows that may be empty."""

    @staticmethod
    def _not_among(keys: Iterable[Key], shape: TableShape, chunks: Iterable[bytes]) -> list[Key]:
        standing = set(keys_of(shape, chunks))
        return [key for key in keys if tuple(key) not in standing]
