"""An application on FastAPI with a route for everything that the edge promises, sync and async alike."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import fastapi
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import select, text

from tenantry import AsyncTenantSession, Tenancy, TenantSession
from tenantry.audit import Audit
from tenantry.errors import KillSwitchActive, RecordNotFound, TenantMoving
from tenantry.idempotency import Idempotency
from tenantry.limits import KillSwitches, Limit, Rates
from tenantry.repository import Repository
from tenantry.web import (
    TenancyMiddleware,
    TenantContext,
    answer_invalid_requests,
    get_tenant_context,
    idempotent,
    rate_limit,
    request_context,
    request_session_async,
    tenant_session,
    tenant_transaction,
)
from tenantry.web.context import carry

from .models import Ticket

RATE = Limit(3, per=3600)


class Parts:
    """What the application is made of beside its tenancy."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.idempotency = Idempotency(tenancy)
        self.rates = Rates(tenancy, limits={"api": RATE})
        self.switches = KillSwitches(tenancy)
        self.audit = Audit(tenancy)


class NewTicket(BaseModel):
    subject: str
    stars: int = 0
    # What no application should take, so that what happens then can be seen.
    tenant_id: Any = None


class Tickets(Repository[Ticket]):
    pass


def application(parts: Parts, resolvers: Any, **options: Any) -> FastAPI:
    """Returns the application, its middleware included."""
    tenancy = parts.tenancy

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tenancy.aio.close()

    app = FastAPI(lifespan=lifespan)
    answer_invalid_requests(app)
    app.add_middleware(TenancyMiddleware, tenancy=tenancy, resolvers=resolvers, **options)
    add_reading(app, tenancy)
    add_lasting(app, tenancy)
    add_writing(app, tenancy)
    add_limits(app, parts)
    add_websocket(app, tenancy)
    return app


def add_reading(app: FastAPI, tenancy: Tenancy) -> None:
    Db = Annotated[AsyncTenantSession, Depends(tenant_session(tenancy))]  # noqa: N806  # as the docs write it
    SyncDb = Annotated[TenantSession, Depends(tenant_session(tenancy, sync=True))]  # noqa: N806

    def set_another() -> None:
        # What C085 is about: in a thread of its own, and against the rules.
        carry(TenantContext(correlation_id="x", found=tenancy.tenants.get("far-sqlite-file")))

    @app.get("/who")
    async def who(
        context: Annotated[TenantContext, Depends(get_tenant_context)],
    ) -> dict[str, Any]:
        return {
            "slug": context.tenant.slug,
            "actor": context.actor,
            "correlation_id": context.correlation_id,
        }

    @app.get("/greeting")
    async def greet(response: Response, context: Annotated[TenantContext, Depends(get_tenant_context)]) -> Any:
        response.headers["Cache-Control"] = "public, max-age=60"
        return {"slug": context.tenant.slug}

    @app.get("/open")
    async def open_to_all() -> dict[str, Any]:
        ambient = request_context()
        return {"ambient": ambient.found.slug if ambient and ambient.found else None}

    @app.get("/async")
    async def read(db: Db, context: Annotated[TenantContext, Depends(get_tenant_context)]) -> dict[str, Any]:
        return seen(context, db.tenant.slug, list(await db.scalars(select(Ticket.subject))))

    @app.get("/sync")
    def read_sync(db: SyncDb, context: Annotated[TenantContext, Depends(get_tenant_context)]) -> dict[str, Any]:
        return seen(context, db.tenant.slug, list(db.scalars(select(Ticket.subject))))

    @app.get("/misled", dependencies=[Depends(set_another)])
    async def misled(db: Db) -> str:
        return db.tenant.slug

    @app.get("/twice")
    async def twice(db: Db, again: Db) -> bool:
        return db is again and db.info["tenancy"] is tenancy

    @app.get("/tickets/{ticket}")
    def find(ticket: uuid.UUID, db: SyncDb) -> str:
        return Tickets(db).get_one(ticket).subject

    @app.get("/raw/{ticket}")
    async def find_raw(ticket: uuid.UUID, db: Db) -> str:
        return (await db.get_one(Ticket, ticket)).subject

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError


def add_lasting(app: FastAPI, tenancy: Tenancy) -> None:
    """Adds what outlives the route itself, or leaves its task."""
    Db = Annotated[AsyncTenantSession, Depends(tenant_session(tenancy))]  # noqa: N806
    app.state.noted = []

    def ambient() -> str | None:
        found = request_context()
        return found.tenant.slug if found and found.found else None

    @app.get("/stream")
    async def stream(db: Db) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for _ in range(3):
                found = await db.scalars(select(Ticket.subject))
                yield json.dumps([ambient(), db.tenant.slug, list(found)]) + "\n"
                await asyncio.sleep(0)

        return StreamingResponse(lines())

    @app.get("/background")
    async def background(db: Db, tasks: BackgroundTasks) -> None:
        async def note() -> None:
            found = list(await db.scalars(select(Ticket.subject)))
            app.state.noted.append([ambient(), db.tenant.slug, found])

        tasks.add_task(note)

    @app.get("/aside")
    async def aside(
        context: Annotated[TenantContext, Depends(get_tenant_context)],
    ) -> Any:
        async def alone() -> list[Any]:
            await asyncio.sleep(0)
            async with request_session_async(tenancy, context) as db:
                return [
                    ambient(),
                    db.tenant.slug,
                    list(await db.scalars(select(Ticket.subject))),
                ]

        in_thread = await asyncio.to_thread(ambient)
        in_executor = await asyncio.get_running_loop().run_in_executor(None, ambient)
        # A thread of the pool knows no request, whatever it did before; there None is right and another is wrong.
        return [in_thread, in_executor, await asyncio.create_task(alone())]


def add_writing(app: FastAPI, tenancy: Tenancy) -> None:
    Db = Annotated[AsyncTenantSession, Depends(tenant_transaction(tenancy), scope="function")]  # noqa: N806
    SyncDb = Annotated[TenantSession, Depends(tenant_transaction(tenancy, sync=True), scope="function")]  # noqa: N806

    @app.post("/tickets", status_code=201)
    async def create(ticket: NewTicket, db: Db) -> uuid.UUID:
        db.add(made := Ticket(**ticket.model_dump(exclude_none=True)))
        await db.flush()
        return made.id

    # Neither flushes, so what is wrong with the row shows in the commit, after the route has returned.
    @app.post("/late", status_code=201)
    async def create_late(ticket: NewTicket, db: Db) -> str:
        db.add(Ticket(**ticket.model_dump(exclude_none=True)))
        return "made"

    @app.post("/late/sync", status_code=201)
    def create_late_sync(ticket: NewTicket, db: SyncDb) -> str:
        db.add(Ticket(**ticket.model_dump(exclude_none=True)))
        return "made"

    @app.post("/refused")
    async def refuse(ticket: NewTicket, db: Db) -> None:
        db.add(Ticket(**ticket.model_dump(exclude_none=True)))
        await db.flush()
        raise HTTPException(418)

    # Their connection is lost while the answer waits for the commit.
    @app.post("/cut")
    async def cut(ticket: NewTicket, db: Db) -> str:
        db.add(Ticket(**ticket.model_dump(exclude_none=True)))
        await db.flush()
        found = (await db.execute(text("select pg_backend_pid()"))).scalar_one()
        await asyncio.to_thread(app.state.end_backend, found)
        return "made"

    @app.post("/cut/sync")
    def cut_sync(ticket: NewTicket, db: SyncDb) -> str:
        db.add(Ticket(**ticket.model_dump(exclude_none=True)))
        db.flush()
        app.state.end_backend(db.execute(text("select pg_backend_pid()")).scalar_one())
        return "made"


def add_limits(app: FastAPI, parts: Parts) -> None:
    tenancy = parts.tenancy

    @app.get("/limited", dependencies=[Depends(rate_limit(parts.rates, "api"))])
    async def limited() -> str:
        return "granted"

    @app.post("/once", status_code=201)
    async def once(
        ticket: NewTicket,
        call: Annotated[Any, Depends(idempotent(parts.idempotency, tenancy), scope="function")],
        db: Annotated[AsyncTenantSession, Depends(tenant_transaction(tenancy), scope="function")],
    ) -> Any:
        if call.first:
            db.add(made := Ticket(**ticket.model_dump(exclude_none=True)))
            await db.flush()
            call.answer = {"id": str(made.id)}
        return call.answer

    @app.post("/once/sync", status_code=201)
    def once_sync(
        ticket: NewTicket,
        call: Annotated[
            Any,
            Depends(idempotent(parts.idempotency, tenancy, sync=True), scope="function"),
        ],
        db: Annotated[
            TenantSession,
            Depends(tenant_transaction(tenancy, sync=True), scope="function"),
        ],
    ) -> Any:
        if call.first:
            db.add(made := Ticket(**ticket.model_dump(exclude_none=True)))
            db.flush()
            call.answer = {"id": str(made.id)}
        return call.answer

    @app.post("/audited")
    def audited(
        db: Annotated[
            TenantSession,
            Depends(tenant_transaction(tenancy, sync=True), scope="function"),
        ],
    ) -> None:
        parts.audit.record(db, event_type="ticket.looked_at", category="data", description="by a test")

    @app.post("/stopped")
    async def stopped() -> None:
        raise KillSwitchActive(
            what="sync",
            reason="the CRM sends rubbish.",
            workflow="sync",
            retry_after=7.2,
        )

    @app.post("/moving")
    async def moving() -> None:
        raise TenantMoving(tenant=uuid.uuid4(), retry_after=2.0)

    @app.post("/missing")
    async def missing() -> None:
        raise RecordNotFound(model="Ticket")


def add_websocket(app: FastAPI, tenancy: Tenancy) -> None:
    @app.websocket("/live")
    async def live(
        websocket: WebSocket,
        context: Annotated[TenantContext, Depends(get_tenant_context)],
    ) -> None:
        await websocket.accept()
        with contextlib.suppress(fastapi.WebSocketDisconnect):
            while await websocket.receive_text():
                async with request_session_async(tenancy, context) as db:
                    await websocket.send_json(
                        seen(
                            context,
                            db.tenant.slug,
                            list(await db.scalars(select(Ticket.subject))),
                        )
                    )


def seen(context: TenantContext, bound: str, subjects: list[str]) -> dict[str, Any]:
    """Returns the tenant by every way there is to know it."""
    ambient = request_context()
    return {
        "carried": context.tenant.slug,
        "ambient": ambient.tenant.slug if ambient else None,
        "bound": bound,
        "subjects": subjects,
    }
