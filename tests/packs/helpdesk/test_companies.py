"""A company's settings, the migrations of its own rows, and that a request stays with its company."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tenantry import Tenancy
from tenantry.errors import (
    CrossTenant,
    IdentityTaken,
    MigrationScriptMissing,
    SecretRefused,
    TenantNotFound,
    TenantRequired,
    TenantsDisagree,
    VersionUnlike,
)
from tenantry.packs.helpdesk import (
    Company,
    Helpdesk,
    HelpdeskBase,
    IntegratedObject,
    IntegratedObjectRepository,
    SchemaVersion,
    TenantConfig,
    TenantSchemaManager,
    Ticket,
    TicketRepository,
    company_key,
    door,
    get_database,
    get_db_manager,
    get_db_session,
    get_tenant_tickets,
    store_integrated_object_with_migration,
)
from tenantry.web.context import TenantContext, carry

WEDOSOFT = ("wedosoft", "freshdesk")


@pytest.fixture(scope="module")
def tenancy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    made = Tenancy(f"sqlite:///{tmp_path_factory.mktemp('desk')}", models=HelpdeskBase)
    door.use(made, Helpdesk(made))
    made.install(create_tables=True)
    for name in ("wedosoft", "rival"):
        with get_db_session(name, "freshdesk") as session:
            session.add_all([Company(name=name), Ticket(subject=f"of {name}")])
            session.commit()
    yield made
    door.reset()
    made.close()


@pytest.fixture
def in_request(tenancy: Tenancy) -> Iterator[None]:
    """A request of wedosoft's."""
    with get_db_session(*WEDOSOFT) as session:
        tenant = session.tenant
    carry(TenantContext(correlation_id="c", found=tenant))
    yield
    carry(None)


def awaited(coroutine: Any) -> Any:
    async def closing() -> Any:
        try:
            return await coroutine
        finally:
            await door.aio.close()

    return asyncio.run(closing())


@pytest.mark.ledger("S0-009")
@pytest.mark.usefixtures("tenancy")
def test_settings_are_each_companys_own() -> None:
    config, other = TenantConfig(*WEDOSOFT), TenantConfig("rival", "freshdesk")
    config.set("language", "en")
    config.set("hours", {"from": 8, "to": 17})
    config.set("key", "env:FRESHDESK_KEY", is_secret_ref=True)
    assert config.get("hours") == {"from": 8, "to": 17}
    assert config.list() == {"hours": {"from": 8, "to": 17}, "key": "env:FRESHDESK_KEY", "language": "en"}
    assert (other.list(), other.get("language", "de")) == ({}, "de")
    with pytest.raises(SecretRefused):
        config.set("key", "hunter2", is_secret_ref=True)
    assert config.validate() == []
    assert "letters, digits" in TenantConfig("a b", "freshdesk").validate()[0]
    with pytest.raises(TenantNotFound):
        TenantConfig("nobody", "freshdesk").list()


@pytest.fixture
def scripts() -> Iterator[None]:
    TenantSchemaManager.register("1", "2", "UPDATE tickets SET type = 'two'", description="Types.")
    TenantSchemaManager.register(
        "2", "3", lambda session: session.execute(update(Ticket).values(source="three")), "UPDATE nowhere SET x = 1"
    )
    yield
    TenantSchemaManager.scripts.clear()


@pytest.mark.ledger("S0-083")
@pytest.mark.usefixtures("tenancy", "scripts")
def test_rows_are_migrated_version_by_version() -> None:
    manager = TenantSchemaManager(*WEDOSOFT)
    assert manager.get_migration_script("1", "2") == "UPDATE tickets SET type = 'two'"
    assert awaited(manager.migrate_tenant_data("1", "2")) is True
    assert awaited(manager.migrate_tenant_data("1", "2")) is False
    with pytest.raises(MigrationScriptMissing):
        awaited(manager.migrate_tenant_data("2", "9"))
    with pytest.raises(Exception, match="nowhere"):
        awaited(manager.migrate_tenant_data("2", "3"))
    with get_db_session(*WEDOSOFT) as session:
        ticket = session.query(Ticket).one()
        assert (ticket.type, ticket.source) == ("two", None)
        versions = {row.version: row.success for row in session.query(SchemaVersion)}
        assert versions == {"2": True, "3": False}
    TenantSchemaManager.register("2", "3", lambda session: session.execute(update(Ticket).values(source="three")))
    assert awaited(manager.migrate_tenant_data("2", "3")) is True
    with pytest.raises(VersionUnlike):
        awaited(manager.migrate_tenant_data("1", "2"))
    with get_db_session(*WEDOSOFT) as session:
        assert session.query(Ticket).one().source == "three"
        assert session.query(SchemaVersion).filter_by(version="3").one().success
    with get_db_session("rival", "freshdesk") as session:
        assert session.query(Ticket).one().type is None


@pytest.mark.ledger("S0-077")
@pytest.mark.usefixtures("in_request")
def test_a_request_stays_with_its_company() -> None:
    rival = ("rival", "freshdesk")
    with get_db_session() as session:
        assert session.query(Ticket).one().subject == "of wedosoft"
    assert [ticket.subject for ticket in awaited(TicketRepository().get_recent_tickets())] == ["of wedosoft"]
    assert len(awaited(TicketRepository(*WEDOSOFT).get_recent_tickets())) == 1
    with pytest.raises(TenantsDisagree):
        get_db_session(*rival)
    with pytest.raises(TenantsDisagree):
        get_db_session("somebody-new", "freshdesk")
    data = {"original_id": "1", "object_type": "ticket", "tenant_id": "rival", "platform": "freshdesk"}
    for refused in (
        TicketRepository(*rival).get_recent_tickets(),
        TicketRepository(*rival).create_ticket({"subject": "x"}),
        TicketRepository("nobody", "freshdesk").get_recent_tickets(),
        get_tenant_tickets(*rival),
        get_database(*rival).get_tickets(),
        get_database(*rival).connect(),
        get_database("nobody", "freshdesk").get_tickets(),
        IntegratedObjectRepository().create(data),
        store_integrated_object_with_migration(data),
        store_integrated_object_with_migration(data, use_legacy=True),
    ):
        with pytest.raises(TenantsDisagree):
            awaited(refused)


@pytest.mark.ledger("S0-059")
@pytest.mark.usefixtures("tenancy")
def test_bare_repositories_page_stream_and_follow_the_session_that_they_are_given() -> None:
    async def read() -> tuple[list[str], int, list[str]]:
        tickets = TicketRepository(*WEDOSOFT)
        streamed = [ticket.subject async for ticket in tickets.stream()]
        total = (await tickets.query().filter(Ticket.status == "open").page(1, 10)).total
        async with door.aio.session(company_key(*WEDOSOFT)) as session:
            given = TicketRepository(session)
            await given.create_ticket({"subject": "never committed"})
            seen = sorted(ticket.subject for ticket in await given.get_recent_tickets())
        return streamed, total, seen

    assert awaited(read()) == (["of wedosoft"], 1, ["never committed", "of wedosoft"])
    with get_db_session(*WEDOSOFT) as session:
        assert [ticket.subject for ticket in TicketRepository(session).get_recent_tickets()] == ["of wedosoft"]


@pytest.mark.ledger("S0-047")
@pytest.mark.usefixtures("in_request")
def test_a_stream_stays_with_the_requests_company() -> None:
    async def read() -> list[Ticket]:
        return [ticket async for ticket in TicketRepository("rival", "freshdesk").stream()]

    with pytest.raises(TenantsDisagree):
        awaited(read())


@pytest.mark.ledger("S0-047")
@pytest.mark.usefixtures("tenancy")
def test_without_a_company_nobodys_rows_are_read() -> None:
    with pytest.raises(TenantRequired):
        awaited(TicketRepository().get_recent_tickets())
    with pytest.raises(TenantRequired), get_db_session() as session:
        session.query(Ticket).all()
    with pytest.raises(TenantNotFound):
        awaited(TicketRepository("nobody", "freshdesk").get_recent_tickets())
    with pytest.raises(TenantRequired):
        awaited(store_integrated_object_with_migration({"original_id": "1"}, use_legacy=True))


@pytest.mark.ledger("S0-047")
@pytest.mark.usefixtures("tenancy")
def test_an_object_is_stored_by_number_and_never_across_companies() -> None:
    repository = IntegratedObjectRepository(*WEDOSOFT)
    first = awaited(repository.store({"original_id": "7", "title": "One"}))
    again = awaited(repository.store({"original_id": "7", "title": "Two", "tenant_id": "wedosoft"}))
    assert (again.id, again.title) == (first.id, "Two")
    with pytest.raises(CrossTenant):
        awaited(repository.store({"original_id": "7", "title": "Three", "tenant_id": "rival"}))
    with get_db_session("rival", "freshdesk") as session:
        assert session.query(IntegratedObject).all() == []


@pytest.mark.ledger("S0-047")
@pytest.mark.usefixtures("tenancy")
def test_managers_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SQLITE_DATA_DIR", str(tmp_path))
    manager = get_db_manager(*WEDOSOFT)
    assert manager is get_db_manager(*WEDOSOFT)
    assert manager is not get_db_manager("wedosoft", "zendesk")
    with manager.session() as session:
        assert session.query(Company).one().name == "wedosoft"
    manager.legacy.store({"original_id": "1"})
    assert manager.database.legacy.count() == 1


@pytest.mark.ledger("S0-048")
def test_a_new_company_in_a_session_of_none_becomes_a_tenant(tenancy: Tenancy) -> None:
    with get_db_session() as session:
        session.add(Company(name="acme", platform="zendesk", tickets=[Ticket(subject="first")]))
        session.commit()
        made = session.tenant
    with get_db_session("acme", "zendesk") as session:
        assert session.tenant.id == made.id
        assert session.query(Ticket).one().platform == "zendesk"
    with get_db_session() as session:
        assert session.query(Company).filter_by(name="acme", platform="zendesk").one().id == made.id
    with get_db_session() as session:
        session.add(Company(name="acme", platform="zendesk"))
        with pytest.raises(IdentityTaken):
            session.flush()
    tenancy.tenants.erase(made, confirm=made.slug)
