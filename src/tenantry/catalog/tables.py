"""The catalog's tables; on PostgreSQL in schema ``tenantry``, on SQLite in a file of their own."""

from __future__ import annotations

import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect

CATALOG_SCHEMA: Final = "tenantry"
VERSION: Final = 3
OLDEST_READABLE: Final = VERSION - 1


class Moment(TypeDecorator[datetime.datetime]):
    """An aware time in UTC; SQLite stores it without its zone, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        return value.astimezone(datetime.UTC) if value else None

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        return value.replace(tzinfo=datetime.UTC) if value and value.tzinfo is None else value


def now() -> datetime.datetime:
    """Returns the present as an aware time in UTC."""
    return datetime.datetime.now(datetime.UTC)


def moment(connection: Connection, seconds: float = 0.0) -> Any:
    """Returns the catalog's own time, so that machines whose clocks differ agree; SQLite's is this machine's."""
    ahead = datetime.timedelta(seconds=seconds)
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) + ahead
    return now() + ahead


Document: Final = JSON().with_variant(JSONB(), "postgresql")

metadata: Final = MetaData(schema=CATALOG_SCHEMA)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("settings", Document, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
    Index("ix_tenants_status", "status"),
)

identities = Table(
    "identities",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("tenant_id", ForeignKey(tenants.c.id), nullable=False, index=True),
)

servers = Table(
    "servers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("location", Text, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("tenant_id", ForeignKey(tenants.c.id), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("server", Text, nullable=False),
    Column("isolation", Text, nullable=False),
    Column("physical", Text, nullable=False),
    UniqueConstraint("server", "isolation", "physical", "tenant_id"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant_id", Uuid, nullable=False, index=True),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("holder", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("detail", Document, nullable=False),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
)

operator_log = Table(
    "operator_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Moment, nullable=False, default=now),
    Column("login", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

warm = Table(
    "warm",
    metadata,
    # The tenant's to come.
    Column("id", Uuid, primary_key=True),
    Column("server", Text, nullable=False),
    Column("isolation", Text, nullable=False),
    Column("physical", Text, nullable=False),
    # None where no migrations are kept.
    Column("head", Text),
    Column("state", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("created_at", Moment, nullable=False, default=now),
    Index("ix_warm_place", "server", "isolation", "state"),
)

fleet_runs = Table(
    "fleet_runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("verb", Text, nullable=False),
    Column("history", Text, nullable=False),
    # None is before the first revision.
    Column("target", Text),
    Column("state", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False, default=""),
    Column("stage", Integer, nullable=False),
    Column("options", Document, nullable=False),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
)

fleet_work = Table(
    "fleet_work",
    metadata,
    Column("run_id", ForeignKey(fleet_runs.c.id), primary_key=True),
    Column("home", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("server", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("physical", Text, nullable=False),
    Column("tenant_id", Uuid, index=True),
    Column("ring", Text, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("target", Text),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    # How often it was claimed at all; attempts are counted anew when a run is resumed.
    Column("claimed", Integer, nullable=False, default=0),
    Column("due_at", Moment, nullable=False, default=now),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("before", Text),
    Column("after", Text),
    Column("touched", Document, nullable=False, default=dict),
    Column("error", Text),
    Column("holder", Text),
    # One call that works on a run; a process may make several at once.
    Column("worker", Uuid),
    Column("lease_until", Moment),
    Index("ix_fleet_work_waiting", "run_id", "state", "stage", "number"),
)

# What follows names tenants that may be gone, or not be here: none of it refers to the list of tenants.
archives = Table(
    "archives",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    # Where it is kept, without a password, and under which name there.
    Column("store", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    # The moment whose rows it holds.
    Column("taken_at", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("revision", Text),
    # The data key it is encrypted under; None when it is only signed.
    Column("key_id", Uuid),
    Column("verified_at", Moment),
    # Why the last look at it failed.
    Column("error", Text),
    # Kept whatever the retention says.
    Column("pinned", Boolean, nullable=False, default=False),
    Column("detail", Document, nullable=False, default=dict),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
    UniqueConstraint("store", "name"),
    Index("ix_archives_tenant", "tenant_id", "taken_at"),
)

tenant_keys = Table(
    "tenant_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False, index=True),
    Column("state", Text, nullable=False),
    # The data key, wrapped by a key of the ring; None once it is destroyed.
    Column("wrapped", Text),
    Column("created_at", Moment, nullable=False, default=now),
    Column("destroyed_at", Moment),
)
Index(
    "ix_tenant_keys_current",
    tenant_keys.c.tenant_id,
    unique=True,
    postgresql_where=tenant_keys.c.state == literal_column("'current'"),
    sqlite_where=tenant_keys.c.state == literal_column("'current'"),
)

schedules = Table(
    "schedules",
    metadata,
    # The nil UUID stands for every tenant that has no schedule of its own.
    Column("tenant_id", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    # Whether it was asked for by name, or came with the schedule of every tenant.
    Column("own", Boolean, nullable=False),
    Column("store", Text, nullable=False),
    # Both in seconds.
    Column("every", Float, nullable=False),
    Column("jitter", Float, nullable=False),
    Column("options", Document, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("began_at", Moment),
    Column("ended_at", Moment),
    Column("failures", Integer, nullable=False, default=0),
    Column("error", Text),
    Column("holder", Text),
    # One turn; a process may have several in hand.
    Column("worker", Uuid),
    Column("lease_until", Moment),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
    Index("ix_schedules_due", "state", "due_at"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False, index=True),
    # An HMAC of the person, and the name of the key that made it; None when the whole tenant was erased.
    Column("subject", Text),
    Column("keyed_by", Text),
    Column("state", Text, nullable=False),
    Column("certificate", Document),
    Column("detail", Document, nullable=False, default=dict),
    Column("created_at", Moment, nullable=False, default=now),
    Column("updated_at", Moment, nullable=False, default=now, onupdate=now),
)
