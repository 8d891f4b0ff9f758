"""What the transactions of tenants' sessions write, and the tags that are closed as one commits and open behind it."""

from __future__ import annotations

import contextlib
import functools
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import ClauseElement, Connection, Delete, MetaData, Table, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import FromStatement, Session, SessionTransaction
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect

from tenantry.cache.stores import ANY_WRITE, EVERYTHING, Store
from tenantry.errors import CacheUnavailable
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

_WRITES: Final = "tenantry_writes"
_READS: Final = re.compile(r"\s*(?:select|values|show|set\s+local)\b", re.IGNORECASE)
_TEXTS: Final = (TextClause, TextualSelect, FromStatement)


@dataclass(eq=False, slots=True)
class Writes:
    """What one transaction has written, as tags; *closing* from the moment its commit begins."""

    tags: set[str] = field(default_factory=set)
    writer: str = field(default_factory=lambda: uuid.uuid4().hex)
    closing: bool = False


@dataclass(frozen=True, slots=True)
class Watcher:
    """The store of one cache, told of every commit of its tenancy's sessions."""

    store: Store
    seconds: float
    stale_when_down: bool

    def close(self, session: TenantSession, tags: Iterable[str], writer: str) -> None:
        """Closes tags before a commit.

        Raises: CacheUnavailable.
        """
        with contextlib.suppress(*(CacheUnavailable,) if self.stale_when_down else ()):
            self.store.close(session.tenant.id, frozenset(tags), writer=writer, seconds=self.seconds)

    def open(self, session: TenantSession, writes: Writes) -> None:
        """Opens what was closed; a store that is down opens it by itself when the time is over."""
        with contextlib.suppress(CacheUnavailable):
            self.store.open(session.tenant.id, frozenset(writes.tags), writer=writes.writer)


_watchers: Final[WeakKeyDictionary[Tenancy, list[Watcher]]] = WeakKeyDictionary()
# Of what was compiled, which SQLAlchemy keeps for statements alike.
_tags: Final[WeakKeyDictionary[Any, frozenset[str]]] = WeakKeyDictionary()


def watch(tenancy: Tenancy, watcher: Watcher) -> None:
    """Has *watcher* told of every commit of a tenant's session from now on."""
    _watchers.setdefault(tenancy, []).append(watcher)


def written(session: Session) -> bool:
    """Whether the session holds changes that are not committed."""
    return bool(session.info.get(_WRITES) or session.new or session.dirty or session.deleted)


def note(session: TenantSession, tags: Iterable[str]) -> None:
    """Has tags dropped when the session commits.

    Raises: CacheUnavailable for a commit that has begun already.
    """
    writes: Writes = session.info.setdefault(_WRITES, Writes())
    fresh = set(tags) - writes.tags
    writes.tags |= fresh
    if writes.closing and fresh:
        for watcher in _watchers_of(session):
            watcher.close(session, fresh, writes.writer)


def table_tag(table: Table) -> str:
    """Returns the tag that a write to a table drops."""
    return f"table:{table.key}"


def _watchers_of(session: Session) -> list[Watcher]:
    tenancy = session.info.get("tenancy")
    return _watchers.get(tenancy, []) if tenancy is not None else []


@event.listens_for(TenantSession, "after_begin")
def _watch_connection(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if isinstance(session, TenantSession) and not transaction.nested and _watchers_of(session):
        event.listen(connection, "before_cursor_execute", functools.partial(_see, session))


@event.listens_for(TenantSession, "before_commit")
def _close(session: Session) -> None:
    if not isinstance(session, TenantSession) or session.in_nested_transaction() or not _watchers_of(session):
        return
    # What the commit would write, it must have written before its tags are closed.
    session.flush()
    writes: Writes | None = session.info.get(_WRITES)
    if writes is None or writes.closing:
        return
    writes.closing = True
    for watcher in _watchers_of(session):
        watcher.close(session, writes.tags, writes.writer)


@event.listens_for(TenantSession, "after_commit")
def _open(session: Session) -> None:
    if not isinstance(session, TenantSession) or session.in_nested_transaction():
        return
    writes: Writes | None = session.info.pop(_WRITES, None)
    if writes is not None:
        for watcher in _watchers_of(session):
            watcher.open(session, writes)


@event.listens_for(TenantSession, "after_transaction_end")
def _end(session: Session, transaction: SessionTransaction) -> None:
    # After a rollback nothing was dropped. Where the commit failed it may have happened all the same: what it closed
    # stays closed for its time.
    if transaction.parent is None:
        session.info.pop(_WRITES, None)


def _see(session: TenantSession, _: Connection, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
    tags = _tags_of(session, statement, context)
    if tags:
        note(session, tags)


def _tags_of(session: TenantSession, statement: str, context: ExecutionContext) -> frozenset[str]:
    compiled = context.compiled
    said = compiled.statement if compiled is not None else None
    if said is None or isinstance(said, _TEXTS) or not isinstance(compiled, SQLCompiler):
        # What is only text is read as far as its first word.
        return frozenset() if _READS.match(statement) else frozenset({EVERYTHING})
    tags = _tags.get(compiled)
    if tags is None:
        tags = _tags[compiled] = frozenset(_tags_of_parts(said, session.info["tenancy"].metadata))
    return tags


def _tags_of_parts(statement: ClauseElement, metadata: MetaData) -> Iterator[str]:
    """Yields the tags of what a statement writes: every table in it if any part of it writes, else none."""
    parts = list(visitors.iterate(statement))
    if any(getattr(part, "is_dml", False) for part in parts):
        yield ANY_WRITE
        tables = {part.key: part for part in parts if isinstance(part, Table)}
        deletes = any(isinstance(part, Delete) for part in parts)
        for table in _with_followers(tables.values(), metadata) if deletes else tables.values():
            yield table_tag(table)


def _with_followers(tables: Iterable[Table], metadata: MetaData) -> set[Table]:
    """Returns tables with those whose rows the database deletes or changes when rows of these are deleted."""
    names, before = {table.key for table in tables}, 0
    while len(names) > before:
        before = len(names)
        names |= {table.key for table in metadata.tables.values() if _follows(table, names)}
    return {metadata.tables[name] for name in names if name in metadata.tables}


def _follows(table: Table, names: set[str]) -> bool:
    return any(key.ondelete and key.referred_table.key in names for key in table.foreign_key_constraints)
