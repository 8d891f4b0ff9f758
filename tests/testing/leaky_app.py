"""A help desk's API with twelve leaks that can be planted in it one by one; without any it is sound."""

import asyncio
import contextlib
import csv
import io
import uuid
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, UniqueConstraint, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import AsyncTenantSession, Tenancy
from tenantry.models import TenantOwned
from tenantry.web import Said, TenancyMiddleware, context_of

LEAKS = (
    "operator",  # a list by raw text in the operator's session
    "cache",  # a result kept by path
    "lookup",  # a row by its id, whoever asks
    "body",  # the tenant from the body
    "query",  # the tenant from the query
    "header",  # the tenant from a header that anybody can send
    "count",  # how many there are, of all
    "error",  # a refusal that quotes another's row
    "suggestions",  # words completed from everybody's
    "export",  # a file by its path
    "room",  # a websocket's room by its name alone
    "background",  # work after the answer, for who asked last
)


class Base(DeclarativeBase):
    pass


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("title"),)
    title: Mapped[str]
    body: Mapped[str | None]


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))
    words: Mapped[str]


class NewTicket(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    body: str | None = None


class NewTicketOfAnybody(BaseModel):
    title: str
    body: str | None = None
    tenant: str | None = None


class NewNote(BaseModel):
    ticket_id: uuid.UUID
    words: str


def build(tenancy: Tenancy, tokens: dict[str, str], files: Path, leaks: Collection[str] = ()) -> FastAPI:
    """Returns the application, with some leaks or none; *tokens* are those of each tenant's slug."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tenancy.aio.close()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(TenancyMiddleware, tenancy=tenancy, resolvers=[_by(tokens)], public=["/openapi.json"])
    desk = _Desk(tenancy, tokens, files, leaks)

    async def session(request: Request) -> AsyncIterator[AsyncTenantSession]:
        async with tenancy.aio.transaction(desk.tenant_of(request)) as opened:
            yield opened

    Db = Annotated[AsyncTenantSession, Depends(session, scope="function")]  # noqa: N806  # a type
    New = NewTicketOfAnybody if "body" in leaks else NewTicket  # noqa: N806  # as above

    @app.post("/tickets", status_code=201)
    async def add(request: Request, new: New) -> dict[str, Any]:
        return await desk.add(desk.tenant_of(request, new), new)

    @app.get("/tickets")
    async def tickets(request: Request, db: Db, tenant: str | None = None) -> list[dict[str, Any]]:
        if "query" in leaks and tenant:
            async with tenancy.aio.session(tenant) as other:
                return [_told(row) for row in await other.scalars(select(Ticket))]
        if "operator" in leaks:
            async with tenancy.aio.operator("to see all of it") as across:
                return [dict(row) for row in (await across.execute(text("SELECT id, title FROM tickets"))).mappings()]
        return [_told(row) for row in await db.scalars(select(Ticket).order_by(Ticket.id))]

    @app.get("/tickets/{ticket_id}")
    async def ticket(ticket_id: uuid.UUID, db: Db) -> dict[str, Any]:
        if "lookup" in leaks:
            async with tenancy.aio.operator("a row is a row") as across:
                found = await across.scalar(select(Ticket).where(Ticket.id == ticket_id))
        else:
            found = await db.get(Ticket, ticket_id)
        if found is None:
            raise HTTPException(404)
        return _told(found)

    @app.get("/summary")
    async def summary(request: Request, db: Db) -> Any:
        key = (request.url.path,) if "cache" in leaks else (request.url.path, desk.tenant_of(request))
        if key not in desk.kept:
            desk.kept[key] = [row.title for row in await db.scalars(select(Ticket))]
        return desk.kept[key]

    @app.get("/stats")
    async def stats(db: Db) -> dict[str, int]:
        asked = select(func.count()).select_from(Ticket)
        if "count" in leaks:
            async with tenancy.aio.operator("how many are there?") as across:
                return {"tickets": await across.scalar(asked) or 0}
        return {"tickets": await db.scalar(asked) or 0}

    @app.get("/suggestions")
    async def suggestions(db: Db, q: str = "") -> list[str]:
        asked = select(Ticket.title).where(Ticket.title.startswith(q, autoescape=True)).limit(5)
        if "suggestions" in leaks:
            async with tenancy.aio.operator("words belong to everybody") as across:
                return list(await across.scalars(asked))
        return list(await db.scalars(asked))

    @app.get("/profile")
    async def profile(request: Request, db: Db) -> dict[str, Any]:
        said = request.headers.get("x-tenant-id") if "header" in leaks else None
        if said:
            async with tenancy.aio.session(said) as other:
                return {"titles": list(await other.scalars(select(Ticket.title)))}
        return {"titles": list(await db.scalars(select(Ticket.title)))}

    @app.post("/exports", status_code=201)
    async def export(request: Request, db: Db) -> dict[str, str]:
        name = f"{uuid.uuid4().hex}.csv"
        return desk.write(request, name, list(await db.scalars(select(Ticket.title))))

    @app.get("/exports/{name}")
    async def file(request: Request, name: str) -> str:
        return desk.read(request, name)

    @app.get("/notes")
    async def notes(db: Db) -> list[str]:
        return list(await db.scalars(select(Note.words)))

    @app.post("/notes", status_code=202)
    async def note(request: Request, new: NewNote, later: BackgroundTasks) -> dict[str, str]:
        desk.last = desk.tenant_of(request)
        await asyncio.sleep(0)
        later.add_task(desk.note, desk.last if "background" in leaks else desk.tenant_of(request), new)
        return {"status": "taken"}

    @app.websocket("/rooms/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        tenant = str(context_of(socket.scope).tenant.id)
        await socket.accept()
        await desk.talk(socket, room if "room" in leaks else f"{tenant}/{room}")

    return app


class _Desk:
    def __init__(self, tenancy: Tenancy, tokens: dict[str, str], files: Path, leaks: Collection[str]) -> None:
        self.tenancy = tenancy
        self.tokens = tokens
        self.files = files
        self.leaks = leaks
        self.kept: dict[tuple[str, ...], Any] = {}
        self.rooms: dict[str, list[WebSocket]] = {}
        self.last = ""

    def tenant_of(self, request: Request, body: Any = None) -> str:
        said = getattr(body, "tenant", None)
        return said if said in self.tokens else str(context_of(request.scope).tenant.id)

    async def add(self, tenant: str, new: Any) -> dict[str, Any]:
        if "error" in self.leaks:
            async with self.tenancy.aio.operator("no title twice") as across:
                there = await across.scalar(select(Ticket).where(Ticket.title == new.title))
                if there is not None:
                    raise HTTPException(409, f"{there.title!r} exists: ticket {there.id} of tenant {there.tenant_id}")
        async with self.tenancy.aio.session(tenant) as db:
            made = Ticket(title=new.title, body=new.body)
            db.add(made)
            try:
                await db.commit()
            except IntegrityError:
                raise HTTPException(409, "There is a ticket of this title.") from None
            return _told(made)

    def write(self, request: Request, name: str, titles: list[str]) -> dict[str, str]:
        told = io.StringIO()
        csv.writer(told).writerows([title] for title in titles)
        folder = self._folder(request)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(told.getvalue(), encoding="utf-8")
        return {"url": f"/exports/{name}"}

    def read(self, request: Request, name: str) -> str:
        path = self._folder(request) / Path(name).name
        if not path.exists():
            raise HTTPException(404)
        return path.read_text(encoding="utf-8")

    async def note(self, tenant: str, new: NewNote) -> None:
        tenant = self.last if "background" in self.leaks else tenant
        async with self.tenancy.aio.session(tenant) as db:
            ticket = await db.scalar(select(Ticket.id).limit(1))
            db.add(Note(ticket_id=ticket, words=new.words))
            await db.commit()

    async def talk(self, socket: WebSocket, room: str) -> None:
        present = self.rooms.setdefault(room, [])
        present.append(socket)
        try:
            while True:
                said = await socket.receive_text()
                for each in present:
                    await each.send_text(said)
        except WebSocketDisconnect:
            present.remove(socket)

    def _folder(self, request: Request) -> Path:
        return self.files if "export" in self.leaks else self.files / str(context_of(request.scope).tenant.id)


def _told(row: Ticket) -> dict[str, Any]:
    return {"id": str(row.id), "title": row.title, "body": row.body}


def _by(tokens: dict[str, str]) -> Any:
    slugs = {f"Bearer {token}": slug for slug, token in tokens.items()}
    return lambda incoming: Said(slugs.get(incoming.header("authorization") or ""))
