"""What an event is, and the two tables: the events of a tenant, and how far its stream of them has come."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, Uuid
from sqlalchemy.schema import SchemaItem

from tenantry.ids import uuid7
from tenantry.models import TENANT_COLUMN, JSONDocument, UTCDateTime


class EventState(enum.StrEnum):
    """Where an event stands: a new one has no number yet, and only those that wait are delivered."""

    NEW = "new"
    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"
    DISCARDED = "discarded"


# A tenant has one stream, and a key wants more than the tenant.
STREAM: Final = "main"

PENDING: Final = (EventState.NEW, EventState.WAITING)
ENDED: Final = (EventState.DELIVERED, EventState.DISCARDED)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a tenant; ``id`` tells duplicates, ``number`` is its place in the tenant's stream.

    A number is given when the event is first about to be delivered, 1, 2, 3 …; until then it is None.
    """

    id: uuid.UUID
    tenant: uuid.UUID
    topic: str
    payload: Mapping[str, Any]
    key: str | None
    headers: Mapping[str, Any]
    number: int | None
    attempts: int
    error: str | None
    added_at: datetime.datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """Returns the event of a row of the table."""
        names = (name for name in cls.__dataclass_fields__ if name != "tenant")
        return cls(tenant=getattr(row, TENANT_COLUMN), **{name: getattr(row, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Returns the event as JSON, for a queue."""
        texts = {"id": str(self.id), "tenant": str(self.tenant), "added_at": self.added_at.isoformat()}
        return {name: texts.get(name, getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Returns the event that ``to_dict`` wrote."""
        ids = {name: uuid.UUID(facts[name]) for name in ("id", "tenant")}
        return cls(**{**facts, **ids, "added_at": datetime.datetime.fromisoformat(facts["added_at"])})


def event_columns(table: str) -> list[SchemaItem]:
    """Returns what the table of events has beside the tenant."""
    return [
        Column("id", Uuid(), primary_key=True, default=uuid7),
        Column("topic", String(255), nullable=False),
        Column("key", String(255)),
        Column("payload", JSONDocument, nullable=False),
        Column("headers", JSONDocument, nullable=False),
        # Higher than every new event's that its transaction could see: what follows from an event comes after it.
        Column("position", BigInteger, nullable=False),
        Column("number", BigInteger, unique=True),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("error", Text),
        Column("added_at", UTCDateTime, nullable=False),
        Column("ended_at", UTCDateTime),
        Index(f"ix_{table}_position", "state", "position"),
        Index(f"ix_{table}_number", "state", "number"),
    ]


def stream_columns() -> list[SchemaItem]:
    """Returns what the table of streams has beside the tenant: the last number given, and who delivers until when."""
    return [
        Column("name", String(64), primary_key=True),
        Column("number", BigInteger, nullable=False),
        Column("holder", Uuid()),
        Column("lease_until", UTCDateTime),
        Column("due_at", UTCDateTime),
    ]


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one outbox."""

    events: Table
    streams: Table
