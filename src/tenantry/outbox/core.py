"""The outbox: what a change adds to it, who handles that, and what people see and do of what did not go through."""

from __future__ import annotations

import datetime
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import delete, event, func, insert, select, update
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError, EventNotParked, HandlerMissing, PayloadRefused
from tenantry.ids import uuid7
from tenantry.models import TENANT_COLUMN
from tenantry.models.payloads import plain_json
from tenantry.outbox.engines import Engine
from tenantry.outbox.events import ENDED, PENDING, Event, EventState, Tables, event_columns, stream_columns
from tenantry.outbox.hints import Hints
from tenantry.session.clock import moment
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

if TYPE_CHECKING:
    from tenantry.outbox.aio import AsyncOutbox

F = TypeVar("F", bound=Callable[..., Any])

EVERY_TOPIC: Final = "*"
# What a session knows of its caller, and an event is to tell.
_CALLER: Final = ("actor", "impersonator", "correlation_id")
_LONGEST: Final = 255
_WEEK: Final = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Handler:
    """What takes the events of a topic; *transactional*: inside the transaction that acknowledges them."""

    call: Callable[..., Any]
    transactional: bool = False


class Outbox:
    """Keeps events in each tenant's own rows until they are delivered; make one right after the tenancy."""

    def __init__(self, tenancy: Tenancy, *, table: str = "outbox_events", streams: str = "outbox_streams") -> None:
        self.tenancy = tenancy
        self.tables = Tables(
            tenancy.table(table, *event_columns(table), behaviour="Outbox"),
            tenancy.table(streams, *stream_columns(), behaviour="Outbox"),
        )
        self.hints = Hints()
        self._handlers: dict[str, Handler] = {}

    def __repr__(self) -> str:
        return f"Outbox({self.tables.events.name!r})"

    @cached_property
    def aio(self) -> AsyncOutbox:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.outbox.aio import AsyncOutbox  # noqa: PLC0415  # needs greenlet

        return AsyncOutbox(self)

    def add(
        self,
        session: TenantSession,
        topic: str,
        payload: Mapping[str, Any],
        *,
        key: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> uuid.UUID:
        """Returns the id of a new event, which is there once the caller's transaction is committed, or never.

        *key* names what the event is about, for its handler; actor and correlation id of the session join *headers*.

        Raises: PayloadRefused, and ConfigurationError for a topic or key that is no text of 1 to 255 characters.
        """
        for name, text in (("topic", topic), ("key", "-" if key is None else key)):
            _check_text(name, text)
        columns, made = self.tables.events.c, uuid7()
        new = (columns[TENANT_COLUMN] == session.tenant.id) & (columns.state == EventState.NEW)
        highest = select(columns.position).where(new).order_by(columns.position.desc()).limit(1).scalar_subquery()
        row = {
            TENANT_COLUMN: session.tenant.id,
            "id": made,
            "topic": topic,
            "key": key,
            "payload": _document(payload, what="The payload"),
            "headers": _document({**_caller(session), **(headers or {})}, what="The headers"),
            "position": func.coalesce(highest, 0) + 1,
            "state": EventState.NEW,
            "attempts": 0,
            "added_at": moment(session),
        }
        session.execute(insert(self.tables.events).values(row))
        self._hint_after_commit(session)
        return made

    def pending(self, session: TenantSession, *, limit: int = 100) -> list[Event]:
        """Returns the tenant's events that wait, those to be delivered first in front."""
        columns = self.tables.events.c
        order = (columns.number.is_(None), columns.number, columns.position, columns.id)
        return self._select(session, PENDING, order, limit)

    def parked(self, session: TenantSession, *, limit: int = 100) -> list[Event]:
        """Returns the tenant's events that were given up, in order, each with its last error."""
        return self._select(session, (EventState.PARKED,), (self.tables.events.c.number,), limit)

    def retry(self, session: TenantSession, event_id: uuid.UUID) -> None:
        """Has a parked event delivered after all, in its place before those that still wait.

        Raises: EventNotParked.
        """
        self._unpark(session, event_id, state=EventState.WAITING, attempts=0, error=None)

    def discard(self, session: TenantSession, event_id: uuid.UUID) -> None:
        """Has a parked event never delivered, so that those behind it go on.

        Raises: EventNotParked.
        """
        self._unpark(session, event_id, state=EventState.DISCARDED, ended_at=moment(session))

    def purge(self, session: TenantSession, *, older_than: datetime.timedelta = _WEEK, limit: int = 10_000) -> int:
        """Removes up to *limit* of the tenant's delivered and discarded events and returns how many."""
        columns = self.tables.events.c
        mine = columns[TENANT_COLUMN] == session.tenant.id
        past = moment(session, later=-older_than.total_seconds())
        old = select(columns.id).where(mine, columns.state.in_(ENDED), columns.ended_at <= past).limit(limit)
        return len(
            session.execute(delete(self.tables.events).where(mine, columns.id.in_(old)).returning(columns.id)).all()
        )

    def handler(self, topic: str, *, transactional: bool = False) -> Callable[[F], F]:
        """Has the decorated function take the events of a topic, or with ``"*"`` those that no other takes.

        It is called with the event; a *transactional* one with the event and a session of the tenant, whose changes
        are committed with the acknowledgement. What it returns counts for nothing; an error means: again, later.

        Raises: ConfigurationError for a topic that is taken, and for a coroutine function that is transactional.
        """
        _check_text("topic", topic)

        def register(function: F) -> F:
            self._register(topic, Handler(function, transactional))
            return function

        return register

    def forward(self, engine: Engine, *, topic: str = EVERY_TOPIC) -> None:
        """Has a job engine take the events of a topic; handing one over acknowledges it.

        Raises: ConfigurationError for a topic that is taken.
        """
        self._register(topic, Handler(engine.submit))

    def handler_of(self, topic: str) -> Handler:
        """Returns who takes the events of a topic in this process.

        Raises: HandlerMissing.
        """
        found = self._handlers.get(topic) or self._handlers.get(EVERY_TOPIC)
        if found is None:
            raise HandlerMissing(topic=topic)
        return found

    def _register(self, topic: str, handler: Handler) -> None:
        if topic in self._handlers:
            raise ConfigurationError(
                what=f"The topic {topic!r} of this outbox has a handler already.",
                fix="Call both from one handler, so that they are acknowledged together.",
            )
        if handler.transactional and inspect.iscoroutinefunction(handler.call):
            raise ConfigurationError(
                what="A coroutine function cannot share the transaction of the acknowledgement.",
                fix="Make it a plain function, or drop transactional=True.",
            )
        self._handlers[topic] = handler

    def _select(self, session: TenantSession, states: Sequence[EventState], order: Any, limit: int) -> list[Event]:
        columns = self.tables.events.c
        found = select(self.tables.events).where(columns[TENANT_COLUMN] == session.tenant.id, columns.state.in_(states))
        return [Event.of(row) for row in session.execute(found.order_by(*order).limit(limit))]

    def _unpark(self, session: TenantSession, event_id: uuid.UUID, **values: Any) -> None:
        columns = self.tables.events.c
        parked = (columns[TENANT_COLUMN] == session.tenant.id) & (columns.state == EventState.PARKED)
        statement = update(self.tables.events).where(parked, columns.id == event_id).values(**values)
        if session.execute(statement.returning(columns.id)).first() is None:
            raise EventNotParked(event=event_id)
        self._hint_after_commit(session)

    def _hint_after_commit(self, session: TenantSession) -> None:
        mark = ("outbox", self.tables.events.name)
        if mark not in session.info:
            event.listen(session, "after_commit", partial(self._hint, mark))
        session.info[mark] = True

    def _hint(self, mark: tuple[str, str], session: Session) -> None:
        # A savepoint's release is announced as a commit too.
        if session.info.get(mark) and not session.in_nested_transaction():
            session.info[mark] = False
            self.hints.add(session.info["tenant"].id)


def _caller(session: TenantSession) -> dict[str, str]:
    return {name: str(session.info[name]) for name in _CALLER if session.info.get(name) is not None}


def _document(value: object, *, what: str) -> Any:
    if not isinstance(value, Mapping):
        raise PayloadRefused(what=what, reason=f"it is a {type(value).__name__}, not a dict.")
    return plain_json(dict(value), what=what)


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise ConfigurationError(
            what=f"The {name} of an event is no printable text of 1 to {_LONGEST} characters.",
            fix="Give one such as 'ticket.created'.",
        )
