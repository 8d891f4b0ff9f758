"""The meetings of a tenancy: the behaviours they use, and what may be done with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tenantry.audit import Audit, Redactor
from tenantry.limits import Quota, Quotas, Rates
from tenantry.outbox import Outbox
from tenantry.packs.meetings.accounts import Accounts
from tenantry.packs.meetings.connections import Connections
from tenantry.packs.meetings.crm import CRM, Notes
from tenantry.packs.meetings.finding import know
from tenantry.packs.meetings.kept import AUDIT_HEADS, AUDIT_TABLE, RATES_TABLE
from tenantry.packs.meetings.models import CRMConnection, User
from tenantry.packs.meetings.processing import Processing
from tenantry.packs.meetings.workspaces import Workspaces
from tenantry.secrets import Secrets
from tenantry.tenancy import Tenancy
from tenantry.types import Outcomes
from tenantry.usage import Usage

if TYPE_CHECKING:
    from tenantry.packs.meetings.aio import AsyncMeetings


class Meetings:
    """The meetings of a tenancy of ``MeetingsBase``; make them right after it.

    *crms* write notes, by the provider's name; *secrets* reads the credentials that connections refer to.
    """

    name = "meetings"

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        crms: Mapping[str, CRM] | None = None,
        secrets: Secrets | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.tenancy = tenancy
        self.audit = Audit(tenancy, table=AUDIT_TABLE, heads=AUDIT_HEADS, redactor=redactor)
        self.rates = Rates(tenancy, table=RATES_TABLE)
        self.quotas = Quotas(tenancy, Quota("users", User), Quota("crm_connections", CRMConnection))
        self.usage = Usage(tenancy, unpriced=True)
        self.outbox = Outbox(tenancy)
        self.workspaces = Workspaces(tenancy, audit=self.audit, quotas=self.quotas)
        self.connections = Connections(self.audit)
        self.accounts = Accounts(self.audit)
        self.processing = Processing(self.audit, rates=self.rates, usage=self.usage, outbox=self.outbox)
        self.notes = Notes(tenancy, audit=self.audit, crms=dict(crms or {}), secrets=secrets or Secrets())
        self.notes.take_from(self.outbox)
        know(self)

    def __repr__(self) -> str:
        return f"Meetings({self.tenancy!r})"

    @cached_property
    def aio(self) -> AsyncMeetings:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.meetings.aio import AsyncMeetings  # noqa: PLC0415  # needs greenlet

        return AsyncMeetings(self)

    def prepare(self) -> Outcomes:
        """Holds every tenant to its plan, those too that were not made by ``workspaces.install``; safe to repeat.

        Raises: LoginRequired without a login that lists tenants.
        """
        return self.tenancy.each(self.workspaces.keep_to_plan)
