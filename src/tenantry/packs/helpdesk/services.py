"""What is done at the desk, step by step: each call is part of the caller's transaction, recorded and told.

The methods take a tenant's session first; ``await session.run_sync(desk.tickets.resolve, "t-1")`` awaits one.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import update

from tenantry.errors import RecordNotFound
from tenantry.models.columns import utc_now
from tenantry.packs.helpdesk.behaviours import Behaviours
from tenantry.packs.helpdesk.lifecycles import ARTICLES, SYNC_JOBS, TICKETS
from tenantry.packs.helpdesk.models import Agent, Conversation, Ticket
from tenantry.packs.helpdesk.models_knowledge import Article, IntegratedObject, Summary
from tenantry.packs.helpdesk.models_running import ProcessingLog, SyncJob
from tenantry.packs.helpdesk.repositories import (
    AgentRepository,
    ConversationRepository,
    TagRepository,
    TicketRepository,
)
from tenantry.packs.helpdesk.repositories_knowledge import ArticleRepository, IntegratedObjectRepository
from tenantry.packs.helpdesk.words import ArticleStatus, AuthorType, TicketStatus, WorkStatus
from tenantry.session.core import TenantSession

OBJECT_CHANGED: Final = "helpdesk.object.changed"


class Service:
    """What the services have in common: each step is on the audit's record with the change that it is."""

    def __init__(self, behaviours: Behaviours) -> None:
        self.behaviours = behaviours

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _record(self, session: TenantSession, event: str, *, of: str, **details: Any) -> None:
        kind, _, step = event.partition(".")
        self.behaviours.audit.record(
            session,
            event_type=event,
            category="helpdesk",
            description=f"{kind} {of}: {step}",
            resource=(kind, of),
            details=details or None,
        )


class TicketService(Service):
    """The life of tickets, each found by the number that its platform gave it."""

    def open(self, session: TenantSession, given: Mapping[str, Any]) -> Ticket:
        """Returns a new ticket.

        Raises: UnknownField, CrossTenant, IllegalStep for a state that is none.
        """
        ticket = TicketRepository(session).create_ticket(given)
        self._record(session, "ticket.opened", of=ticket.ticket_id, priority=str(ticket.priority))
        return ticket

    def change(self, session: TenantSession, ticket_id: str, changes: Mapping[str, Any]) -> Ticket:
        """Returns the ticket with other words, priority or fields; its state is changed by its steps alone.

        Raises: RecordNotFound, UnknownField.
        """
        repository = TicketRepository(session)
        ticket = repository.update(repository.get_by_ticket_id(ticket_id), **changes)
        self._record(session, "ticket.changed", of=ticket_id, fields=sorted(changes))
        return ticket

    def take(self, session: TenantSession, ticket_id: str, status: str) -> Ticket:
        """Returns the ticket in another state; of two callers who race to the same, one takes the step.

        Raises: RecordNotFound, IllegalStep.
        """
        ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
        before = ticket.status
        cleared = {"resolved_at": None, "closed_at": None} if status == TicketStatus.OPEN else {}
        TICKETS.take(ticket, status, **cleared)
        self._record(session, f"ticket.{status}", of=ticket_id, before=str(before))
        return ticket

    def resolve(self, session: TenantSession, ticket_id: str) -> Ticket:
        """Returns the ticket resolved.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, ticket_id, TicketStatus.RESOLVED)

    def close(self, session: TenantSession, ticket_id: str) -> Ticket:
        """Returns the ticket closed.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, ticket_id, TicketStatus.CLOSED)

    def reopen(self, session: TenantSession, ticket_id: str) -> Ticket:
        """Returns the ticket open again, as if it had been neither resolved nor closed.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, ticket_id, TicketStatus.OPEN)

    def assign(self, session: TenantSession, ticket_id: str, agent_id: str | None) -> Ticket:
        """Returns the ticket in the hands of the agent whom the platform calls so, or of nobody.

        Raises: RecordNotFound for a ticket or an agent.
        """
        ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
        ticket.agent = None if agent_id is None else _agent(session, agent_id)
        session.flush()
        self._record(session, "ticket.assigned", of=ticket_id, agent=agent_id)
        return ticket

    def say(
        self,
        session: TenantSession,
        ticket_id: str,
        content: str,
        *,
        author_type: str = AuthorType.AGENT,
        author_id: str | None = None,
        is_private: bool = False,
        body_html: str | None = None,
    ) -> Conversation:
        """Returns what is now said about a ticket; an agent's first answer is noted, a requester's word reopens it.

        Raises: RecordNotFound.
        """
        ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
        said = ConversationRepository(session).create(
            ticket_id=ticket.ticket_id,
            platform=ticket.platform,
            content=content,
            author_type=author_type,
            author_id=author_id,
            is_private=is_private,
            body_html=body_html,
        )
        if author_type == AuthorType.AGENT and not is_private and ticket.first_responded_at is None:
            ticket.first_responded_at = said.created_at
        if author_type == AuthorType.REQUESTER and ticket.status != TicketStatus.OPEN:
            self.reopen(session, ticket_id)
        session.flush()
        return said

    def tag(self, session: TenantSession, ticket_id: str, *names: str) -> Ticket:
        """Returns the ticket with these tags beside those it has.

        Raises: RecordNotFound.
        """
        ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
        known = {tag.name for tag in ticket.tags}
        ticket.tags.extend(TagRepository(session).named(name) for name in dict.fromkeys(names) if name not in known)
        session.flush()
        return ticket

    def delete(self, session: TenantSession, ticket_id: str) -> None:
        """Hides a ticket and what was said about it.

        Raises: RecordNotFound.
        """
        repository = TicketRepository(session)
        repository.delete(repository.get_by_ticket_id(ticket_id))
        self._record(session, "ticket.deleted", of=ticket_id)

    def restore(self, session: TenantSession, ticket_id: str) -> Ticket:
        """Returns a ticket that was hidden, with what was hidden with it.

        Raises: RecordNotFound.
        """
        repository = TicketRepository(session)
        hidden = repository.query().include_deleted().filter_by(ticket_id=ticket_id).one()
        ticket = repository.restore(hidden)
        self._record(session, "ticket.restored", of=ticket_id)
        return ticket


class ArticleService(Service):
    """The life of articles, each found by the platform's name for it."""

    def publish(self, session: TenantSession, article_id: str) -> Article:
        """Returns the article published.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, article_id, ArticleStatus.PUBLISHED)

    def withdraw(self, session: TenantSession, article_id: str) -> Article:
        """Returns the article as a draft again.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, article_id, ArticleStatus.DRAFT)

    def archive(self, session: TenantSession, article_id: str) -> Article:
        """Returns the article put away.

        Raises: RecordNotFound, IllegalStep.
        """
        return self.take(session, article_id, ArticleStatus.ARCHIVED)

    def read(self, session: TenantSession, article_id: str) -> Article:
        """Returns a published article and counts the view.

        Raises: RecordNotFound, for a draft too.
        """
        article = ArticleRepository(session).one(article_id=article_id, status=ArticleStatus.PUBLISHED)
        # Readers count at once, each in its own transaction.
        session.execute(update(Article).where(Article.id == article.id).values(views=Article.views + 1))
        session.refresh(article, ["views"])
        return article

    def take(self, session: TenantSession, article_id: str, status: str) -> Article:
        """Returns the article in another state.

        Raises: RecordNotFound, IllegalStep.
        """
        article = ArticleRepository(session).one(article_id=article_id)
        ARTICLES.take(article, status)
        self._record(session, f"article.{status}", of=article_id)
        return article


class SyncService(Service):
    """Runs that bring rows from a platform, which go on where they stopped."""

    def start(self, session: TenantSession, job_type: str, *, total: int = 0) -> SyncJob:
        """Returns a new run that is under way."""
        job = SyncJob(job_type=job_type, status=WorkStatus.RUNNING, total=total, started_at=utc_now())
        session.add(job)
        session.flush()
        self._record(session, "sync_job.running", of=str(job.id), job_type=job_type)
        return job

    def advance(
        self, session: TenantSession, job: SyncJob, *, processed: int = 0, failed: int = 0, cursor: str | None = None
    ) -> SyncJob:
        """Returns the run so much further; *cursor* says where it goes on."""
        counts = {"processed": SyncJob.processed + processed, "failed": SyncJob.failed + failed}
        changes = counts if cursor is None else {**counts, "cursor": cursor}
        session.execute(update(SyncJob).where(SyncJob.id == job.id).values(changes))
        session.refresh(job)
        return job

    def finish(self, session: TenantSession, job: SyncJob) -> SyncJob:
        """Returns the run done.

        Raises: IllegalStep.
        """
        return self._take(session, job, WorkStatus.DONE)

    def fail(self, session: TenantSession, job: SyncJob, error: str) -> SyncJob:
        """Returns the run failed, with the reason.

        Raises: IllegalStep.
        """
        return self._take(session, job, WorkStatus.FAILED, error=error)

    def cancel(self, session: TenantSession, job: SyncJob) -> SyncJob:
        """Returns the run given up.

        Raises: IllegalStep.
        """
        return self._take(session, job, WorkStatus.CANCELLED)

    def resume(self, session: TenantSession, job: SyncJob) -> SyncJob:
        """Returns a run that failed under way again, from its cursor.

        Raises: IllegalStep.
        """
        return self._take(session, job, WorkStatus.RUNNING, error=None, finished_at=None)

    def _take(self, session: TenantSession, job: SyncJob, status: str, **changes: Any) -> SyncJob:
        SYNC_JOBS.take(job, status, **changes)
        self._record(session, f"sync_job.{status}", of=str(job.id))
        return job


class ObjectService(Service):
    """Objects of every kind brought together; whoever keeps vectors of them is told of each change."""

    def integrate(self, session: TenantSession, row: Ticket | Article) -> IntegratedObject:
        """Returns the object that stands for a ticket or an article, as it now is; the commit tells of it."""
        found = IntegratedObjectRepository(session).store(_told_of(row))
        self.tell(session, found)
        return found

    def tell(self, session: TenantSession, found: IntegratedObject) -> None:
        """Has those who keep copies of an object told of it, once the transaction is committed."""
        self.behaviours.outbox.add(session, OBJECT_CHANGED, {"id": found.id}, key=found.id)

    def tell_unsynced(self, session: TenantSession, *, limit: int = 100) -> int:
        """Has those who keep copies told of objects that none has as they are, and returns of how many."""
        objects = IntegratedObjectRepository(session).get_unsynced(limit)
        for found in objects:
            self.tell(session, found)
        return len(objects)

    def summarise(
        self,
        session: TenantSession,
        object_id: str,
        text: str,
        *,
        model: str | None = None,
        language: str | None = None,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        quality_score: float | None = None,
    ) -> Summary:
        """Returns a new summary of an object, which is now the one that the object shows.

        Raises: RecordNotFound.
        """
        found = IntegratedObjectRepository(session).get_one(object_id)
        summary = Summary(
            summary_text=text,
            model=model,
            language=language,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            quality_score=quality_score,
        )
        found.summaries.append(summary)
        found.summary = text
        session.flush()
        return summary

    def log(
        self,
        session: TenantSession,
        found: IntegratedObject,
        *,
        step: str,
        status: str,
        message: str | None = None,
        took: datetime.timedelta | None = None,
    ) -> ProcessingLog:
        """Returns a new line of what is done with an object; it stays as it is written."""
        line = ProcessingLog(
            object_type=found.object_type,
            object_id=found.id,
            step=step,
            status=status,
            message=message,
            duration_ms=None if took is None else round(took.total_seconds() * 1000),
        )
        session.add(line)
        session.flush()
        return line


def _agent(session: TenantSession, agent_id: str) -> Agent:
    found = AgentRepository(session).get_by_agent_id(agent_id)
    if found is None:
        raise RecordNotFound(model="Agent")
    return found


def _told_of(row: Ticket | Article) -> dict[str, Any]:
    if isinstance(row, Ticket):
        facts = {"status": str(row.status), "priority": str(row.priority)}
        own, kind, title = row.ticket_id, "ticket", row.subject
    else:
        facts = {"status": str(row.status)}
        own, kind, title = row.article_id, "article", row.title
    told = {"original_id": own, "object_type": kind, "title": title, "content": row.description}
    return {**told, "platform": row.platform, "object_metadata": facts}
