"""How a session keeps to its quotas: what its flushes add is summed up, what any other statement may have changed is
counted, and both are held against the limits in the last moment before the commit.

Each quota has a counter row, which is locked from then to the commit: whoever comes next waits, and then sees what has
been committed. Nothing else is waited for under that lock, and locks are taken in the order of the names.
"""

from __future__ import annotations

import functools
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, MetaData, Table, and_, event, func, insert, inspect, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.orm import InstanceState, Mapper, Session, SessionTransaction, UOWTransaction

from tenantry.errors import QuotaExceeded
from tenantry.isolation.binding import READ_ONLY_OPTION
from tenantry.isolation.residue import may_leave_residue
from tenantry.models import TENANT_COLUMN, SoftDelete
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession

_INFO: Final = "tenantry_quotas"
_READING: Final = re.compile(r"\s*(?:select|values|savepoint|release|rollback)\b", re.IGNORECASE)
_WRITING: Final = re.compile(r"\b(?:insert|update|delete|merge)\b", re.IGNORECASE)
_HARMLESS_ACTIONS: Final = (None, "NO ACTION", "RESTRICT")
# More new rows than this are counted with all the others.
_MEASURED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class Quota:
    """So much of a model's rows: their number, the sum of *by* over them, or what of it *where* holds for.

    *limit* is for tenants that have none of their own; None is no limit.
    """

    name: str
    model: type[Any]
    by: Any = None
    where: Any = None
    limit: int | None = None

    def measuring(self, keys: Iterable[tuple[Any, ...]] | None = None) -> Any:
        """Returns the statement that measures all rows of the session's tenant, or those of *keys*."""
        amount = func.count() if self.by is None else func.coalesce(func.sum(self.by), 0)
        found = select(amount).select_from(self.model)
        found = found if self.where is None else found.where(self.where)
        return found if keys is None else found.where(or_(*map(self._is, keys)))

    def _is(self, key: tuple[Any, ...]) -> ColumnElement[bool]:
        columns = mapper_of(self.model).primary_key
        return and_(*(column == value for column, value in zip(columns, key, strict=True)))


class Book:
    """The quotas of one set of models, and the table of their counters."""

    def __init__(self, metadata: MetaData) -> None:
        self._metadata = metadata
        self._counters: dict[str, Table] = {}
        self._reached: dict[str, frozenset[str]] = {}
        self.quotas: dict[str, Quota] = {}
        # Programs repeat their statements.
        self.concerned = functools.lru_cache(maxsize=1024)(self._concerned)

    def declare(self, quota: Quota, counters: Table) -> None:
        """Adds a quota, or puts it in the place of one of the same name."""
        attend()
        self.quotas[quota.name] = quota
        self._counters[quota.name] = counters
        self._reached[quota.name] = _reached(self._metadata, {table.name for table in tables_of(quota.model)})
        self.concerned.cache_clear()

    def counter(self, name: str) -> Counted:
        """Returns what reads and changes the counter of a quota."""
        return Counted(self.quotas[name], self._counters[name])

    def cascading(self, mapper: Mapper[Any]) -> set[str]:
        """Returns the quotas that a row of *mapper* may touch when it is deleted."""
        names = {table.name for table in mapper.tables if isinstance(table, Table)}
        return {name for name, reached in self._reached.items() if reached & names}

    def _concerned(self, statement: str, postgresql: bool) -> frozenset[str]:
        """Returns the quotas whose rows a statement may change."""
        # No function that SQLite knows can write.
        if not postgresql and _READING.match(statement):
            return frozenset()
        # What a function of the application's own does, or a procedure, nobody can tell.
        if may_leave_residue(statement):
            return frozenset(self.quotas)
        if not _WRITING.search(statement):
            return frozenset()
        lowered = statement.lower()
        return frozenset(
            name for name, reached in self._reached.items() if any(table.lower() in lowered for table in reached)
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """A quota and its counter row; ``used`` is NULL until the first count."""

    quota: Quota
    table: Table

    def read(self, session: TenantSession, *, locking: bool = False) -> tuple[int | None, int | None]:
        """Returns what is noted as used and the limit; *locking* keeps others from settling until the commit."""
        question = select(self.table.c.used, self.table.c.allowed).where(self._mine(session))
        row = session.execute(question.with_for_update() if locking else question).one_or_none()
        used, allowed = row or (None, None)
        return used, self.quota.limit if allowed is None else allowed

    def add(self, session: TenantSession, change: int) -> bool:
        """Adds what is known to have changed, if the limit allows it and a count has been taken before."""
        columns = self.table.c
        after = columns.used + change
        allowed: Any = columns.allowed if self.quota.limit is None else func.coalesce(columns.allowed, self.quota.limit)
        fits = or_(allowed.is_(None), after <= allowed)
        changed: Any = session.execute(update(self.table).where(self._mine(session), fits).values(used=after))
        return bool(changed.rowcount)

    def count(self, session: TenantSession) -> tuple[int | None, int, int | None]:
        """Returns what is noted, what is there, and the limit; nobody else settles until the commit."""
        self.ensure(session)
        noted, limit = self.read(session, locking=True)
        return noted, self.measure(session), limit

    def note(self, session: TenantSession, used: int) -> None:
        """Notes what is there."""
        session.execute(update(self.table).where(self._mine(session)).values(used=used))

    def measure(self, session: TenantSession) -> int:
        """Returns what is there."""
        return int(session.execute(self.quota.measuring()).scalar_one())

    def allow(self, session: TenantSession, limit: int | None) -> None:
        """Gives the tenant a limit of its own, or takes it away."""
        self.ensure(session)
        session.execute(update(self.table).where(self._mine(session)).values(allowed=limit))

    def ensure(self, session: TenantSession) -> None:
        """Makes the counter's row if there is none."""
        row = {TENANT_COLUMN: session.tenant.id, "name": self.quota.name, "used": None, "allowed": None}
        if on_postgresql(session):
            session.execute(postgresql.insert(self.table).values(**row).on_conflict_do_nothing())
        elif session.execute(select(self.table.c.name).where(self._mine(session))).one_or_none() is None:
            session.execute(insert(self.table).values(**row))

    def _mine(self, session: TenantSession) -> ColumnElement[bool]:
        return and_(self.table.c[TENANT_COLUMN] == session.tenant.id, self.table.c.name == self.quota.name)


@dataclass(slots=True)
class Account:
    """What one transaction owes: what its flushes added, by quota, and the quotas that must be counted."""

    book: Book
    added: Counter[str] = field(default_factory=Counter)
    uncertain: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    settling: bool = False
    flush: weakref.ref[UOWTransaction] | None = None

    def note(self, session: TenantSession, flush: UOWTransaction) -> None:
        """Notes what a flush did."""
        self.flush = None
        for name, quota in self.book.quotas.items():
            if name not in self.uncertain:
                self._note(session, flush, quota)

    def settle(self, session: TenantSession) -> None:
        """Holds everything against the limits.

        Raises: QuotaExceeded, and what it is about stays owed.
        """
        self.settling = True
        try:
            for name in sorted(self.uncertain | self.added.keys()):
                self._settle(session, self.book.counter(name))
                self.settled.add(name)
                self.uncertain.discard(name)
                del self.added[name]
        finally:
            self.settling = False

    def undone(self) -> None:
        """Has everything counted, as some of it was rolled back."""
        self.uncertain.update(self.added, self.settled)

    def _note(self, session: TenantSession, flush: UOWTransaction, quota: Quota) -> None:
        new, uncertain = [], False
        for state, (deleted, listed) in flush.states.items():
            kind = _seen_as(state, deleted=deleted, listed=listed)
            if issubclass(state.class_, quota.model):
                uncertain |= kind == "gone" or (kind == "changed" and _depends_on_values(quota))
                new += [state] if kind == "new" else []
            elif kind == "gone":
                uncertain |= quota.name in self.book.cascading(state.mapper)
        if uncertain or len(new) > _MEASURED_AT_ONCE:
            self.uncertain.add(quota.name)
        elif new:
            self.added[quota.name] += _weight(session, quota, new)

    def _settle(self, session: TenantSession, counted: Counted) -> None:
        name = counted.quota.name
        added = self.added[name]
        if name not in self.uncertain:
            if counted.add(session, added):
                return
            used, limit = counted.read(session)
            if used is not None and limit is not None:
                raise QuotaExceeded(quota=name, used=used, limit=limit, asked=added)
        before, now, limit = counted.count(session)
        # Whoever was beyond the limit already may delete, and need not come below it at once.
        if limit is not None and now > limit and (before is None or now > before):
            used = before if before is not None else now - added
            raise QuotaExceeded(quota=name, used=used, limit=limit, asked=now - used)
        counted.note(session, now)


def book_of(metadata: MetaData) -> Book:
    """Returns the book of *metadata*, which every tenancy with these models keeps to."""
    book: Book | None = metadata.info.get(_INFO)
    if book is None:
        book = metadata.info[_INFO] = Book(metadata)
    return book


def account_of(session: Session) -> Account | None:
    """Returns the account of a session, or None where its models have no quotas."""
    account: Account | None = session.info.get(_INFO)
    if account is None and (tenancy := session.info.get("tenancy")) is not None:
        book = tenancy.metadata.info.get(_INFO)
        account = session.info[_INFO] = None if book is None else Account(book)
    return account


def mapper_of(model: type[Any]) -> Mapper[Any]:
    """Returns the mapper of a model."""
    mapper: Mapper[Any] = inspect(model)
    return mapper


def _weight(session: TenantSession, quota: Quota, new: list[InstanceState[Any]]) -> int:
    if not _depends_on_values(quota):
        return len(new)
    keys = [state.mapper.primary_key_from_instance(state.obj()) for state in new]
    return int(session.execute(quota.measuring(map(tuple, keys))).scalar_one())


def _depends_on_values(quota: Quota) -> bool:
    # A row that is stamped as deleted is given back, and one that is restored is asked for again.
    return quota.by is not None or quota.where is not None or issubclass(quota.model, SoftDelete)


def _seen_as(state: InstanceState[Any], *, deleted: bool, listed: bool) -> str:
    if deleted:
        # One that is only listed was not deleted after all, since a new object took its row over.
        return "gone"
    if listed:
        return "untouched"
    return "new" if state.key is None else "changed"


def tables_of(model: type[Any]) -> list[Table]:
    """Returns the tables in which the rows of a model stand."""
    return [table for table in mapper_of(model).tables if isinstance(table, Table)]


def _reached(metadata: MetaData, names: set[str]) -> frozenset[str]:
    """Returns *names* and the tables whose deletions reach them by the actions of foreign keys."""
    waiting, found = list(names), set(names)
    while waiting:
        table = metadata.tables[waiting.pop()]
        for key in table.foreign_key_constraints:
            parent = key.referred_table
            if _acts(key.ondelete) and parent.key not in found:
                found.add(parent.key)
                waiting.append(parent.key)
    return frozenset(found)


def _acts(action: str | None) -> bool:
    return (action or "NO ACTION").upper() not in _HARMLESS_ACTIONS


def _watch(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    account = account_of(session)
    if account is None or transaction.nested or connection.get_execution_options().get(READ_ONLY_OPTION):
        return
    on_postgresql = connection.dialect.name == "postgresql"

    def watch(_: Connection, __: object, statement: str, *___: object) -> None:
        flushing = account.flush is not None and account.flush() is not None
        if not flushing and not account.settling:
            account.uncertain |= account.book.concerned(statement, on_postgresql)

    event.listen(connection, "before_cursor_execute", watch)


def _begin_flush(session: Session, flush: UOWTransaction, _: object) -> None:
    # Known by its life: a flush that finds nothing to do ends without a word.
    if (account := account_of(session)) is not None:
        account.flush = weakref.ref(flush)


def _end_flush(session: Session, flush: UOWTransaction) -> None:
    if isinstance(session, TenantSession) and (account := account_of(session)) is not None:
        account.note(session, flush)


def _settle(session: Session) -> None:
    account = account_of(session)
    if account is None or not isinstance(session, TenantSession) or session.in_nested_transaction():
        return
    session.flush()
    account.settle(session)


def _roll_back(session: Session, transaction: SessionTransaction) -> None:
    account = account_of(session)
    if account is None:
        return
    account.flush = None
    if transaction.parent is None:
        _close(session)
    else:
        account.undone()


def _close(session: Session) -> None:
    session.info.pop(_INFO, None)


_LISTENERS: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("after_begin", _watch),
    ("before_flush", _begin_flush),
    ("after_flush", _end_flush),
    ("before_commit", _settle),
    ("after_soft_rollback", _roll_back),
    ("after_commit", _close),
)


@functools.cache
def attend() -> None:
    """Has sessions keep accounts, from the first quota on: a program that has none pays nothing."""
    for name, listener in _LISTENERS:
        event.listen(TenantSession, name, listener)
