"""The awaited face of the repositories, written by ``tools/write_aio.py`` from ``core.py``: change that file instead.

A method runs its synchronous twin inside ``run_sync``; streaming is awaited row by row.
"""

from __future__ import annotations

import builtins
import datetime
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnExpressionArgument
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from tenantry.errors import ExtraMissing
from tenantry.repository import building
from tenantry.repository.building import OrderBy, Selection
from tenantry.repository.core import Key, Query, ReadRepository, Repository
from tenantry.repository.modelled import Modelled
from tenantry.repository.pages import Page, Slice, in_batches
from tenantry.repository.refining import Refining

try:
    from sqlalchemy.ext.asyncio import AsyncSession
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

M = TypeVar("M")


class AsyncQuery(Refining[M], Generic[M]):
    """A selection of a model's rows that is narrowed step by step, then read."""

    def __init__(self, session: AsyncSession, selection: Selection[M]) -> None:
        self._session = session
        self._selection = selection

    async def all(self) -> list[M]:
        """Returns the selected rows."""
        return await self._session.run_sync(lambda session: self._on(session).all())

    async def first(self) -> M | None:
        """Returns the first of the selected rows, or None."""
        return await self._session.run_sync(lambda session: self._on(session).first())

    async def one(self) -> M:
        """Returns the only selected row.

        Raises: RecordNotFound, SeveralFound.
        """
        return await self._session.run_sync(lambda session: self._on(session).one())

    async def count(self) -> int:
        """Returns how many rows are selected."""
        return await self._session.run_sync(lambda session: self._on(session).count())

    async def exists(self) -> bool:
        """Returns whether any row is selected."""
        return await self._session.run_sync(lambda session: self._on(session).exists())

    async def page(self, number: int = 1, size: int = 50) -> Page[M]:
        """Returns one page of the selected rows, the first being number 1; beyond the last one a page is empty.

        Raises: InvalidPage.
        """
        return await self._session.run_sync(lambda session: self._on(session).page(number, size))

    async def keyset(self, *, after: str | None = None, limit: int = 50) -> Slice[M]:
        """Returns the selected rows that follow the cursor *after*, and the next cursor; far pages cost no more.

        Raises: InvalidPage for a cursor that was not handed out for this ordering.
        """
        return await self._session.run_sync(lambda session: self._on(session).keyset(after=after, limit=limit))

    async def stream(self, *, batch: int = 500) -> AsyncIterator[M]:
        """Yields the selected rows, fetching *batch* at a time.

        Raises: InvalidPage for a batch below 1.
        """
        result = await self._session.stream_scalars(building.rows(self._selection), execution_options=in_batches(batch))
        try:
            async for row in result:
                yield row
        finally:
            await result.close()

    def _on(self, session: Session) -> Query[M]:
        return Query(session, self._selection)


class AsyncReadRepository(Modelled[M], Generic[M]):
    """Reads a model's rows by name; for what a tenant may read and not write, such as Shared tables.

    The names ``order_by``, ``limit``, ``offset``, ``number``, ``size``, ``after`` and ``batch`` are taken: a field
    called so is filtered with ``query().filter_by(...)``.
    """

    def __init__(
        self, session: AsyncSession, *, model: type[M] | None = None, options: Sequence[ORMOption] | None = None
    ) -> None:
        super().__init__(model=model, options=options)
        self.session = session

    async def get(self, key: Key) -> M | None:
        """Returns the row with this own key, or None; a key that no row can have is None too."""
        return await self.session.run_sync(lambda session: self._on(session).get(key))

    async def get_one(self, key: Key) -> M:
        """Returns the row with this own key.

        Raises: RecordNotFound, for a missing row and one of another tenant alike.
        """
        return await self.session.run_sync(lambda session: self._on(session).get_one(key))

    async def find(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> M | None:
        """Returns the first row that matches, by its key, or None.

        Raises: UnknownField, InvalidFilter.
        """
        return await self.session.run_sync(lambda session: self._on(session).find(*where, **filters))

    async def one(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> M:
        """Returns the only row that matches.

        Raises: RecordNotFound, SeveralFound, UnknownField, InvalidFilter.
        """
        return await self.session.run_sync(lambda session: self._on(session).one(*where, **filters))

    async def list(
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
        return await self.session.run_sync(
            lambda session: self._on(session).list(*where, order_by=order_by, limit=limit, offset=offset, **filters)
        )

    async def exists(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> bool:
        """Returns whether any row matches.

        Raises: UnknownField, InvalidFilter.
        """
        return await self.session.run_sync(lambda session: self._on(session).exists(*where, **filters))

    async def count(self, *where: ColumnExpressionArgument[bool], **filters: Any) -> int:
        """Returns how many rows match.

        Raises: UnknownField, InvalidFilter.
        """
        return await self.session.run_sync(lambda session: self._on(session).count(*where, **filters))

    async def page(
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
        return await self.session.run_sync(
            lambda session: self._on(session).page(number, size, *where, order_by=order_by, **filters)
        )

    async def keyset(
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
        return await self.session.run_sync(
            lambda session: self._on(session).keyset(*where, after=after, limit=limit, order_by=order_by, **filters)
        )

    def stream(
        self,
        *where: ColumnExpressionArgument[bool],
        order_by: OrderBy | Sequence[OrderBy] = (),
        batch: int = 500,
        **filters: Any,
    ) -> AsyncIterator[M]:
        """Yields the rows that match, fetching *batch* at a time.

        Raises: UnknownField, InvalidFilter.
        """
        return self._ordered(where, order_by, filters).stream(batch=batch)

    def query(self) -> AsyncQuery[M]:
        """Returns a query of all rows, to be narrowed."""
        return AsyncQuery(self.session, Selection(self.model, options=self.options))

    def _ordered(
        self, where: Iterable[Any], order_by: OrderBy | Sequence[OrderBy], filters: Mapping[str, Any]
    ) -> AsyncQuery[M]:
        return self.query().where(*where).filter_by(**filters).order_by(*building.in_order(order_by))

    def _on(self, session: Session) -> ReadRepository[M]:
        return ReadRepository(session, model=self.model, options=self.options)


class AsyncRepository(AsyncReadRepository[M], Generic[M]):
    """Reads and writes a model's rows: ``class Tickets(AsyncRepository[Ticket])``, then ``Tickets(session)``.

    What it writes is flushed; the caller's transaction commits.
    """

    async def create(self, given: M | Mapping[str, Any] | None = None, /, **values: Any) -> M:
        """Returns a new row, made from an object, a mapping or values.

        Raises: UnknownField, CrossTenant.
        """
        return await self.session.run_sync(lambda session: self._on(session).create(given, **values))

    async def bulk_create(self, items: Iterable[M | Mapping[str, Any]]) -> builtins.list[M]:
        """Returns new rows, made from objects or mappings and sent together.

        Raises: UnknownField, CrossTenant.
        """
        return await self.session.run_sync(lambda session: self._on(session).bulk_create(items))

    async def update(self, target: M | Key, /, **changes: Any) -> M:
        """Returns the row, by object or own key, with the changes made; an object of elsewhere stands for its key.

        Raises: RecordNotFound, UnknownField, TenantImmutable.
        """
        return await self.session.run_sync(lambda session: self._on(session).update(target, **changes))

    async def delete(self, target: M | Key, /) -> None:
        """Deletes the row, by object or own key; one of a class with SoftDelete is stamped and can be restored.

        Raises: RecordNotFound, AppendOnlyViolation.
        """
        await self.session.run_sync(lambda session: self._on(session).delete(target))

    async def restore(self, target: M | Key, /) -> M:
        """Returns the row, by object or own key, brought back with those that were soft-deleted with it.

        Raises: RecordNotFound, ConfigurationError for a class without SoftDelete.
        """
        return await self.session.run_sync(lambda session: self._on(session).restore(target))

    async def purge(self, *, older_than: datetime.datetime | datetime.timedelta) -> int:
        """Deletes for good what was soft-deleted before a time, or so long ago, and returns how many rows that were.

        Raises: ConfigurationError for a class without SoftDelete.
        """
        return await self.session.run_sync(lambda session: self._on(session).purge(older_than=older_than))

    async def upsert(self, values: Mapping[str, Any], *, key: Sequence[str]) -> M:
        """Returns the row that the unique *key* tells apart, changed to *values*, or made where there was none.

        Raises: UnknownField, CrossTenant, and UpsertRefused for a key without a unique constraint or half a row.
        """
        return await self.session.run_sync(lambda session: self._on(session).upsert(values, key=key))

    def _on(self, session: Session) -> Repository[M]:
        return Repository(session, model=self.model, options=self.options)
