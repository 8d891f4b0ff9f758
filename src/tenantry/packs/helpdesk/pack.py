"""The helpdesk over one tenancy: its behaviours and services, and what a company begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tenantry.packs.helpdesk.behaviours import Behaviours
from tenantry.packs.helpdesk.models_knowledge import Category, Folder
from tenantry.packs.helpdesk.repositories import CompanyRepository, TicketFieldRepository
from tenantry.packs.helpdesk.repositories_knowledge import CategoryRepository
from tenantry.packs.helpdesk.services import OBJECT_CHANGED, ArticleService, ObjectService, SyncService, TicketService
from tenantry.packs.helpdesk.vectors import VectorSync
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

# The Alembic scripts: ``Config(migrations=MIGRATIONS)``.
MIGRATIONS: Final = str(Path(__file__).parent / "migrations")

_FIELDS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "browser", "label": "Browser", "field_type": "text"},
    {"name": "product", "label": "Product", "field_type": "text"},
    {"name": "impact", "label": "Impact", "field_type": "choice", "choices": ["one person", "several", "everybody"]},
)


class Helpdesk:
    """The helpdesk of one tenancy; make it right after the tenancy.

    Raises: ConfigurationError after the tenancy has opened a connection.
    """

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.behaviours = Behaviours(tenancy)
        self.audit, self.outbox = self.behaviours.audit, self.behaviours.outbox
        self.tickets = TicketService(self.behaviours)
        self.articles = ArticleService(self.behaviours)
        self.sync_jobs = SyncService(self.behaviours)
        self.objects = ObjectService(self.behaviours)
        self.outbox.handler(OBJECT_CHANGED)(VectorSync(tenancy).follow)

    def __repr__(self) -> str:
        return f"Helpdesk({self.tenancy!r})"

    def prepare(self, key: TenantKey) -> bool:
        """Gives a company the ticket fields and the category that a desk begins with, once, and says whether it did.

        Raises: as ``Tenancy.session``.
        """
        with self.tenancy.transaction(key) as session:
            return begin(session)


def begin(session: TenantSession) -> bool:
    """Writes what a desk begins with where it is not there; one of a tenancy's ``seeds`` once the company stands."""
    fields, categories = TicketFieldRepository(session), CategoryRepository(session)
    if CompanyRepository(session).get_own() is None or fields.exists():
        return False
    fields.bulk_create({**field, "position": place} for place, field in enumerate(_FIELDS))
    categories.create(Category(name="General", folders=[Folder(name="Questions and answers")]))
    return True
