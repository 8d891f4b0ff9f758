"""What an audit consists of: its two tables, entries, and what is still to become one."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Index,
    Insert,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    Update,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import SessionTransaction

from tenantry.models import JSONDocument, UTCDateTime, is_append_only
from tenantry.models.behaviours import BEHAVIOUR, Declares

SUCCESS: Final = "success"
# What the audit says of itself.
PURGED: Final = "audit.purged"
REDACTED: Final = "audit.redacted"
RESTORED: Final = "audit.restored"
OWN_CATEGORY: Final = "audit"
_BEHAVIOUR: Final = "Audit"
EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# What an entry is about: a kind of thing, or one of them.
Resource: TypeAlias = str | tuple[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tenant's audit; what was redacted later is None."""

    tenant_id: uuid.UUID
    seq: int
    id: uuid.UUID
    recorded_at: datetime.datetime
    event_type: str
    category: str
    status: str
    description: str | None
    resource_type: str | None
    resource_id: str | None
    actor: str | None
    impersonator: str | None
    correlation_id: str | None
    changes: Mapping[str, Any] | None
    details: Mapping[str, Any] | None
    salt: str | None
    content_digest: str
    key_id: str
    previous_digest: str
    digest: str

    def __str__(self) -> str:
        return f"{self.seq} {self.recorded_at:%Y-%m-%d %H:%M:%S} {self.event_type} {self.status}: {self.description}"


NAMES: Final = tuple(field.name for field in fields(Entry))


@dataclass(slots=True)
class Draft:
    """What will be an entry once it is sealed; *scope* is the savepoint it was made in, *sealed_in* where it stands."""

    values: dict[str, Any]
    kept: bool
    scope: SessionTransaction | None
    sealed: bool = False
    sealed_in: SessionTransaction | None = None

    @property
    def id(self) -> uuid.UUID:
        """What the entry is known by before it has a place in the chain."""
        found: uuid.UUID = self.values["id"]
        return found


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's chain."""

    seq: int
    digest: str
    recorded_at: datetime.datetime


@dataclass(frozen=True)
class Tables:
    """The entries, and one row per tenant that says where its chain ends and that writers take turns at."""

    entries: Table
    heads: Table
    chain: str

    def own_head(self, tenant: uuid.UUID) -> ColumnElement[bool]:
        """Returns what is true of the row where the tenant's chain ends."""
        return and_(self.heads.c.tenant_id == tenant, self.heads.c.chain == self.chain)

    # Made once, as making them anew costs as much as running them; the tenant is their parameter.

    @functools.cached_property
    def lock(self) -> Select[Any]:
        """What reads a tenant's head and locks it; on SQLite the transaction holds the file already."""
        return (
            select(self.heads.c.seq, self.heads.c.digest, self.heads.c.recorded_at)
            .where(*self._head_of_parameter())
            .with_for_update()
        )

    @functools.cached_property
    def lock_and_tell_time(self) -> Select[Any]:
        """The same, with PostgreSQL's time."""
        return self.lock.add_columns(func.clock_timestamp().label("now"))

    @functools.cached_property
    def move(self) -> Update:
        """What moves a tenant's head on."""
        names = ("seq", "digest", "recorded_at")
        moved = {name: bindparam(f"new_{name}", type_=self.heads.c[name].type) for name in names}
        return update(self.heads).where(*self._head_of_parameter()).values(moved)

    @functools.cached_property
    def add_and_move(self) -> Insert:
        """What adds one entry and moves the head, in one message; PostgreSQL only."""
        return insert(self.entries).values(self._parameters()).add_cte(self.move.cte("moved"))

    def _parameters(self) -> dict[str, BindParameter[Any]]:
        # Under names that no column has, or SQLAlchemy would set the head's columns of the same names too.
        return {column.name: bindparam(f"of_{column.name}", type_=column.type) for column in self.entries.columns}

    def _head_of_parameter(self) -> tuple[ColumnElement[bool], ...]:
        tenant = bindparam("of_tenant_id", type_=self.heads.c.tenant_id.type)
        return self.heads.c.tenant_id == tenant, self.heads.c.chain == self.chain


def declare(models: Declares, table: str, heads: str) -> Tables:
    """Returns the audit's tables, added to the models of a tenancy."""
    return Tables(_entries(models, table), _heads(models, heads), table)


def is_entries(table: Table) -> bool:
    """Whether an audit keeps its entries in *table*."""
    return table.info.get(BEHAVIOUR) == _BEHAVIOUR and is_append_only(table)


def entry_of(row: Row[Any]) -> Entry:
    """Returns the entry that a row of the table is."""
    return Entry(*(getattr(row, name) for name in NAMES))


def _entries(models: Declares, name: str) -> Table:
    failures = text("status <> 'success'")
    return models.table(
        name,
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("id", Uuid(), nullable=False),
        Column("recorded_at", UTCDateTime(), nullable=False),
        Column("event_type", String, nullable=False),
        Column("category", String, nullable=False),
        Column("status", String, nullable=False),
        Column("description", Text),
        Column("resource_type", String),
        Column("resource_id", String),
        Column("actor", String),
        Column("impersonator", String),
        Column("correlation_id", String),
        Column("changes", JSONDocument()),
        Column("details", JSONDocument()),
        Column("salt", String(32)),
        Column("content_digest", String(64), nullable=False),
        Column("key_id", String, nullable=False),
        Column("previous_digest", String(64), nullable=False),
        Column("digest", String(64), nullable=False),
        UniqueConstraint("tenant_id", "id", name=f"uq_{name}_id"),
        Index(f"ix_{name}_time", "tenant_id", "recorded_at"),
        Index(f"ix_{name}_resource", "tenant_id", "resource_type", "resource_id"),
        Index(f"ix_{name}_failures", "tenant_id", "seq", postgresql_where=failures, sqlite_where=failures),
        behaviour=_BEHAVIOUR,
        tenantry_append_only=True,
    )


def _heads(models: Declares, name: str) -> Table:
    return models.table(
        name,
        Column("chain", String, primary_key=True),
        Column("seq", BigInteger, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("recorded_at", UTCDateTime(), nullable=False),
        behaviour=_BEHAVIOUR,
    )
