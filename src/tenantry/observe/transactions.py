"""What is known of a transaction while it runs, of a slow one afterwards, and of a session that nobody closed."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from threading import get_ident
from time import perf_counter
from types import FrameType
from typing import Any, Final
from weakref import ref

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from tenantry.observe.wording import shown
from tenantry.types import Tenant

try:
    from greenlet import getcurrent
except ImportError:  # without greenlet there is no async door
    getcurrent = None

# What stands between a program's line and the transaction that it begins.
_BETWEEN: Final = ("sqlalchemy.", "tenantry.", "contextlib", "asyncio.")


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement as it went to the database, without values: *error* names the exception where it failed."""

    statement: str
    seconds: float
    began_at: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A statement, or a whole transaction, that took as long as the threshold; *statement* holds no values."""

    kind: str
    tenant: uuid.UUID | None
    slug: str
    seconds: float
    at: float
    statement: str = ""
    statements: int = 1
    correlation_id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A transaction that is not over: whose it is, for how long, who began it, and what it ran last."""

    tenant: uuid.UUID
    slug: str
    seconds: float
    statements: int
    thread: str
    last: str = ""
    correlation_id: str = ""
    place: str = ""

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else f" in {self.thread}"
        return f"{self.slug} for {self.seconds:.1f} s{where}"


class Transaction:
    """A transaction as it runs; one task or thread writes it. Written out, since every read of a tenant makes one."""

    __slots__ = (
        "began",
        "committed",
        "connection",
        "context",
        "counted",
        "engine",
        "errors",
        "facts",
        "held",
        "last",
        "place",
        "seconds",
        "sent",
        "spent",
        "tenant",
        "thread",
    )

    def __init__(self, tenant: Tenant, connection: Connection, facts: Mapping[str, Any]) -> None:
        self.tenant = tenant
        self.engine = connection.engine
        # By its connection the statements find their transaction.
        self.connection = id(connection)
        # What the session knows about its request.
        self.facts = facts
        self.thread = get_ident()
        self.committed = False
        self.last = self.place = ""
        # Of the statements that are not added up yet, and how many are.
        self.spent: list[float] = []
        self.counted = self.errors = 0
        # How long the whole took, once it is over.
        self.seconds = 0.0
        # Kept only where somebody asked for every statement.
        self.sent: list[Sent] | None = None
        self.held: Held | None = None
        # What a tracer has at its beginning.
        self.context: Any = None
        self.began = perf_counter()

    def __repr__(self) -> str:
        return f"<Transaction of {self.tenant.slug!r}, {self.statements} statements>"

    def now(self) -> Open:
        """Returns how it stands."""
        return Open(
            tenant=self.tenant.id,
            slug=self.tenant.slug,
            seconds=self.seconds or perf_counter() - self.began,
            statements=self.statements,
            thread=_thread_name(self.thread),
            last=shown(self.last),
            correlation_id=self.correlation_id,
            place=self.place,
        )

    @property
    def statements(self) -> int:
        """How many statements it has sent."""
        return self.counted + len(self.spent)

    @property
    def correlation_id(self) -> str:
        """What ties it to a request."""
        return str(self.facts.get("correlation_id") or "")


class Held(ref[Session]):
    """A session that is in a transaction, as long as somebody holds it."""

    __slots__ = ("transaction",)

    transaction: Transaction


def place_of_caller() -> str:
    """Returns where a program began what runs now, as ``file:line in function``; empty where it cannot be told."""
    found = _outside(sys._getframe(1)) or _outside(_frame_behind())
    return f"{found.f_code.co_filename}:{found.f_lineno} in {found.f_code.co_name}" if found else ""


def _outside(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    return frame


def _is_between(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.startswith(_BETWEEN)


def _frame_behind() -> FrameType | None:
    """Returns where the event loop's side waits for a greenlet."""
    if getcurrent is None:
        return None
    behind = getcurrent().parent
    return behind.gr_frame if behind is not None else None


def _thread_name(ident: int) -> str:
    found = [thread.name for thread in threading.enumerate() if thread.ident == ident]
    return found[0] if found else f"thread {ident}"
