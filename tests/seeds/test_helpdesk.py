"""Seed 000's code blocks, run against the helpdesk with nothing but the import roots replaced."""

from __future__ import annotations

import asyncio
import datetime
import gc
import logging
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.exc import DBAPIError

from tenantry import Config, Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.archive import Archive, KeyRing
from tenantry.errors import (
    ConfigurationError,
    CrossTenant,
    InvalidFilter,
    InvalidKey,
    InvalidPage,
    TenantCreationDisabled,
    TenantLimitReached,
    TenantNotFound,
    UnknownField,
)
from tenantry.outbox import Backoff, Relay
from tenantry.packs import helpdesk
from tenantry.packs.helpdesk import HelpdeskBase, HelpdeskSettings, door, tenancy_from_env
from tenantry.types import Tenant
from tenantry.web import application

from .running import BLOCKS, replaced, run_block

ROOTS = {"core": "tenantry.packs.helpdesk"}
WEDOSOFT = ("wedosoft", "freshdesk")


def run(line: int, **names: Any) -> dict[str, Any]:
    return run_block("000", line, roots=ROOTS, names=names)


def python_of(line: int) -> list[str]:
    """Returns the Python programs that a block of shell commands runs."""
    return re.findall(r'python -c "(.*?)"\n', BLOCKS["000"][line].text + "\n", re.DOTALL)


class World:
    """One installation behind the helpdesk's doors."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.pack = helpdesk.Helpdesk(tenancy)
        tenancy.install(create_tables=True)

    def company(self, name: str = "wedosoft", platform: str = "freshdesk") -> Tenant:
        """Returns a company called exactly so, made where there is none."""
        with helpdesk.get_db_session(name, platform) as session:
            if session.query(helpdesk.Company).first() is None:
                session.add(helpdesk.Company(name=name, platform=platform))
                session.commit()
            return session.tenant

    def tickets(self, *subjects: str, of: tuple[str, str] = WEDOSOFT, **more: Any) -> None:
        """Opens tickets in a company."""
        with helpdesk.get_db_session(*of) as session:
            session.add_all(helpdesk.Ticket(subject=subject, **more) for subject in subjects)
            session.commit()

    def clear(self) -> None:
        """Erases every company."""
        # What a block left open holds SQLite's one writer until it is collected.
        gc.collect()
        for tenant in list(self.tenancy.every_tenant()):
            self.tenancy.tenants.erase(tenant, confirm=tenant.slug)


@pytest.fixture(scope="module", params=["postgresql", pytest.param("sqlite", marks=pytest.mark.soak)])
def installed(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: Any) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("desk")
    with ExitStack() as ends:
        url = ends.enter_context(postgres.lend_database()) if request.param == "postgresql" else None
        # Tests make the same companies, one after the other, so no name may rest.
        tenancy = Tenancy(url or f"sqlite:///{directory}", models=HelpdeskBase, config=Config(route_ttl=0.0))
        ends.callback(tenancy.close)
        if url:
            tenancy.servers.add("sqlite", f"sqlite:///{directory}")
        yield World(tenancy)


@pytest.fixture
def world(installed: World) -> Iterator[World]:
    door.use(installed.tenancy, installed.pack)
    yield installed
    installed.clear()
    door.reset()


def awaited(coroutine: Any) -> Any:
    """Returns what a coroutine comes to, and leaves no connection of its loop behind."""

    async def closing() -> Any:
        try:
            return await coroutine
        finally:
            await door.aio.close()

    return asyncio.run(closing())


def run_awaited(line: int, **names: Any) -> dict[str, Any]:
    """Runs a block that awaits, in a loop that is closed behind it."""
    text = "async def _block():\n" + "".join(
        f"    {text}\n" for text in replaced(BLOCKS["000"][line].text, ROOTS).splitlines()
    )
    found: dict[str, Any] = {"__name__": f"seed_000_{line}", **names}
    exec(compile(f"{text}    globals().update(locals())\n", f"seed 000, line {line}", "exec"), found)
    awaited(found["_block"]())
    return found


# --- what needs no installation ------------------------------------------------------------------------------------


@pytest.mark.ledger("S0-001", "S0-014")
def test_018_the_layers_are_there() -> None:
    drawing = BLOCKS["000"][18].text
    assert [name for name in ("Repository", "Models", "Database") if name not in drawing] == []
    assert issubclass(helpdesk.BaseRepository, object)
    assert helpdesk.DatabaseFactory().create_database("a", "b", "sqlite").kind == "sqlite"


@pytest.mark.ledger("S0-017", "S0-018")
def test_061_the_models_import() -> None:
    for program in python_of(61):
        exec(replaced(program, ROOTS), {})


@pytest.mark.ledger("S0-005", "S0-019", "S0-020", "S0-021")
def test_073_the_doors_are_made_without_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    programs = python_of(73)
    assert len(programs) == 3
    for program in programs:
        exec(replaced(program, ROOTS), {})
    assert not door.opened
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ledger("S0-006", "S0-022", "S0-023")
def test_097_the_factory_is_made() -> None:
    programs = python_of(97)
    assert len(programs) == 2
    for program in programs:
        exec(replaced(program, ROOTS), {})


@pytest.mark.ledger("S0-026", "S0-027", "S0-031", "S0-032", "S0-033")
def test_114_the_environment(tmp_path: Path) -> None:
    lines = (line.partition("#")[0].strip() for line in BLOCKS["000"][114].text.splitlines())
    printed = dict(line.split("=", 1) for line in lines if line)
    env = {**printed, "SQLITE_DATA_DIR": str(tmp_path)}
    said = HelpdeskSettings.from_env(env)
    assert (said.use_orm, said.database_type, said.isolation) == (True, "sqlite", "rows")
    assert said.tenant_id_validation == "strict"
    on_sqlite = tenancy_from_env(HelpdeskBase, env)
    config = on_sqlite.config
    assert (config.pool_size, config.statement_timeout, config.max_tenants) == (20, 30.0, 1000)
    assert config.allow_tenant_creation
    assert Path(on_sqlite.servers.main.location) == tmp_path
    on_sqlite.close()
    chosen = {**printed, "DATABASE_TYPE": "postgresql", "POSTGRES_PASSWORD": "hidden words"}
    del chosen["POSTGRES_DB"], chosen["SQLITE_DATA_DIR"]
    on_postgres = tenancy_from_env(HelpdeskBase, chosen)
    url = on_postgres.servers.main.url("app", action="Testing")
    assert (url.host, url.port, url.database, url.username) == ("localhost", 5432, "freshdesk_app", "postgres")
    assert "hidden" not in repr(on_postgres)
    del chosen["POSTGRES_PASSWORD"]
    with pytest.raises(ConfigurationError, match="POSTGRES_PASSWORD"):
        tenancy_from_env(HelpdeskBase, chosen)


@pytest.mark.ledger("S0-014")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("USE_ORM", "perhaps"),
        ("DATABASE_TYPE", "oracle"),
        ("TENANT_ID_VALIDATION", "kind"),
        ("TENANT_ISOLATION", "none"),
        ("CONNECTION_POOL_SIZE", "many"),
        ("QUERY_TIMEOUT", "-1"),
    ],
)
def test_114_values_that_are_none(variable: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        tenancy_from_env(HelpdeskBase, {"SQLITE_DATA_DIR": str(tmp_path), variable: value})


@pytest.mark.ledger("S0-028", "S0-029", "S0-030")
def test_114_who_may_become_a_company(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_TYPE", "sqlite")
    monkeypatch.setenv("SQLITE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MAX_TENANTS", "2")
    try:
        for name in ("x'; DROP SCHEMA public; --", "", "a" * 101, " a", "admin", "ä", "../etc"):
            with pytest.raises(InvalidKey):
                helpdesk.get_db_session(name, "freshdesk")
        monkeypatch.setenv("TENANT_ID_VALIDATION", "lenient")
        helpdesk.get_db_session("Ä & Söhne; --", "freshdesk").close()
        with pytest.raises(InvalidKey):
            helpdesk.get_db_session(" a", "freshdesk")
        helpdesk.get_db_session("two", "freshdesk").close()
        with pytest.raises(TenantLimitReached):
            helpdesk.get_db_session("three", "freshdesk")
        helpdesk.get_db_session("two", "freshdesk").close()
        assert len({tenant.slug for tenant in door.tenancy.every_tenant()}) == 2
        door.reset()
        monkeypatch.delenv("MAX_TENANTS")
        monkeypatch.setenv("ALLOW_TENANT_CREATION", "false")
        with pytest.raises(TenantCreationDisabled):
            helpdesk.get_db_session("three", "freshdesk")
        helpdesk.get_db_session("two", "freshdesk").close()
    finally:
        door.reset()


@pytest.mark.ledger("S0-008", "S0-010", "S0-011", "S0-013")
def test_142_every_module_of_the_document_has_its_names() -> None:
    drawn = BLOCKS["000"][142].text
    names = {
        "models": ("Base", "Ticket"),
        "manager.py": ("get_db_manager", "get_db_session"),
        "factory.py": ("DatabaseFactory", "get_database"),
        "database.py": ("SQLiteDatabase", "LegacyStore"),
        "tenant_config.py": ("TenantConfig",),
        "postgresql_database.py": ("PostgreSQLDatabase",),
        "base_repository.py": ("BaseRepository",),
        "ticket_repository.py": ("TicketRepository",),
        "integrated_object_repository.py": ("IntegratedObjectRepository",),
        "migration_layer.py": ("store_integrated_object_with_migration",),
        "dependencies.py": ("get_tenant_context",),
    }
    for module, wanted in names.items():
        assert module in drawn
        assert all(getattr(helpdesk, name) for name in wanted)


# --- what runs against one -----------------------------------------------------------------------------------------


@pytest.mark.ledger("S0-034", "S0-048", "S0-049", "S0-050", "S0-055")
def test_169_models_in_a_session(world: World) -> None:
    found = run(169)
    session = found["session"]
    assert (found["ticket"].platform, found["agent"].company_id) == ("freshdesk", session.tenant.id)
    session.close()
    with helpdesk.get_db_session(*WEDOSOFT) as again:
        assert [ticket.subject for ticket in again.query(helpdesk.Ticket)] == ["Login Issues"]
        assert again.query(helpdesk.Company).one().subscription_plan == "enterprise"
    with helpdesk.get_db_session("wedosoft", "zendesk") as other:
        assert other.query(helpdesk.Ticket).all() == []
        assert other.tenant.id != session.tenant.id


@pytest.mark.ledger("S0-060", "S0-061", "S0-062", "S0-063", "S0-064")
def test_207_repositories_of_a_company(world: World) -> None:
    world.company()
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        agent = helpdesk.Agent(agent_id="agent_123", name="John")
        session.add(helpdesk.Ticket(subject="Login issues", priority="high", agent=agent))
        session.add(helpdesk.Ticket(subject="LOGIN ISSUES", priority="low"))
        session.commit()
    world.company("rival")
    world.tickets("Login issues", of=("rival", "freshdesk"), priority="high")
    found = run_awaited(207)
    assert len(found["recent_tickets"]) == 2
    assert [ticket.subject for ticket in found["high_priority_tickets"]] == ["Login issues"]
    assert [ticket.subject for ticket in found["tickets_by_agent"]] == ["Login issues"]
    assert [ticket.subject for ticket in found["search_results"]] == ["Login issues"]
    new = found["new_ticket"]
    assert (new.subject, new.platform, new.status) == ("Password Reset Request", "freshdesk", "open")
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        assert session.query(helpdesk.Ticket).count() == 3


@pytest.mark.ledger("S0-035", "S0-036", "S0-037", "S0-038", "S0-039")
def test_237_databases_of_two_companies(world: World) -> None:
    for name in ("tenant1", "tenant2"):
        world.company(name)
        world.tickets(f"of {name}", of=(name, "freshdesk"))
    found = run_awaited(237)
    assert [ticket.subject for ticket in found["tenant1_tickets"]] == ["of tenant1"]
    assert [ticket.subject for ticket in found["tenant2_tickets"]] == ["of tenant2"]
    assert found["manager"] is helpdesk.get_db_manager("wedosoft", "freshdesk")
    with found["manager"].transaction() as session:
        session.add(helpdesk.Company(name="wedosoft"))
    assert awaited(found["db"].get_tickets()) == []


@pytest.mark.ledger("S0-002", "S0-025", "S0-042", "S0-043", "S0-044")
def test_262_the_factory(world: World, tmp_path: Path) -> None:
    if world.tenancy.servers.main.kind == "sqlite":
        # Where there is no PostgreSQL, forcing it is refused, and the rest is made.
        with pytest.raises(ConfigurationError, match="no postgresql server"):
            run_awaited(262)
        assert world.tenancy.tenants.get(helpdesk.company_key("dev_tenant", "freshdesk")).server == "main"
        return
    found = run_awaited(262)
    assert isinstance(found["auto_db"], helpdesk.PostgreSQLDatabase)
    assert isinstance(found["sqlite_db"], helpdesk.SQLiteDatabase)
    assert isinstance(found["postgresql_db"], helpdesk.PostgreSQLDatabase)
    servers = {
        name: world.tenancy.tenants.get(helpdesk.company_key(name, "freshdesk")).server
        for name in ("dev_tenant", "prod_tenant")
    }
    assert servers == {"dev_tenant": "sqlite", "prod_tenant": "main"}
    moved = helpdesk.DatabaseFactory().create_database("dev_tenant", "freshdesk", helpdesk.DatabaseType.POSTGRESQL)
    with pytest.raises(ConfigurationError):
        awaited(moved.connect())


@pytest.mark.ledger("S0-047", "S0-076", "S0-080")
def test_292_a_companys_tickets(world: World) -> None:
    for name in ("wedosoft", "rival"):
        world.company(name)
        world.tickets(f"of {name}", of=(name, "freshdesk"))
    found = run(292)
    assert [ticket.subject for ticket in awaited(found["get_tenant_tickets"](*WEDOSOFT))] == ["of wedosoft"]
    # It leaves its session open.
    gc.collect()
    # What the document calls bad shows no other's rows either.
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        assert [ticket.subject for ticket in session.query(helpdesk.Ticket).all()] == ["of wedosoft"]
    assert [ticket.subject for ticket in awaited(helpdesk.get_tenant_tickets(*WEDOSOFT))] == ["of wedosoft"]


@pytest.mark.ledger("S0-040", "S0-041", "S0-081", "S0-083")
def test_317_a_schema_of_its_own(world: World) -> None:
    printed = run(317)["TenantSchemaManager"]
    world.company()
    made = printed("wedosoft", "freshdesk")
    assert (made.tenant_id, made.platform, made.schema_name) == ("wedosoft", "freshdesk", "tenant_wedosoft")
    # The run-time login makes no schemas, whatever its statement says.
    with pytest.raises(DBAPIError):
        awaited(made.create_tenant_schema())
    rows = awaited(helpdesk.get_database(*WEDOSOFT).execute_raw("SELECT :a + 1 AS b", {"a": 1}))
    assert rows == [{"b": 2}]
    made.get_migration_script = lambda *_: "UPDATE tickets SET type = 'old'"
    world.tickets("one")
    awaited(made.migrate_tenant_data("1", "2"))
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        assert [ticket.type for ticket in session.query(helpdesk.Ticket)] == ["old"]
    own = helpdesk.TenantSchemaManager("schema-co", "freshdesk")
    if world.tenancy.servers.main.kind == "postgresql":
        schema = awaited(own.create_tenant_schema())
        tenant = world.tenancy.tenants.get(helpdesk.company_key("schema-co", "freshdesk"))
        assert (schema, tenant.isolation) == (f"t_{tenant.id.hex}", "schema")
        assert awaited(own.create_tenant_schema()) == schema
        world.tenancy.tenants.erase(tenant, confirm=tenant.slug)
    else:
        with pytest.raises(ConfigurationError):
            awaited(own.create_tenant_schema())


@pytest.mark.ledger("S0-058", "S0-059", "S0-067")
def test_341_a_repository_of_ones_own(world: World) -> None:
    world.company()
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        ticket = helpdesk.Ticket(subject="x", ticket_id="t-1")
        moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        ticket.conversations = [
            helpdesk.Conversation(content=text, created_at=moment + datetime.timedelta(minutes=minute))
            for minute, text in enumerate(["I cannot log in", "Have you tried the page?"])
        ]
        session.add(ticket)
        session.commit()
    made = run(341, List=list, Optional=Optional)["ConversationRepository"](*WEDOSOFT)
    assert [said.content for said in awaited(made.get_by_ticket("t-1"))] == [
        "I cannot log in",
        "Have you tried the page?",
    ]
    assert awaited(made.get_latest_conversation("t-1")).content == "Have you tried the page?"
    assert awaited(made.get_latest_conversation("t-9")) is None
    assert [said.content for said in awaited(made.search_conversations("LOG IN"))] == ["I cannot log in"]


class Kept:
    """A vector store that keeps each company's vectors in a list of its own."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, str], list[Any]] = {}
        self.failing = 0

    async def insert_vectors(self, collection: str, vectors: Any) -> None:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("the store is down")
        for item in vectors:
            self.lists.setdefault((collection, item["metadata"]["tenant_id"]), []).append(item)


async def embed(text: str) -> list[float]:
    return [float(len(text)), 1.0]


@pytest.fixture
def kept() -> Iterator[Kept]:
    store = Kept()
    helpdesk.vector_db.use(store, embed=embed)
    yield store
    helpdesk.vector_db.use(None, embed=None)


@pytest.mark.ledger("S0-016", "S0-052", "S0-085", "S0-086", "S0-087")
def test_392_objects_and_vectors(world: World, kept: Kept) -> None:
    world.company()
    world.tickets("Login", ticket_id="t-1", description="I cannot log in")
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        ticket = session.query(helpdesk.Ticket).one()
        names = {"session": session, "Ticket": helpdesk.Ticket, "generate_embedding": helpdesk.generate_embedding}
        found = run(392, **names)
        awaited(found["sync_orm_to_vector"](ticket))
        made = session.query(helpdesk.IntegratedObject).one()
        assert (made.id, made.original_id, made.content) == ("wedosoft_freshdesk_t-1", "t-1", "I cannot log in")
        assert made.tenant_id == session.tenant.id
    (item,) = kept.lists["documents", "wedosoft"]
    assert (item["id"], item["vector"], item["metadata"]["doc_type"]) == (made.id, [15.0, 1.0], "ticket")


@pytest.mark.ledger("S0-085")
def test_392_the_packs_own_never_loses_a_vector(world: World, kept: Kept) -> None:
    world.company()
    world.tickets("Login", ticket_id="t-1", description="I cannot log in")
    kept.failing = 1
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        made = awaited(helpdesk.sync_orm_to_vector(session.query(helpdesk.Ticket).one()))
        session.refresh(made)
        assert (made.embedding_status, kept.lists) == ("failed", {})
        link = session.query(helpdesk.VectorLink).one()
        assert (link.status, link.attempts, link.error) == ("failed", 1, "ConnectionError: the store is down")
        session.rollback()
        relay = Relay(door.pack.outbox, backoff=Backoff(first=0.01))
        deadline = time.monotonic() + 20
        while not kept.lists and time.monotonic() < deadline:
            relay.deliver(session.tenant)
        session.refresh(made)
        session.refresh(link)
        assert (made.embedding_status, made.vector_id, link.status, link.dim) == ("synced", made.id, "synced", 2)
    assert len(kept.lists["documents", "wedosoft"]) == 1


@pytest.mark.ledger("S0-012", "S0-077", "S0-088")
def test_429_routes(world: World) -> None:
    world.company()
    rival = world.company("rival")
    router = APIRouter()
    run(429, router=router)
    tokens = Tokens([TokenKey("k", secrets.token_bytes(32))], issuer="https://id.example", audience="desk")
    app = application(world.tenancy, [router], tokens=tokens, title="Desk")

    def headers(tenant: Tenant) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.issue('ann', tenant=tenant.id, roles=['viewer'])}"}

    own = headers(world.company())
    with TestClient(app) as client:
        made = client.post("/api/tickets", json={"subject": "New", "priority": "high"}, headers=own)
        assert made.json()["ticket"]["subject"] == "New"
        listed = client.get("/api/tickets", params={"limit": 5}, headers=own).json()
        assert (listed["total"], listed["tickets"][0]["subject"]) == (1, "New")
        assert client.get("/api/tickets", headers=headers(rival)).json() == {"tickets": [], "total": 0}
        for name in ("tenant_id", "company_id", "id", "deleted_at"):
            refused = client.post("/api/tickets", json={"subject": "x", name: str(rival.id)}, headers=own)
            assert refused.status_code == 422
        assert client.get("/api/tickets").status_code == 401
        assert client.get("/api/tickets", headers=own).json()["total"] == 1


@pytest.mark.ledger("S0-066", "S0-091", "S0-092")
@pytest.mark.parametrize("use_orm", ["true", "false"])
def test_467_the_migration_layer(world: World, use_orm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SQLITE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("USE_ORM", use_orm)
    world.company()
    found = run(467, IntegratedObjectRepository=helpdesk.IntegratedObjectRepository)
    data = {
        "original_id": "1",
        "object_type": "ticket",
        "title": "One",
        "tenant_id": "wedosoft",
        "platform": "freshdesk",
    }
    store = helpdesk.LegacyStore.of(tmp_path, *WEDOSOFT)
    awaited(found["store_with_migration_support"](data, use_orm=False))
    assert (store.count(), objects()) == (1, [])
    awaited(found["store_with_migration_support"]({**data, "original_id": "2"}, use_orm=True))
    assert (store.count(), objects()) == (1, ["2"])
    awaited(helpdesk.store_with_migration_support({**data, "original_id": "3"}, use_orm=True))
    awaited(helpdesk.store_integrated_object_with_migration({**data, "original_id": "4"}))
    assert objects() == (["2", "3", "4"] if use_orm == "true" else ["2", "3"])
    assert store.count() == (1 if use_orm == "true" else 2)
    with pytest.raises(TenantNotFound):
        awaited(helpdesk.IntegratedObjectRepository().create({**data, "tenant_id": "nobody"}))


def objects() -> list[str]:
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        rows = session.query(helpdesk.IntegratedObject).order_by(helpdesk.IntegratedObject.original_id)
        return [row.original_id for row in rows]


@pytest.mark.ledger("S0-068", "S0-069", "S0-070", "S0-072", "S0-073")
@pytest.mark.parametrize("whose", ["printed", "pack"])
def test_504_the_query_builder(world: World, whose: str) -> None:
    day = datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC)
    for name in ("wedosoft", "rival"):
        world.company(name)
        with helpdesk.get_db_session(name, "freshdesk") as session:
            for number in range(25):
                moment = day - datetime.timedelta(hours=number)
                status = ("open", "pending", "closed")[number % 3]
                session.add(helpdesk.Ticket(subject=f"{name} {number}", status=status, created_at=moment))
            session.commit()
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        dates = {"start_date": day - datetime.timedelta(days=30), "end_date": day}
        names = {"Ticket": helpdesk.Ticket, "session": session, "List": list, **dates}
        found = run(504, **names)
        assert [ticket.subject for ticket in found["tickets"]][:3] == ["wedosoft 0", "wedosoft 1", "wedosoft 3"]
        assert len(found["tickets"]) == 17
        made: Any = found["QueryBuilder"] if whose == "printed" else helpdesk.QueryBuilder
        tickets = (
            made(helpdesk.Ticket, session)
            .filter_by_tenant("wedosoft", "freshdesk")
            .filter_by_status(["open", "pending"])
            .filter_by_date_range(dates["start_date"], dates["end_date"])
            .order_by("created_at", desc=True)
            .paginate(page=2, per_page=10)
            .execute()
        )
        assert len(tickets) == 7


@pytest.mark.ledger("S0-070", "S0-071", "S0-074", "S0-075")
def test_504_the_packs_builder_refuses_what_leads_astray(world: World) -> None:
    world.company()
    world.company("rival")
    world.tickets("late", created_at=datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC))
    with helpdesk.get_db_session(*WEDOSOFT) as session:

        def builder() -> Any:
            return helpdesk.QueryBuilder(helpdesk.Ticket, session)

        with pytest.raises(CrossTenant):
            builder().filter_by_tenant("rival", "freshdesk")
        january = datetime.date(2026, 1, 1), datetime.date(2026, 1, 31)
        assert len(builder().filter_by_date_range(*january).execute()) == 1
        assert builder().filter_by_date_range(january[0], datetime.date(2026, 1, 30)).execute() == []
        with pytest.raises(UnknownField):
            builder().order_by("company")
        with pytest.raises(InvalidPage):
            builder().paginate(0, 10)
        with pytest.raises(InvalidFilter):
            helpdesk.QueryBuilder(type("Free", (), {"__table__": _unowned()}), session)


def _unowned() -> Any:
    return Table("free", MetaData(), Column("id", Integer, primary_key=True))


@pytest.mark.ledger("S0-095", "S0-096", "S0-097", "S0-098")
@pytest.mark.parametrize("whose", ["printed", "pack"])
def test_563_the_health_monitor(world: World, whose: str) -> None:
    names = {name: getattr(helpdesk, name) for name in ("get_database", "TicketRepository", "get_db_session")}
    names |= {name: getattr(helpdesk, name) for name in ("Ticket", "Agent", "Company")}
    printed = run(563, time=time, **names)["DatabaseHealthMonitor"]
    for name in ("wedosoft", "rival"):
        world.company(name)
        world.tickets("a", "b", of=(name, "freshdesk"))
    monitor = printed() if whose == "printed" else helpdesk.DatabaseHealthMonitor()
    assert monitor.metrics == {}
    healthy = awaited(monitor.check_connection_health(*WEDOSOFT))
    assert healthy["status"] == "healthy"
    assert healthy["response_time"] > 0
    missing = awaited(monitor.check_connection_health("nobody", "freshdesk"))
    assert (missing["status"], bool(missing["error"])) == ("unhealthy", True)
    looked = awaited(monitor.check_query_performance(*WEDOSOFT))
    assert (looked["records_returned"], looked["performance_rating"]) == (2, "good")
    assert looked["query_time"] < 1.0
    if whose == "printed":
        # It asks for a method that the document does not give.
        monitor.get_database_size = helpdesk.DatabaseHealthMonitor().get_database_size
    stats = awaited(monitor.get_database_stats(*WEDOSOFT))
    assert (stats["total_tickets"], stats["total_agents"], stats["total_companies"]) == (2, 0, 1)
    assert stats["database_size"] > 0
    if whose == "pack":
        assert monitor.metrics["freshdesk/wedosoft"]["total_tickets"] == 2


@pytest.mark.ledger("S0-045", "S0-099", "S0-101", "S0-102")
def test_609_backups(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world.company()
    world.tickets("a", "b")
    names = {name: getattr(helpdesk, name) for name in ("get_database", "PostgreSQLDatabase")}
    logger = logging.getLogger("seed")
    printed = run(609, datetime=datetime.datetime, asyncio=asyncio, logger=logger, **names)["TenantBackupManager"]()
    archive = Archive(world.tenancy, tmp_path / "archives", keys=KeyRing({"one": secrets.token_bytes(32)}, "one"))
    own = helpdesk.TenantBackupManager(archive)
    # The document leaves the two writers open: the pack's are what they call.
    printed.backup_postgresql, printed.backup_sqlite = own.backup_postgresql, own.backup_sqlite
    name = awaited(printed.backup_tenant_data(*WEDOSOFT))
    assert re.fullmatch(r"backup_wedosoft_freshdesk_\d{8}_\d{6}\.sql", name)
    made = awaited(own.backup_tenant_data(*WEDOSOFT))
    assert re.fullmatch(r"backup_wedosoft_freshdesk_\d{8}_\d{6}_[0-9a-f]{6}\.tenantry", made)
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        records = {row.filename: row for row in session.query(helpdesk.BackupRecord)}
        assert {row.status for row in records.values()} == {"done"}
        assert records[made].size > 0
        session.query(helpdesk.Ticket).delete()
        session.commit()
    caplog.set_level(logging.INFO)

    async def twice(manager: Any) -> None:
        await manager.schedule_automatic_backups("wedosoft", interval_hours=24)
        await manager.schedule_automatic_backups("nobody", interval_hours=24)
        for _ in range(600):
            said = [record.getMessage() for record in caplog.records]
            if {"Backup completed for tenant wedosoft"} <= {*said} and any("nobody" in line for line in said):
                break
            await asyncio.sleep(0.05)
        for task in manager.backup_schedule.values():
            task.cancel()
        await asyncio.gather(*manager.backup_schedule.values(), return_exceptions=True)

    for manager in (printed, own):
        caplog.clear()
        awaited(twice(manager))
        said = [record.getMessage() for record in caplog.records]
        assert "Backup completed for tenant wedosoft" in said
        assert any(line.startswith("Backup failed for tenant nobody: ") for line in said)
    assert set(own.backup_schedule) == {("wedosoft", "freshdesk"), ("nobody", "freshdesk")}


@pytest.mark.ledger("S0-100")
def test_609_a_backup_is_one_companys_and_comes_back(world: World, tmp_path: Path) -> None:
    for name in ("wedosoft", "rival"):
        world.company(name)
        world.tickets("a", "b", of=(name, "freshdesk"))
    own = helpdesk.TenantBackupManager(Archive(world.tenancy, tmp_path, keys=KeyRing({"one": b"1" * 32}, "one")))
    made = awaited(own.backup_tenant_data(*WEDOSOFT))
    with helpdesk.get_db_session(*WEDOSOFT) as session:
        session.query(helpdesk.Ticket).delete()
        session.commit()
    restored = awaited(own.restore_tenant_data("wedosoft", "freshdesk", made))
    assert restored.rows["tickets"] == 2
    with pytest.raises(LookupError):
        awaited(own.restore_tenant_data("rival", "freshdesk", made))
