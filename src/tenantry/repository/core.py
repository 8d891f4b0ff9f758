"""Repositories and queries over a session; ``tools/write_aio.py`` writes their awaited faces from this file."""

from __future__ import annotations

import builtins
import datetime
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnExpressionArgument, ScalarResult, Select, inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from tenantry.errors import RecordNotFound, SeveralFound
from tenantry.models import SoftDelete
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.repository import building, cursors, keeping, upserting
from tenantry.repository.building import OrderBy, Selection
from tenantry.repository.fields import check_settable, whole_key
from tenantry.repository.modelled import Modelled
from tenantry.repository.pages import Page, Slice, check_page, check_size, in_batches
from tenantry.repository.refining import Refining
from tenantry.session.core import tenant_id_of

M = TypeVar("M")

# A row's own key; a tuple where it has several columns.
Key = uuid.UUID | str | int | tuple[object, ...]


class Query(Refining[M], Generic[M]):
    """A selection of a model's rows that is narrowed step by step, then read."""

    def __init__(self, session: Session, selection: Selection[M]) -> None:
        self._session = session
        self._selection = selection

    def all(self) -> list[M]:
        """Returns the selected rows."""
        return [*self._read(building.rows(self._selection))]

    def first(self) -> M | None:
        """Returns the first of the selected rows, or None."""
        return self._read(building.at_most(self._selection, 1)).first()

    def one(self) -> M:
        """Returns the only selected row.

        Raises: RecordNotFound, SeveralFound.
        """
        found = self._read(building.at_most(self._selection, 2)).all()
        if not found:
            raise RecordNotFound(model=self._selection.model.__name__)
        if len(found) > 1:
            raise SeveralFound(model=self._selection.model.__name__)
        return found[0]

    def count(self) -> int:
        """Returns how many rows are selected."""
        return int(self._session.scalars(building.number_of_rows(self._selection)).one())

    def exists(self) -> bool:
        """Returns whether any row is selected."""
        return self._session.scalars(building.any_row(self._selection)).first() is not None

    def page(self, number: int = 1, size: int = 50) -> Page[M]:
        """Returns one page of the selected rows, the first being number 1; beyond the last one a page is empty.

        Raises: InvalidPage.
        """
        check_page(number, size)
        query = Query(self._session, building.unbounded(self._selection))
        return Page(query.limit(size).offset((number - 1) * size).all(), query.count(), number, size)

    def keyset(self, *, after: str | None = None, limit: int = 50) -> Slice[M]:
        """Returns the selected rows that follow the cursor *after*, and the next cursor; far pages cost no more.

        Raises: InvalidPage for a cursor that was not handed out for this ordering.
        """
        check_size(limit)
        query = Query(self._session, building.unbounded(self._selection))
        terms = building.with_key(self._selection)
        if after is not None:
            query = query.where(building.beyond(terms, cursors.decode(terms, after)))
        found = query.limit(limit + 1).all()
        return Slice(found[:limit], cursors.encode(terms, found[limit - 1]) if len(found) > limit else None)

    def stream(self, *, batch: int = 500) -> Iterator[M]:
        """Yields the selected rows, fetching *batch* at a time.

        Raises: InvalidPage for a batch below 1.
        """
        result = self._session.scalars(building.rows(self._selection), execution_options=in_batches(batch))
        try:
            yield from result
        finally:
            result.close()

    def _read(self, statement: Select[Any]) -> ScalarResult[M]:
        # Rows repeat where a collection is loaded by a join.
        return self._session.scalars(statement).unique()


class ReadRepository(Modelled[M], Generic[M]):
    """Reads a model's rows by name; for what a tenant may read and not write, such as Shared tables.

    The names ``order_by``, ``limit``, ``offset``, ``number``, ``size``, ``after`` and ``batch`` are taken: a field
    called so is filtered with ``query().filter_by(...)``.
    """

    def __init__(
        self, session: Session, *, model: type[M] | None = None, options: Sequence[ORMOption] | None = None
    ) -> None:
        super().__init__(model=model, options=options)
        self.session = session

    def get(self, key: Key) -> M | None:
        """Returns the row with this own key, or None; a key that no row can have is None too."""
        fitting = whole_key(self.model, key)
        return None if fitting is None else self.session.get(self.model, fitting, options=self.options)

    def get_one(self, key: Key) -> M:
        """Returns the row with this own key.

        Raises: RecordNotFound, for a missing row and one of another tenant alike.
        """
        found = self.get(key)
        if found is None:
            raise RecordNotFound(model=self.model.__name__)
        return found

    def find(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> M | None:
        """Returns the first row that matches, by its key, or None.

        Raises: UnknownField, InvalidFilter.
        """
        return self.query().where(*where).filter_by(**filters).first()

    def one(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> M:
        """Returns the only row that matches.

        Raises: RecordNotFound, SeveralFound, UnknownField, InvalidFilter.
        """
        return self.query().where(*where).filter_by(**filters).one()

    def list(
        self,
        *where: ColumnExpressionArgument[bool],
        order_by: OrderBy | Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int | None = None,
        **filters: Any,
    ) -> builtins.list[M]:
        """Returns the rows that match, by their key unless *order_by* says otherwise.

        Raises: UnknownField, InvalidFilter, InvalidPage.
        """
        return self._ordered(where, order_by, filters).limit(limit).offset(offset).all()

    def exists(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> bool:
        """Returns whether any row matches.

        Raises: UnknownField, InvalidFilter.
        """
        return self.query().where(*where).filter_by(**filters).exists()

    def count(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> int:
        """Returns how many rows match.

        Raises: UnknownField, InvalidFilter.
        """
        return self.query().where(*where).filter_by(**filters).count()

    def page(
        self,
        number: int = 1,
        size: int = 50,
        *where: ColumnExpressionArgument[bool],
        order_by: OrderBy | Sequence[OrderBy] = (),
        **filters: Any,
    ) -> Page[M]:
        """Returns one page of the rows that match, the first being number 1.

        Raises: InvalidPage, UnknownField, InvalidFilter.
        """
        return self._ordered(where, order_by, filters).page(number, size)

    def keyset(
        self,
        *where: ColumnExpressionArgument[bool],
        after: str | None = None,
        limit: int = 50,
        order_by: OrderBy | Sequence[OrderBy] = (),
        **filters: Any,
    ) -> Slice[M]:
        """Returns the rows that match and follow the cursor *after*, and the next cursor.

        Raises: InvalidPage, UnknownField, InvalidFilter.
        """
        return self._ordered(where, order_by, filters).keyset(after=after, limit=limit)

    def stream(
        self,
        *where: ColumnExpressionArgument[bool],
        order_by: OrderBy | Sequence[OrderBy] = (),
        batch: int = 500,
        **filters: Any,
    ) -> Iterator[M]:
        """Yields the rows that match, fetching *batch* at a time.

        Raises: UnknownField, InvalidFilter.
        """
        return self._ordered(where, order_by, filters).stream(batch=batch)

    def query(self) -> Query[M]:
        """Returns a query of all rows, to be narrowed."""
        return Query(self.session, Selection(self.model, options=self.options))

    def _ordered(
        self, where: Iterable[Any], order_by: OrderBy | Sequence[OrderBy], filters: Mapping[str, Any]
    ) -> Query[M]:
        return self.query().where(*where).filter_by(**filters).order_by(*building.in_order(order_by))


class Repository(ReadRepository[M], Generic[M]):
    """Reads and writes a model's rows: ``class Tickets(Repository[Ticket])``, then ``Tickets(session)``.

    What it writes is flushed; the caller's transaction commits.
    """

    def create(self, given: M | Mapping[str, Any] | None = None, /, **values: Any) -> M:
        """Returns a new row, made from an object, a mapping or values.

        Raises: UnknownField, CrossTenant.
        """
        row = self._made(given, values)
        self.session.add(row)
        self.session.flush()
        return row

    def bulk_create(self, items: Iterable[M | Mapping[str, Any]]) -> builtins.list[M]:
        """Returns new rows, made from objects or mappings and sent together.

        Raises: UnknownField, CrossTenant.
        """
        rows = [self._made(item, {}) for item in items]
        self.session.add_all(rows)
        self.session.flush()
        return rows

    def update(self, target: M | Key, /, **changes: Any) -> M:
        """Returns the row, by object or own key, with the changes made; an object of elsewhere stands for its key.

        Raises: RecordNotFound, UnknownField, TenantImmutable.
        """
        row = self._changed(self._mine(target), changes)
        self.session.flush()
        return row

    def delete(self, target: M | Key, /) -> None:
        """Deletes the row, by object or own key; one of a class with SoftDelete is stamped and can be restored.

        Raises: RecordNotFound, AppendOnlyViolation.
        """
        keeping.check_deletable(self.model)
        row = self._mine(target)
        if isinstance(row, SoftDelete):
            row.soft_delete()
        else:
            self.session.delete(row)
        self.session.flush()

    def restore(self, target: M | Key, /) -> M:
        """Returns the row, by object or own key, brought back with those that were soft-deleted with it.

        Raises: RecordNotFound, ConfigurationError for a class without SoftDelete.
        """
        keeping.check_soft(self.model)
        row = self._mine(target, hidden=True)
        cast(SoftDelete, row).restore()
        self.session.flush()
        return row

    def purge(self, *, older_than: datetime.datetime | datetime.timedelta) -> int:
        """Deletes for good what was soft-deleted before a time, or so long ago, and returns how many rows that were.

        Raises: ConfigurationError for a class without SoftDelete.
        """
        gone = 0
        while rows := self._read_hidden(keeping.purgeable(self.model, older_than)):
            for row in rows:
                self.session.delete(row)
            self.session.flush()
            gone += len(rows)
        return gone

    def upsert(self, values: Mapping[str, Any], *, key: Sequence[str]) -> M:
        """Returns the row that the unique *key* tells apart, changed to *values*, or made where there was none.

        Raises: UnknownField, CrossTenant, and UpsertRefused for a key without a unique constraint or half a row.
        """
        wanted = upserting.upsert(self.model, values, key=key)
        self.session.flush()
        if self.session.get_bind().dialect.name == "postgresql" and wanted.plain:
            return self._upsert_at_once(wanted)
        return self._upsert_in_two_steps(wanted)

    def _upsert_at_once(self, wanted: upserting.Upsert[M]) -> M:
        statement = upserting.on_conflict(wanted, tenant_id_of(self.session))
        row: M = self.session.scalars(statement, execution_options={"populate_existing": True}).one()
        return row

    def _upsert_in_two_steps(self, wanted: upserting.Upsert[M]) -> M:
        # SQLite's common tables are views, which take no upsert. Its one writer holds the file: nobody comes between.
        found = Selection(self.model, where=building.filters(self.model, wanted.key))
        fresh = {"populate_existing": True}
        row = self.session.scalars(building.rows(found), execution_options=fresh).one_or_none()
        return self.create(wanted.values) if row is None else self.update(row, **wanted.changes)

    def _made(self, given: M | Mapping[str, Any] | None, values: Mapping[str, Any]) -> M:
        if isinstance(given, self.model):
            return self._changed(given, values)
        named = {**cast(Mapping[str, Any], given or {}), **values}
        check_settable(self.model, named)
        return self.model(**named)

    def _changed(self, row: M, changes: Mapping[str, Any]) -> M:
        check_settable(self.model, changes)
        for name, value in changes.items():
            setattr(row, name, value)
        return row

    def _mine(self, target: M | Key, *, hidden: bool = False) -> M:
        if not isinstance(target, self.model):
            return self._found(cast(Key, target), hidden=hidden)
        if target in self.session:
            return target
        identity = inspect(target, raiseerr=True).identity
        if identity is None:
            raise RecordNotFound(model=self.model.__name__)
        return self._found(tuple(identity), hidden=hidden)

    def _found(self, key: Key, *, hidden: bool) -> M:
        fitting = whole_key(self.model, key) if hidden else None
        if fitting is None:
            return self.get_one(key)
        asked = {INCLUDE_DELETED: True}
        row = self.session.get(self.model, fitting, options=self.options, execution_options=asked)
        if row is None:
            raise RecordNotFound(model=self.model.__name__)
        return row

    def _read_hidden(self, statement: Select[Any]) -> Sequence[M]:
        return self.session.scalars(statement, execution_options={INCLUDE_DELETED: True}).unique().all()
