"""The helpdesk's HTTP routes: ``application(tenancy, [router(Helpdesk(tenancy))], …)`` serves them."""

from collections.abc import Mapping
from typing import Annotated, Any

from tenantry.errors import ExtraMissing, RecordNotFound
from tenantry.packs.helpdesk.models_knowledge import Article
from tenantry.packs.helpdesk.pack import Helpdesk
from tenantry.packs.helpdesk.repositories import (
    AgentRepository,
    CompanyRepository,
    ConversationRepository,
    TicketRepository,
    of_agent,
)
from tenantry.packs.helpdesk.repositories_knowledge import ArticleRepository, IntegratedObjectRepository
from tenantry.packs.helpdesk.words import ArticleStatus, TicketPriority, TicketStatus
from tenantry.repository import Query as Rows
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession

try:
    from fastapi import APIRouter, Depends, Query
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.helpdesk.http", extra="web") from error

from tenantry.packs.helpdesk.schemas import (
    AgentsOut,
    ArticleAnswer,
    ArticleIn,
    ArticlesOut,
    ArticleStep,
    Assignment,
    CompanyAnswer,
    ConversationAnswer,
    ConversationIn,
    ConversationsOut,
    ObjectAnswer,
    ObjectsOut,
    Order,
    Tags,
    TicketAnswer,
    TicketChange,
    TicketIn,
    TicketsOut,
    TicketStep,
)
from tenantry.web import get_tenant_context
from tenantry.web.bodies import Text
from tenantry.web.routes import Limit, Offset, SearchText, may, part, reading_of, run, writing_of


def router(pack: Helpdesk, *, prefix: str = "/api") -> APIRouter:
    """Returns the helpdesk's routes: each asks for a permission, and for the tenant that the request is bound to."""
    # First who asks, then what they may: a request without a token is a 401.
    routes = APIRouter(prefix=prefix, tags=["helpdesk"], dependencies=[Depends(get_tenant_context)])
    for add in (_tickets, _ticket, _ticket_steps, _conversations, _people, _articles, _objects):
        add(routes, pack)
    return routes


def _tickets(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)
    writing = writing_of(pack.tenancy)

    @routes.get("/tickets", dependencies=may("tickets:read"), summary="The company's tickets, the latest first")
    async def list_tickets(
        limit: Limit = 20,
        offset: Offset = 0,
        status: Annotated[list[TicketStatus] | None, Query()] = None,
        priority: Annotated[list[TicketPriority] | None, Query()] = None,
        agent_id: Annotated[Text | None, Query(max_length=100)] = None,
        q: SearchText = "",
        order_by: Order = "-created_at",
        db: AsyncTenantSession = reading,
    ) -> TicketsOut:
        given = {"status": status, "priority": priority, "agent__agent_id": agent_id}
        return TicketsOut(
            **await run(db, lambda s: _part("tickets", _matching(s, q, given).order_by(order_by), limit, offset))
        )

    @routes.post("/tickets", status_code=201, dependencies=may("tickets:create"), summary="Open a ticket")
    async def create_ticket(new: TicketIn, db: AsyncTenantSession = writing) -> TicketAnswer:
        return TicketAnswer.model_validate(
            {"ticket": await run(db, lambda s: pack.tickets.open(s, new.given()).to_dict())}
        )


def _ticket(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)
    writing = writing_of(pack.tenancy)

    @routes.get("/tickets/{ticket_id}", dependencies=may("tickets:read"), summary="One ticket")
    async def get_ticket(ticket_id: str, db: AsyncTenantSession = reading) -> TicketAnswer:
        found = await run(db, lambda s: TicketRepository(s).get_by_ticket_id(ticket_id).to_dict())
        return TicketAnswer.model_validate({"ticket": found})

    @routes.patch("/tickets/{ticket_id}", dependencies=may("tickets:update"), summary="Change a ticket's words")
    async def change_ticket(ticket_id: str, change: TicketChange, db: AsyncTenantSession = writing) -> TicketAnswer:
        found = await run(db, lambda s: pack.tickets.change(s, ticket_id, change.given()).to_dict())
        return TicketAnswer.model_validate({"ticket": found})

    @routes.delete("/tickets/{ticket_id}", status_code=204, dependencies=may("tickets:delete"), summary="Hide a ticket")
    async def delete_ticket(ticket_id: str, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda s: pack.tickets.delete(s, ticket_id))

    @routes.post("/tickets/{ticket_id}/restore", dependencies=may("tickets:delete"), summary="Bring a ticket back")
    async def restore_ticket(ticket_id: str, db: AsyncTenantSession = writing) -> TicketAnswer:
        found = await run(db, lambda s: pack.tickets.restore(s, ticket_id).to_dict())
        return TicketAnswer.model_validate({"ticket": found})


def _ticket_steps(routes: APIRouter, pack: Helpdesk) -> None:
    writing = writing_of(pack.tenancy)

    @routes.post("/tickets/{ticket_id}/steps", dependencies=may("tickets:update"), summary="Take a ticket's next step")
    async def step_ticket(ticket_id: str, step: TicketStep, db: AsyncTenantSession = writing) -> TicketAnswer:
        found = await run(db, lambda s: pack.tickets.take(s, ticket_id, step.status).to_dict())
        return TicketAnswer.model_validate({"ticket": found})

    @routes.post(
        "/tickets/{ticket_id}/assignment", dependencies=may("tickets:update"), summary="Give a ticket to an agent"
    )
    async def assign_ticket(ticket_id: str, to: Assignment, db: AsyncTenantSession = writing) -> TicketAnswer:
        found = await run(db, lambda s: pack.tickets.assign(s, ticket_id, to.agent_id).to_dict())
        return TicketAnswer.model_validate({"ticket": found})

    @routes.post("/tickets/{ticket_id}/tags", dependencies=may("tickets:update"), summary="Tag a ticket")
    async def tag_ticket(ticket_id: str, tags: Tags, db: AsyncTenantSession = writing) -> TicketAnswer:
        found = await run(db, lambda s: pack.tickets.tag(s, ticket_id, *tags.names).to_dict())
        return TicketAnswer.model_validate({"ticket": found})


def _conversations(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)
    writing = writing_of(pack.tenancy)

    @routes.get("/tickets/{ticket_id}/conversations", dependencies=may("conversations:read"), summary="What was said")
    async def list_said(
        ticket_id: str, limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> ConversationsOut:
        return ConversationsOut(**await run(db, lambda s: _part("conversations", _said(s, ticket_id), limit, offset)))

    @routes.post(
        "/tickets/{ticket_id}/conversations",
        status_code=201,
        dependencies=may("conversations:create"),
        summary="Say something about a ticket",
    )
    async def say(ticket_id: str, said: ConversationIn, db: AsyncTenantSession = writing) -> ConversationAnswer:
        given = said.given()
        found = await run(db, lambda s: pack.tickets.say(s, ticket_id, given.pop("content"), **given).to_dict())
        return ConversationAnswer.model_validate({"conversation": found})

    @routes.get("/conversations", dependencies=may("conversations:read"), summary="Search what was said")
    async def search_said(
        q: SearchText = "", limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> ConversationsOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = ConversationRepository(session).query().search(q, "content").order_by("-created_at")
            return _part("conversations", found, limit, offset)

        return ConversationsOut(**await run(db, read))


def _people(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)

    @routes.get("/company", dependencies=may("companies:read"), summary="The company itself")
    async def get_company(db: AsyncTenantSession = reading) -> CompanyAnswer:
        return CompanyAnswer.model_validate({"company": await run(db, _company)})

    @routes.get("/agents", dependencies=may("agents:read"), summary="The company's agents")
    async def list_agents(limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading) -> AgentsOut:
        agents = await run(db, lambda s: _part("agents", AgentRepository(s).query().order_by("name"), limit, offset))
        return AgentsOut(**agents)


def _articles(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)
    writing = writing_of(pack.tenancy)

    @routes.get("/articles", dependencies=may("articles:read"), summary="Published articles")
    async def list_articles(
        q: SearchText = "", limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> ArticlesOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = ArticleRepository(session).query().search(q, ["title", "description"])
            published = found.filter_by(status=ArticleStatus.PUBLISHED).order_by("-published_at")
            return _part("articles", published, limit, offset)

        return ArticlesOut(**await run(db, read))

    @routes.get("/articles/{article_id}", dependencies=may("articles:read"), summary="Read a published article")
    async def read_article(article_id: str, db: AsyncTenantSession = writing) -> ArticleAnswer:
        return ArticleAnswer.model_validate(
            {"article": await run(db, lambda s: pack.articles.read(s, article_id).to_dict())}
        )

    @routes.post("/articles", status_code=201, dependencies=may("articles:create"), summary="Write an article")
    async def create_article(new: ArticleIn, db: AsyncTenantSession = writing) -> ArticleAnswer:
        made = await run(db, lambda s: ArticleRepository(s).create(Article(**new.given())).to_dict())
        return ArticleAnswer.model_validate({"article": made})

    @routes.post("/articles/{article_id}/steps", dependencies=may("articles:update"), summary="Take its next step")
    async def step_article(article_id: str, step: ArticleStep, db: AsyncTenantSession = writing) -> ArticleAnswer:
        found = await run(db, lambda s: pack.articles.take(s, article_id, step.status).to_dict())
        return ArticleAnswer.model_validate({"article": found})


def _objects(routes: APIRouter, pack: Helpdesk) -> None:
    reading = reading_of(pack.tenancy)
    writing = writing_of(pack.tenancy)

    @routes.get("/objects", dependencies=may("objects:read"), summary="Search objects of every kind")
    async def list_objects(
        q: SearchText = "", limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading
    ) -> ObjectsOut:
        def read(session: TenantSession) -> dict[str, Any]:
            found = IntegratedObjectRepository(session).query().search(q, ["title", "content", "summary"])
            return _part("objects", found.order_by("-created_at"), limit, offset)

        return ObjectsOut(**await run(db, read))

    @routes.post(
        "/tickets/{ticket_id}/object", dependencies=may("objects:create"), summary="Bring a ticket among objects"
    )
    async def integrate_ticket(ticket_id: str, db: AsyncTenantSession = writing) -> ObjectAnswer:
        def integrate(session: TenantSession) -> dict[str, Any]:
            ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
            return pack.objects.integrate(session, ticket).to_dict()

        return ObjectAnswer.model_validate({"object": await run(db, integrate)})


def _matching(session: TenantSession, text: str, given: Mapping[str, Any]) -> Rows[Any]:
    filters = {name: value for name, value in given.items() if value is not None}
    agent = filters.pop("agent__agent_id", None)
    found = TicketRepository(session).query().search(text, ["subject", "description"]).filter_by(**filters)
    return found if agent is None else found.where(of_agent(agent))


def _said(session: TenantSession, ticket_id: str) -> Rows[Any]:
    ticket = TicketRepository(session).get_by_ticket_id(ticket_id)
    found = ConversationRepository(session).query()
    return found.filter_by(ticket_id=ticket.ticket_id, platform=ticket.platform).order_by("created_at")


def _company(session: TenantSession) -> dict[str, Any]:
    found = CompanyRepository(session).get_own()
    if found is None:
        raise RecordNotFound(model="Company")
    return found.to_dict()


def _part(name: str, rows: Rows[Any], limit: int, offset: int) -> dict[str, Any]:
    return part(rows, limit, offset, name=name, shown=lambda row: row.to_dict())
