"""What the helpdesk stands on below: the audit of what is done, and the outbox of what others are to be told."""

from __future__ import annotations

from tenantry.audit import Audit
from tenantry.audit.entries import declare
from tenantry.models.behaviours import OnMetadata
from tenantry.outbox import Outbox
from tenantry.outbox.events import event_columns, stream_columns
from tenantry.packs.helpdesk.base import HelpdeskBase
from tenantry.tenancy import Tenancy


class Behaviours:
    """The behaviours of one tenancy of the helpdesk; made right after it."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.audit = Audit(tenancy)
        self.outbox = Outbox(tenancy)


def _declare_tables(models: OnMetadata) -> None:
    declare(models, "audit_log", "audit_heads")
    models.table("outbox_events", *event_columns("outbox_events"), behaviour="Outbox")
    models.table("outbox_streams", *stream_columns(), behaviour="Outbox")


# From the start, whether a process makes the behaviours or not: the migrations hold their tables too, and two
# tenancies of one process have the same.
_declare_tables(OnMetadata(HelpdeskBase.metadata))
