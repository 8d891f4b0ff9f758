"""What a workspace may have under its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tenantry.limits import Limit
from tenantry.packs.meetings.words import PlanTier

MEETINGS_PROCESSED: Final = "meetings_processed"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many meetings may be processed in a day, and how many users and CRM connections there may be; None is all."""

    meetings_a_day: int
    users: int | None = None
    crm_connections: int | None = None

    @property
    def meetings(self) -> Limit:
        """The limit of meetings, as rates take it."""
        return Limit(self.meetings_a_day, per="daily")


PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        PlanTier.FREE: Plan(meetings_a_day=10, users=5, crm_connections=1),
        PlanTier.PRO: Plan(meetings_a_day=100, users=50, crm_connections=3),
        PlanTier.ENTERPRISE: Plan(meetings_a_day=10_000),
    }
)
