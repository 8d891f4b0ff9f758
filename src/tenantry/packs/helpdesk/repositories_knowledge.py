"""The repositories of what the desk knows and how it runs; ``aio`` has their awaited faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from tenantry.errors import CrossTenant
from tenantry.packs.helpdesk.models import Company
from tenantry.packs.helpdesk.models_knowledge import (
    Article,
    Category,
    Folder,
    IntegratedObject,
    Summary,
    VectorLink,
)
from tenantry.packs.helpdesk.models_running import BackupRecord, ProcessingLog, SchemaVersion, SyncJob, TenantSetting
from tenantry.packs.helpdesk.repositories import made_or_found
from tenantry.packs.helpdesk.words import ArticleStatus, SyncStatus, WorkStatus
from tenantry.repository import Repository
from tenantry.search import by_words
from tenantry.session.core import tenant_id_of


class CategoryRepository(Repository[Category]):
    """The parts of the knowledge base."""


class FolderRepository(Repository[Folder]):
    """The folders that articles stand in."""


class ArticleRepository(Repository[Article]):
    """The answers that were written down."""

    def get_published(self, limit: int = 50) -> list[Article]:
        """Returns what everybody can read, the latest first.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(status=ArticleStatus.PUBLISHED, order_by="-published_at", limit=limit)

    def search_articles(self, query: str, *, limit: int = 50, drafts: bool = False) -> list[Article]:
        """Returns articles whose title or text holds *query*, whatever its case; with *drafts* those of any status.

        Where the tenancy has a ``Search`` of articles they are those with the words of *query*, the best first.

        Raises: InvalidPage for a limit below 0, SearchTextRefused.
        """
        narrowed = [] if drafts else [Article.status == ArticleStatus.PUBLISHED]
        by_rank = by_words(self.session, Article, query, limit=limit, where=narrowed)
        found = self.query().search(query, ["title", "description"]).where(*narrowed)
        return found.order_by("-created_at").limit(limit).all() if by_rank is None else by_rank


class IntegratedObjectRepository(Repository[IntegratedObject]):
    """Objects of every kind in one form."""

    def get_by_original(self, original_id: str, *, object_type: str = "ticket") -> IntegratedObject | None:
        """Returns the object that stands for what its platform calls so, or None."""
        return self.find(original_id=original_id, object_type=object_type)

    def store(self, data: Mapping[str, Any]) -> IntegratedObject:
        """Returns the object of these data, changed where it is there already, by kind and original id.

        Raises: UnknownField, CrossTenant.
        """
        own, kind = data["original_id"], data["object_type"]
        found, new = made_or_found(self, data, lambda: self.get_by_original(own, object_type=kind))
        if new:
            return found
        self._check_owner(data.get("tenant_id"))
        return self.update(found, **{name: value for name, value in data.items() if name not in ("id", "tenant_id")})

    def _check_owner(self, named: Any) -> None:
        """Lets data pass that name no tenant or this one, by its id or its company's name.

        Raises: CrossTenant.
        """
        own = tenant_id_of(self.session)
        name = self.session.scalar(select(Company.name)) if isinstance(named, str) else None
        if named not in (None, own, str(own), name):
            raise CrossTenant(model="IntegratedObject", tenant=own)

    def search_objects(self, query: str, *, object_type: str | None = None, limit: int = 50) -> list[IntegratedObject]:
        """Returns objects whose title, content or summary holds *query*, whatever its case.

        Raises: InvalidPage for a limit below 0.
        """
        found = self.query().search(query, ["title", "content", "summary"])
        if object_type is not None:
            found = found.filter_by(object_type=object_type)
        return found.order_by("-created_at").limit(limit).all()

    def get_unsynced(self, limit: int = 100) -> list[IntegratedObject]:
        """Returns objects of which no store has a vector as they are.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(embedding_status__ne=SyncStatus.SYNCED, order_by="updated_at", limit=limit)


class SummaryRepository(Repository[Summary]):
    """What models wrote about objects."""

    def get_latest(self, object_id: str) -> Summary | None:
        """Returns the newest summary of an object, or None."""
        return self.query().filter_by(object_id=object_id).order_by("-created_at").first()


class VectorLinkRepository(Repository[VectorLink]):
    """Where vector stores keep objects."""

    def get_by_vector(self, collection: str, vector_id: str) -> VectorLink | None:
        """Returns the link to a vector, or None."""
        return self.find(collection=collection, vector_id=vector_id)

    def get_failed(self) -> list[VectorLink]:
        """Returns the links that no store took, those tried least first."""
        return self.list(status=SyncStatus.FAILED, order_by="attempts")


class SyncJobRepository(Repository[SyncJob]):
    """The runs that bring rows from platforms."""

    def get_unfinished(self) -> list[SyncJob]:
        """Returns the runs that have not come to their end, the latest first."""
        return self.list(status=[WorkStatus.PENDING, WorkStatus.RUNNING], order_by="-created_at")


class ProcessingLogRepository(Repository[ProcessingLog]):
    """What was done with objects, step by step."""

    def get_by_object(self, object_id: str) -> list[ProcessingLog]:
        """Returns the steps of one object in the order they were done."""
        return self.list(object_id=object_id, order_by="created_at")


class TenantSettingRepository(Repository[TenantSetting]):
    """The company's settings."""

    def get_value(self, key: str, default: Any = None) -> Any:
        """Returns what a setting says, or *default* where it is not set."""
        found = self.find(key=key)
        return default if found is None else found.value

    def set_value(
        self, key: str, value: Any, *, is_secret_ref: bool = False, platform: str | None = None
    ) -> TenantSetting:
        """Returns the setting with this value; a new one is of the company's platform, unless another is named.

        Raises: SecretRefused where it is to lead to a secret and does not.
        """
        said = {"value": value, "is_secret_ref": is_secret_ref}
        found, new = made_or_found(self, {"key": key, "platform": platform, **said}, lambda: self.find(key=key))
        return found if new else self.update(found, **said)


class SchemaVersionRepository(Repository[SchemaVersion]):
    """The migrations of the company's own rows."""

    def get_current(self) -> str | None:
        """Returns the version that the rows are at, or None before the first."""
        found = self.query().filter_by(success=True).order_by("-applied_at").first()
        return None if found is None else found.version


class BackupRecordRepository(Repository[BackupRecord]):
    """The company's backups."""

    def get_latest(self) -> BackupRecord | None:
        """Returns the newest backup that was done, or None."""
        return self.query().filter_by(status=WorkStatus.DONE).order_by("-started_at").first()
