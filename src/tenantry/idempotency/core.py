"""A key stored in the effect's own transaction: the first call does the work, every other gets its answer."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Column, String
from sqlalchemy.orm import SessionTransaction

from tenantry.errors import CommitInsideCall, ConfigurationError
from tenantry.idempotency.claiming import Ask, Keys, typed
from tenantry.idempotency.creating import create_idempotent
from tenantry.models import JSONDocument, UTCDateTime
from tenantry.models.payloads import plain_json
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

if TYPE_CHECKING:
    from tenantry.idempotency.aio import AsyncIdempotency

M = TypeVar("M")

_DAY: Final = datetime.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave, and whether it was kept from an earlier one."""

    value: Any
    replayed: bool


class Call:
    """One call with a key: where ``first`` is true do the work and set ``answer``, otherwise ``answer`` is there."""

    def __init__(self, ask: Ask, transaction: SessionTransaction, *, first: bool, answer: Any = None) -> None:
        self.first = first
        self.answer = answer
        self._ask = ask
        self._transaction = transaction

    def __repr__(self) -> str:
        return f"<Call {self._ask.key!r} first={self.first}>"

    def end(self, keys: Keys, session: TenantSession) -> None:
        """Keeps the answer of a first call.

        Raises: CommitInsideCall, PayloadRefused; either leaves what ``abandon`` then undoes.
        """
        if not self._transaction.is_active:
            raise CommitInsideCall(key=self._ask.key)
        if self.first:
            self.answer = plain_json(self.answer, what="The answer")
            keys.answer(session, self._ask, self.answer)
        self._transaction.commit()

    def abandon(self) -> None:
        """Undoes what was done since the call began, the key included."""
        if self._transaction.is_active:
            self._transaction.rollback()


class Idempotency:
    """Keeps keys and answers in each tenant's own rows; make one right after the tenancy.

    A key counts for *expires_after*; then it may be used for something else, and ``purge`` removes it.

    Raises: ConfigurationError for a time that is not above nought.
    """

    def __init__(
        self, tenancy: Tenancy, *, expires_after: datetime.timedelta = _DAY, table: str = "idempotency_keys"
    ) -> None:
        if expires_after <= datetime.timedelta():
            raise ConfigurationError(
                what=f"expires_after={expires_after!r} is not a time.", fix="Give one above nought, such as 24 hours."
            )
        made = tenancy.table(
            table,
            Column("scope", String(255), primary_key=True),
            Column("key", String(255), primary_key=True),
            Column("digest", String(64), nullable=False),
            Column("answer", JSONDocument),
            Column("created_at", UTCDateTime, nullable=False),
            Column("expires_at", UTCDateTime, nullable=False, index=True),
            behaviour="Idempotency",
        )
        self.keys = Keys(made, expires_after)

    def __repr__(self) -> str:
        return f"Idempotency({self.keys.table.name!r})"

    @cached_property
    def aio(self) -> AsyncIdempotency:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.idempotency.aio import AsyncIdempotency  # noqa: PLC0415  # needs greenlet

        return AsyncIdempotency(self)

    @contextlib.contextmanager
    def once(
        self, session: TenantSession, key: str, *, payload: Any = None, scope: str = "", wait: float = 0.0
    ) -> Iterator[Call]:
        """Yields the call: its block does the work if it is the first, and an error undoes it and the key.

        The caller commits, the effect and the answer together. A call whose key is held by another transaction is
        refused, on PostgreSQL after *wait* seconds; on SQLite writers queue anyway, for up to 30 seconds.

        Raises: IdempotencyConflict for another payload, IdempotencyInFlight, IdempotencyUnfinished,
            InvalidIdempotencyKey, PayloadRefused, CommitInsideCall.
        """
        call = self.begin(session, key, payload=payload, scope=scope, wait=wait)
        try:
            yield call
            call.end(self.keys, session)
        except BaseException:
            call.abandon()
            raise

    def run(
        self,
        session: TenantSession,
        key: str,
        effect: Callable[[TenantSession], Any],
        *,
        payload: Any = None,
        scope: str = "",
        wait: float = 0.0,
    ) -> Answer:
        """Returns what ``effect(session)`` gives, or what it gave when it was called with this key before.

        Raises: as ``once``, and whatever *effect* raises.
        """
        with self.once(session, key, payload=payload, scope=scope, wait=wait) as call:
            if call.first:
                call.answer = effect(session)
        return Answer(call.answer, replayed=not call.first)

    def find(self, session: TenantSession, key: str, *, scope: str = "") -> Answer | None:
        """Returns the answer kept under a key, or None.

        Raises: InvalidIdempotencyKey.
        """
        kept = self.keys.find(session, Ask.of(key, scope=scope))
        return None if kept is None or kept.answer is None else Answer(kept.answer["answer"], replayed=True)

    def forget(self, session: TenantSession, key: str, *, scope: str = "") -> bool:
        """Drops a key, so that its next call is a first one; returns whether it was there.

        Raises: InvalidIdempotencyKey.
        """
        return self.keys.forget(session, Ask.of(key, scope=scope))

    def purge(self, session: TenantSession, *, limit: int = 10_000) -> int:
        """Removes up to *limit* of the tenant's expired keys and returns how many; for all: tenancy.each(purge)."""
        return self.keys.purge(session, limit)

    def create_idempotent(
        self, session: TenantSession, model: type[M], values: Mapping[str, Any], *, key: str
    ) -> tuple[M, bool]:
        """Returns the row that was made with this key, and whether this call made it.

        Raises: as the function ``create_idempotent``.
        """
        return create_idempotent(session, model, values, key=key)

    def begin(self, session: TenantSession, key: str, *, payload: Any, scope: str, wait: float) -> Call:
        """Begins a call, for whoever ends or abandons it.

        Raises: as ``once``.
        """
        ask = Ask.of(key, scope=scope, payload=payload)
        # So that an error leaves neither the key nor half of the effect, even to a caller who goes on and commits.
        transaction = session.begin_nested()
        try:
            with typed(ask):
                kept = self.keys.take(session, ask, wait=wait)
        except BaseException:
            transaction.rollback()
            raise
        answer = None if kept is None else kept.answer["answer"]
        return Call(ask, transaction, first=kept is None, answer=answer)
