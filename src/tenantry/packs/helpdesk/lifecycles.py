"""Which step may follow which: tickets, articles, synchronisations, backups."""

from __future__ import annotations

from typing import Final

from tenantry.models import Lifecycle
from tenantry.packs.helpdesk.models import Ticket
from tenantry.packs.helpdesk.models_knowledge import Article
from tenantry.packs.helpdesk.models_running import BackupRecord, SyncJob
from tenantry.packs.helpdesk.words import ArticleStatus, TicketStatus, WorkStatus

# A ticket comes in any state: platforms bring those that are closed too.
TICKETS: Final = Lifecycle(
    Ticket.status,
    {
        TicketStatus.OPEN: [TicketStatus.PENDING, TicketStatus.RESOLVED, TicketStatus.CLOSED],
        TicketStatus.PENDING: [TicketStatus.OPEN, TicketStatus.RESOLVED, TicketStatus.CLOSED],
        TicketStatus.RESOLVED: [TicketStatus.OPEN, TicketStatus.CLOSED],
        TicketStatus.CLOSED: [TicketStatus.OPEN],
    },
    stamps={TicketStatus.RESOLVED: "resolved_at", TicketStatus.CLOSED: "closed_at"},
)

ARTICLES: Final = Lifecycle(
    Article.status,
    {
        ArticleStatus.DRAFT: [ArticleStatus.PUBLISHED, ArticleStatus.ARCHIVED],
        ArticleStatus.PUBLISHED: [ArticleStatus.DRAFT, ArticleStatus.ARCHIVED],
        ArticleStatus.ARCHIVED: [ArticleStatus.DRAFT],
    },
    stamps={ArticleStatus.PUBLISHED: "published_at"},
)

_ENDS: Final[dict[str, str]] = {
    WorkStatus.DONE: "finished_at",
    WorkStatus.FAILED: "finished_at",
    WorkStatus.CANCELLED: "finished_at",
}
_RUNNING: Final = [WorkStatus.DONE, WorkStatus.FAILED, WorkStatus.CANCELLED]

# What failed is taken up again from its cursor.
SYNC_JOBS: Final = Lifecycle(
    SyncJob.status,
    {
        WorkStatus.PENDING: [WorkStatus.RUNNING, WorkStatus.CANCELLED],
        WorkStatus.RUNNING: _RUNNING,
        WorkStatus.FAILED: [WorkStatus.RUNNING, WorkStatus.CANCELLED],
        WorkStatus.DONE: [],
        WorkStatus.CANCELLED: [],
    },
    first=[WorkStatus.PENDING, WorkStatus.RUNNING],
    stamps={WorkStatus.RUNNING: "started_at", **_ENDS},
)

BACKUPS: Final = Lifecycle(
    BackupRecord.status,
    {
        WorkStatus.PENDING: [WorkStatus.RUNNING, WorkStatus.CANCELLED],
        WorkStatus.RUNNING: _RUNNING,
        WorkStatus.FAILED: [],
        WorkStatus.DONE: [],
        WorkStatus.CANCELLED: [],
    },
    first=[WorkStatus.PENDING, WorkStatus.RUNNING],
    stamps={WorkStatus.RUNNING: "started_at", **_ENDS},
)
