"""What the tables of incidents have in common: a declarative base, a key, times, whose they are, and a correlation."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, String, Table, Uuid, event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, Session, declared_attr, mapped_column, object_session

from tenantry.ids import uuid7
from tenantry.models import AppendOnly, CreatedAt, JSONDocument, TenantOwned, Timestamps, UTCDateTime, Walled

_LONGEST: Final = 128


class Moment(UTCDateTime):
    """A point in time; one that says no zone is in UTC, as what ``utcnow()`` gives is."""

    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Returns the time as the database keeps it."""
        return super().process_bind_param(in_utc(value), dialect)


def in_utc(value: Any) -> Any:
    """Returns a time that says no zone as the same in UTC, anything else as it is."""
    naive = isinstance(value, datetime.datetime) and value.utcoffset() is None
    return value.replace(tzinfo=datetime.UTC) if naive else value


class IncidentsBase(DeclarativeBase):
    """The declarative base of incidents: ``Tenancy(url, models=IncidentsBase)``."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict: JSONDocument,
        dict[str, Any]: JSONDocument,
        datetime.datetime: Moment,
    }


class BaseModel(IncidentsBase):
    """The base of every model: ``id``, ``created_at`` and, where rows may change, ``updated_at``."""

    __abstract__ = True

    if TYPE_CHECKING:
        id: Mapped[uuid.UUID]
        created_at: Mapped[datetime.datetime]
        updated_at: Mapped[datetime.datetime]
    else:

        @declared_attr
        @classmethod
        def id(cls):
            # A tenant's tables have theirs from the wall's mixins.
            return (
                None
                if issubclass(cls, Walled)
                else mapped_column(Uuid, primary_key=True, default=uuid7, sort_order=-99)
            )

        created_at = CreatedAt.__dict__["created_at"]

        @declared_attr
        @classmethod
        def updated_at(cls):
            return None if issubclass(cls, AppendOnly) else Timestamps.__dict__["updated_at"].fget(cls)


class TenantMixin(TenantOwned):
    """Rows of one tenant: ``tenant_id`` is filled in, checked and walled, and refers to the tenant's own row."""

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        own = ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"])
        return super().__table_cls__(name, metadata, *items, own, **options)


class CorrelationMixin:
    """``correlation_id``: the request that a row came of, unless it is given, or else one of its own."""

    correlation_id: Mapped[str] = mapped_column(String(_LONGEST), index=True, sort_order=70)


@event.listens_for(CorrelationMixin, "before_insert", propagate=True)
def _correlate(_: Mapper[Any], __: Connection, row: CorrelationMixin) -> None:
    if row.correlation_id is None:
        row.correlation_id = _correlation_of(object_session(row))


def _correlation_of(session: Session | None) -> str:
    asked = None if session is None else session.info.get("correlation_id")
    return uuid7().hex if asked is None else str(asked)[:_LONGEST]
