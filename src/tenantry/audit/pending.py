"""What a session has recorded and not sealed yet: sealed at the commit, given up or kept when something rolls back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, UOWTransaction

from tenantry.audit.entries import Draft, Head
from tenantry.session.core import TenantSession

_BOOK: Final = "tenantry_audit"


class Attendant(Protocol):
    """What seals drafts and keeps those that must outlive their transaction."""

    def seal(self, session: TenantSession, drafts: list[Draft]) -> tuple[Head, Head]:
        """Writes drafts to the chain, in the session's transaction."""
        ...

    def sealed(self, session: TenantSession, before: Head, after: Head) -> None:
        """Is told, after the commit, how far the chain has moved."""
        ...

    def keep(self, session: TenantSession, drafts: list[Draft]) -> None:
        """Writes drafts in a transaction of their own, now that the session's has ended without them."""
        ...


@dataclass(slots=True)
class Span:
    """How far the chain was moved at one go, and the savepoint in which that was done."""

    before: Head
    after: Head
    sealed_in: SessionTransaction | None


class Pending:
    """The drafts of one session's transaction."""

    def __init__(self, attendant: Attendant, session: TenantSession) -> None:
        self._attendant = attendant
        self._session = session
        self._drafts: list[Draft] = []
        self._released: SessionTransaction | None = None
        self._spans: list[Span] = []

    def add(self, values: dict[str, Any], *, kept: bool) -> None:
        """Takes a draft; what is recorded while the commit is under way is sealed at once."""
        if not self._session.in_transaction():
            # Nobody would hear of the end of a transaction that has not begun.
            self._session.begin()
        self._drafts.append(Draft(values, kept, self._session.get_nested_transaction()))
        # What a flush captures is sealed after it: no statements of others go between those of a flush.
        if _book_of(self._session).committing and not self._session._flushing:
            self.seal()

    def extend(self, drafts: list[Draft]) -> None:
        """Takes drafts of a transaction that has ended without them."""
        for draft in drafts:
            self.add(draft.values, kept=True)

    def seal(self) -> None:
        """Writes every draft that is not in the chain yet."""
        waiting = [draft for draft in self._drafts if not draft.sealed]
        if not waiting:
            return
        before, after = self._attendant.seal(self._session, waiting)
        savepoint = self._session.get_nested_transaction()
        self._spans.append(Span(before, after, savepoint))
        for draft in waiting:
            draft.sealed, draft.sealed_in = True, savepoint
        # One that may still have to be written again is held; the others are the database's affair.
        self._drafts = [draft for draft in self._drafts if draft.kept or draft.sealed_in or draft.scope]

    def committed(self) -> None:
        """Notes that the transaction, or the innermost savepoint, ends well."""
        savepoint = self._session.get_nested_transaction()
        if savepoint is not None:
            self._released = savepoint
            return
        self._drafts.clear()
        if self._spans:
            self._attendant.sealed(self._session, self._spans[0].before, self._spans[-1].after)

    def ended(self, savepoint: SessionTransaction) -> None:
        """Moves what was recorded in a released savepoint outwards; gives up or keeps that of one rolled back."""
        outer, released = self._session.get_nested_transaction(), savepoint is self._released
        self._spans = [span for span in self._spans if released or span.sealed_in is not savepoint]
        for span in self._spans:
            span.sealed_in = outer if span.sealed_in is savepoint else span.sealed_in
        for draft in self._drafts:
            if draft.sealed and draft.sealed_in is savepoint:
                draft.sealed, draft.sealed_in = released, outer
        self._drafts = [draft for draft in self._drafts if released or draft.kept or draft.scope is not savepoint]
        for draft in self._drafts:
            if draft.scope is savepoint:
                draft.scope = outer

    def leave(self) -> None:
        """Keeps what must outlive the transaction, which has ended without it."""
        kept = [draft for draft in self._drafts if draft.kept]
        self._drafts.clear()
        if kept:
            self._attendant.keep(self._session, kept)


@dataclass(slots=True)
class Book:
    """What is pending in one transaction, by who attends to it, and whether its commit is under way."""

    pending: dict[Attendant, Pending] = field(default_factory=dict)
    committing: bool = False


def pending_of(session: TenantSession, attendant: Attendant) -> Pending:
    """Returns the drafts of the session's transaction."""
    every = _book_of(session).pending
    if attendant not in every:
        every[attendant] = Pending(attendant, session)
    return every[attendant]


def _book_of(session: Session) -> Book:
    book: Book | None = session.info.get(_BOOK)
    if book is None:
        book = session.info[_BOOK] = Book()
    return book


def _seal_at_commit(session: Session) -> None:
    """Flushes, and seals what was recorded and what that captured, while it can still fail the commit."""
    if session.in_nested_transaction():
        return
    # Before it is sealed: what a flush locks is locked before the end of the chain.
    session.flush()
    book = _book_of(session)
    for pending in tuple(book.pending.values()):
        pending.seal()
    book.committing = True


def _seal_after_flush(session: Session, _: UOWTransaction) -> None:
    # Another listener of the commit may add rows, which are flushed after ours has sealed.
    book = _book_of(session)
    if book.committing:
        for pending in tuple(book.pending.values()):
            pending.seal()


def _note_commit(session: Session) -> None:
    for pending in _book_of(session).pending.values():
        pending.committed()


def _end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        for pending in _book_of(session).pending.values():
            pending.ended(transaction)
    elif transaction.parent is None:
        for pending in session.info.pop(_BOOK, Book()).pending.values():
            pending.leave()


_LISTENERS: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("before_commit", _seal_at_commit),
    ("after_flush_postexec", _seal_after_flush),
    ("after_commit", _note_commit),
    ("after_transaction_end", _end),
)


@functools.cache
def attend() -> None:
    """Has sessions seal what is pending, from the first audit on: a program that makes none pays nothing."""
    for name, listener in _LISTENERS:
        event.listen(TenantSession, name, listener)
