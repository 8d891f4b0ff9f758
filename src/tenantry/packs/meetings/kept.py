"""The seed's audit log and rate limits: its words over the tables of ``tenantry.audit`` and ``tenantry.limits``."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, Final, Self

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, column_property

from tenantry.audit.entries import Entry, declare
from tenantry.limits.rate_statements import rates_table
from tenantry.limits.rules import Limit, RateUsage, moment
from tenantry.models import TenantOwned
from tenantry.models.behaviours import OnMetadata
from tenantry.packs.meetings.base import MeetingsBase
from tenantry.packs.meetings.finding import of_tenant, pack_of

AUDIT_TABLE: Final = "audit_logs"
AUDIT_HEADS: Final = "audit_log_heads"
RATES_TABLE: Final = "api_rate_limits"

_MODELS: Final = OnMetadata(MeetingsBase.metadata)
_ENTRIES: Final = declare(_MODELS, AUDIT_TABLE, AUDIT_HEADS).entries
_RATES: Final = rates_table(_MODELS, RATES_TABLE)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_EPOCH: Final = moment(0)
_PERIODS: Final = {60: "minute", 3_600: "hourly", 86_400: "daily", 604_800: "weekly"}


class AuditLog(TenantOwned, MeetingsBase):
    """What was done in the workspace: the entries of the pack's ``Audit``, which nobody changes."""

    __table__ = _ENTRIES

    seq: Mapped[int] = column_property(_ENTRIES.c.seq)
    created_at: Mapped[datetime.datetime] = column_property(_ENTRIES.c.recorded_at)
    event_category: Mapped[str] = column_property(_ENTRIES.c.category)
    action_description: Mapped[str | None] = column_property(_ENTRIES.c.description)
    user_id: Mapped[str | None] = column_property(_ENTRIES.c.actor)
    prev_hash: Mapped[str] = column_property(_ENTRIES.c.previous_digest)
    hash: Mapped[str] = column_property(_ENTRIES.c.digest)
    details: Mapped[dict[str, Any] | None] = column_property(_ENTRIES.c.details)

    @property
    def ip_address(self) -> str | None:
        """Where the call came from, without what tells one machine of a network from another."""
        return (self.details or {}).get("ip_address")

    @property
    def user_agent(self) -> str | None:
        """The program that called."""
        return (self.details or {}).get("user_agent")

    @property
    def error_message(self) -> str | None:
        """What went wrong."""
        return (self.details or {}).get("error_message")

    @classmethod
    def log_event(cls, session: Session, tenant_id: uuid.UUID, **event: Any) -> None:
        """Records an event with the session's transaction; one that did not succeed is kept whatever becomes of that.

        *event* is what ``Audit.log_event`` takes: ``event_type``, ``event_category``, ``action_description``,
        ``status``, ``user_id``, ``resource_type``, ``resource_id``, ``ip_address``, ``user_agent`` and others.

        Raises: CrossTenant for another tenant than the session's, AuditRefused.
        """
        own = of_tenant(session, tenant_id, cls)
        pack_of(own).audit.log_event(own, tenant_id=tenant_id, **event)

    @classmethod
    def get_tenant_logs(cls, session: Session, tenant_id: uuid.UUID, days: float = 7, limit: int = 100) -> list[Self]:
        """Returns the newest entries of the last days.

        Raises: CrossTenant for another tenant than the session's.
        """
        own = of_tenant(session, tenant_id, cls)
        return cls._rows(own, pack_of(own).audit.get_tenant_logs(own, tenant_id, days=days, limit=limit))

    @classmethod
    def get_recent_failures(
        cls, session: Session, tenant_id: uuid.UUID, hours: float = 24, limit: int = 100
    ) -> list[Self]:
        """Returns the newest entries of the last hours that did not succeed.

        Raises: CrossTenant for another tenant than the session's.
        """
        own = of_tenant(session, tenant_id, cls)
        return cls._rows(own, pack_of(own).audit.get_recent_failures(own, tenant_id, hours=hours, limit=limit))

    @classmethod
    def _rows(cls, session: Session, entries: list[Entry]) -> list[Self]:
        found = select(cls).where(cls.seq.in_([entry.seq for entry in entries])).order_by(cls.seq.desc())
        return list(session.scalars(found))


class APIRateLimit(TenantOwned, MeetingsBase):
    """How much of a resource the workspace has used in a period: the rows of the pack's ``Rates``."""

    __table__ = _RATES

    resource_type: Mapped[str] = column_property(_RATES.c.resource)
    rule: Mapped[str] = column_property(_RATES.c.rule)
    used: Mapped[int] = column_property(_RATES.c.used)
    until: Mapped[int] = column_property(_RATES.c.until)
    seen: Mapped[int] = column_property(_RATES.c.seen)

    @property
    def limit_period(self) -> str:
        """The period, by name where it has one."""
        seconds = self._span // 1_000_000
        return _PERIODS.get(seconds, f"{seconds} s")

    @property
    def limit_value(self) -> int | None:
        """How much may be used in a period, as the call said that gave this row; the table does not hold it."""
        return vars(self).get("_limit_value")

    @property
    def current_count(self) -> int:
        """How much was used of the period in which somebody asked last."""
        return self.used if self.until > self.seen else 0

    @property
    def period_start(self) -> datetime.datetime:
        """When that period began."""
        return self.period_end - self._span * _MICROSECOND

    @property
    def period_end(self) -> datetime.datetime:
        """When that period ends."""
        return moment(self.until)

    @classmethod
    def check_limit(
        cls, session: Session, tenant_id: uuid.UUID, resource_type: str, limit_period: str, limit_value: int
    ) -> tuple[bool, Self]:
        """Says whether one more would be granted in this period, and how far the limit is used; takes nothing.

        Raises: CrossTenant for another tenant than the session's, ConfigurationError for what is no limit.
        """
        own = of_tenant(session, tenant_id, cls)
        rates = pack_of(own).rates
        allowed, usage = rates.check_limit(own, resource_type, limit_period=limit_period, limit_value=limit_value)
        return allowed, cls._told(usage)

    @classmethod
    def increment_usage(
        cls, session: Session, tenant_id: uuid.UUID, resource_type: str, limit_period: str, limit_value: int
    ) -> tuple[bool, Self]:
        """Takes one if it is there, and says whether it was and how far the limit is used now; only this binds.

        Raises: CrossTenant for another tenant than the session's, ConfigurationError for what is no limit.
        """
        own = of_tenant(session, tenant_id, cls)
        rates = pack_of(own).rates
        allowed, usage = rates.increment_usage(own, resource_type, limit_period=limit_period, limit_value=limit_value)
        return allowed, cls._told(usage)

    @property
    def _span(self) -> int:
        return int(self.rule.rpartition("/")[2])

    @classmethod
    def _told(cls, usage: RateUsage) -> Self:
        until = (usage.period_end - _EPOCH) // _MICROSECOND
        rule = Limit(usage.limit_value, per=usage.limit_period).key
        row = cls(resource_type=usage.resource_type, rule=rule, used=usage.current_count, until=until, seen=0)
        vars(row)["_limit_value"] = usage.limit_value
        return row
