"""How changes of mirrored rows are noticed: row by row in the unit of work, and statements by the table they write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Table, event
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, UOWTransaction, object_mapper

from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.vectors.mirrored import Mirrored


class Watcher(Protocol):
    """Who is told of changes of mirrored rows."""

    mirrored: Mirrored

    def touch(self, session: TenantSession, rows: Iterable[object]) -> None:
        """Hears of rows that were added, changed or deleted."""
        ...

    def touch_all(self, session: TenantSession) -> None:
        """Hears of changes that nobody can name row by row."""
        ...


_watchers: Final[WeakKeyDictionary[Tenancy, list[Watcher]]] = WeakKeyDictionary()


def watch(tenancy: Tenancy, watcher: Watcher) -> None:
    """Has *watcher* told of the changes in every session of *tenancy* from now on."""
    _watchers.setdefault(tenancy, []).append(watcher)
    if not event.contains(TenantSession, "after_flush", _see_flush):
        # Who mirrors nothing pays nothing.
        event.listen(TenantSession, "after_flush", _see_flush)
        event.listen(TenantSession, "do_orm_execute", _see_statement)
        TenantSession.before_bulk.append(_see_bulk)


def _watching(session: Session) -> Iterator[Watcher]:
    tenancy = session.info.get("tenancy")
    if tenancy is not None:
        yield from _watchers.get(tenancy, ())


def _see_flush(session: Session, _: UOWTransaction) -> None:
    if not isinstance(session, TenantSession):
        return
    for watcher in _watching(session):
        mirrored = watcher.mirrored
        if any(_tables(object_mapper(row)) & mirrored.sources for row in session.deleted):
            watcher.touch_all(session)
        else:
            changed = (row for row in session.dirty if session.is_modified(row, include_collections=False))
            rows = [row for row in (*session.new, *changed, *session.deleted) if isinstance(row, mirrored.model)]
            watcher.touch(session, rows)


def _see_statement(state: ORMExecuteState) -> None:
    if not (state.is_insert or state.is_update or state.is_delete) or not isinstance(state.session, TenantSession):
        return
    table = getattr(state.statement, "table", None)
    if isinstance(table, Table):
        _note(state.session, {table.key}, deletes=state.is_delete)


def _see_bulk(session: TenantSession, mapper: Mapper[Any]) -> None:
    _note(session, _tables(mapper), deletes=False)


def _note(session: TenantSession, tables: set[str], *, deletes: bool) -> None:
    for watcher in _watching(session):
        mirrored = watcher.mirrored
        if tables & (mirrored.tables | mirrored.sources if deletes else mirrored.tables):
            watcher.touch_all(session)


def _tables(mapper: Mapper[Any]) -> set[str]:
    return {table.key for table in mapper.tables if isinstance(table, Table)}
