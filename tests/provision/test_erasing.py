"""What is erased is counted while nobody can add to it; what is not ours is refused by name, unless it is to go too."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import DDL, ForeignKey, MetaData, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy, errors
from tenantry.isolation import database, schema
from tenantry.models import TenantOwned

from .models import Note, Ticket
from .places import Place, PostgresPlace, SqlitePlace

EMPTY = {"companies": 0, "notes": 0, "tickets": 0}


def fill(tenancy: Tenancy, slug: str, isolation: str) -> Any:
    tenant = tenancy.tenants.create(slug, isolation=isolation, record={"name": slug})
    with tenancy.transaction(slug) as db:
        tickets = [Ticket(subject=str(number)) for number in range(3)]
        db.add_all(tickets)
        db.flush()
        db.add(Note(text="", ticket_id=tickets[0].id))
    return tenant


@contextlib.contextmanager
def inside(place: Place, tenant: Any) -> Iterator[Any]:
    """Lends the administrator's connection to a tenant's placement, where its tables are found by plain names."""
    if isinstance(place, PostgresPlace):
        name = tenant.physical if tenant.isolation == "database" else place.database
        with place.server.admin(name) as connection:
            if tenant.isolation == "schema":
                connection.execute(f"SET search_path = {tenant.physical}")
            yield connection
    else:
        assert isinstance(place, SqlitePlace)
        with place.opened() as tenancy, tenancy.servers.main.connection(tenant.physical) as connection:
            yield connection.connection.driver_connection


def check_counted(place: Place, isolation: str) -> None:
    with place.opened(route_ttl=0.0) as tenancy:
        fill(tenancy, "acme", isolation)
        assert tenancy.tenants.erase("acme", confirm="acme") == {"companies": 1, "tickets": 3, "notes": 1}
        tenancy.tenants.create("acme", isolation=isolation)
        assert tenancy.tenants.erase("acme", confirm="acme") == EMPTY


def test_who_had_it_open_is_shown_nothing_of_what_went(own: tuple[Place, str]) -> None:
    place, isolation = own
    # The slug rests for no time, so that what stands behind that is tried.
    with place.opened(route_ttl=0.0) as tenancy, place.opened() as another:
        fill(tenancy, "acme", isolation)

        def seen() -> list[str]:
            with another.session("acme") as db:
                return list(db.scalars(select(Ticket.subject)))

        assert len(seen()) == 3
        tenancy.tenants.erase("acme", confirm="acme")
        tenancy.tenants.create("acme", isolation=isolation)
        with contextlib.suppress(errors.TenantryError, DBAPIError):
            assert seen() == []


def test_what_went_is_counted(own: tuple[Place, str]) -> None:
    check_counted(*own)


def test_what_went_of_common_tables_is_counted(place: Place) -> None:
    check_counted(place, "rows")


def test_a_place_that_is_behind_in_its_migrations_goes_too(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenant = fill(tenancy, "acme", isolation)
        with inside(place, tenant) as connection:
            connection.execute("DROP TABLE notes")
        assert tenancy.tenants.erase("acme", confirm="acme") == {"companies": 1, "tickets": 3}


class RoundBase(DeclarativeBase):
    pass


class Team(TenantOwned, RoundBase):
    __tablename__ = "teams"
    captain_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("players.id", use_alter=True))


class Player(TenantOwned, RoundBase):
    __tablename__ = "players"
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"))
    rival_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("players.id"))


@pytest.mark.parametrize("isolation", ["rows", "own"])
def test_rows_that_refer_to_each_other_in_a_circle_go_together(place: Place, isolation: str, tmp_path: Path) -> None:
    chosen = place.isolations[0] if isolation == "own" else isolation
    if isinstance(place, SqlitePlace):
        # The common file of the other models stands already.
        opened: Any = contextlib.closing(Tenancy(f"sqlite:///{tmp_path / 'round'}", models=RoundBase))
    else:
        opened = place.opened(RoundBase)
    with opened as tenancy:
        tenancy.install(create_tables=True)
        for slug in ("acme", "other"):
            tenancy.tenants.create(slug, isolation=chosen)
            with tenancy.transaction(slug) as db:
                team = Team(id=uuid.uuid4())
                db.add(team)
                db.flush()
                first = Player(id=uuid.uuid4(), team_id=team.id)
                db.add(first)
                db.flush()
                db.add(Player(team_id=team.id, rival_id=first.id))
                team.captain_id = first.id
        assert tenancy.tenants.erase("acme", confirm="acme") == {"teams": 1, "players": 2}
        with tenancy.session("other") as db:
            assert len(db.scalars(select(Player)).all()) == 2


# The last two have the names of what a search needs, and are nothing of the kind.
@pytest.mark.parametrize("name", ["jottings", "tenantry_find_jottings", "tenantry_search"])
def test_a_table_of_somebody_elses_is_refused_by_name(own: tuple[Place, str], name: str) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenant = fill(tenancy, "acme", isolation)
        with inside(place, tenant) as connection:
            connection.execute(f"create table {name} (line text)")
        with pytest.raises(errors.SurprisingErase, match=name):
            tenancy.tenants.erase("acme", confirm="acme")
        with inside(place, tenant) as connection:
            assert connection.execute("select count(*) from tickets").fetchone() == (3,)
        gone = tenancy.tenants.erase("acme", confirm="acme", force=True)
        assert gone == {"companies": 1, "tickets": 3, "notes": 1}


def test_a_view_elsewhere_on_a_tenants_table_is_refused_by_name(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy, on_postgres.server.admin(on_postgres.database) as admin:
        tenant = fill(tenancy, "acme", "schema")
        admin.execute("create schema reports")
        admin.execute(f"create view reports.of_acme as select subject from {tenant.physical}.tickets")
        with pytest.raises(errors.SurprisingErase, match="reports"):
            tenancy.tenants.erase("acme", confirm="acme")
        admin.execute("drop view reports.of_acme")
        assert tenancy.tenants.erase("acme", confirm="acme")["tickets"] == 3


def test_what_the_models_own_ddl_makes_is_not_foreign(postgres: Any) -> None:
    class Base(DeclarativeBase):
        metadata = MetaData()

    class Ticket(TenantOwned, Base):
        __tablename__ = "tickets"
        subject: Mapped[str]

    function = "CREATE FUNCTION shout(word text) RETURNS text LANGUAGE sql AS $$ SELECT upper(word) $$"
    event.listen(Base.metadata, "after_create", DDL(function).execute_if(dialect="postgresql"))
    with postgres.lend_database() as url:
        tenancy = Tenancy(url, models=Base)
        tenancy.install()
        tenant = tenancy.tenants.create("acme", isolation="schema")
        with postgres.admin(url.rpartition("/")[2]) as admin:
            admin.execute(f"create function {tenant.physical}.whisper() returns int language sql as 'select 1'")
            with pytest.raises(errors.SurprisingErase, match=r"function whisper\(\)"):
                tenancy.tenants.erase("acme", confirm="acme")
            admin.execute(f"drop function {tenant.physical}.whisper()")
        assert tenancy.tenants.erase("acme", confirm="acme") == {"tickets": 0}
        tenancy.close()


@pytest.mark.parametrize("isolation", ["schema", "database"])
def test_rows_of_another_tenant_are_refused(on_postgres: PostgresPlace, isolation: str) -> None:
    with on_postgres.opened() as tenancy:
        tenant = fill(tenancy, "acme", isolation)
        with inside(on_postgres, tenant) as connection:
            connection.execute(
                "insert into tickets (tenant_id, id, subject) values (%s, %s, '')", (uuid.uuid4(), uuid.uuid4())
            )
        with pytest.raises(errors.SurprisingErase, match="1 rows of tickets which belong to another tenant"):
            tenancy.tenants.erase("acme", confirm="acme")
        assert tenancy.tenants.erase("acme", confirm="acme", force=True)["tickets"] == 4


@pytest.mark.parametrize("isolation", ["schema", "database"])
def test_a_session_that_holds_on_is_waited_for_and_not_for_ever(
    on_postgres: PostgresPlace, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    for module in (schema, database):
        monkeypatch.setattr(module, "PATIENCE", "lock_timeout = '100ms'")
    with on_postgres.opened() as tenancy, on_postgres.opened() as other:
        fill(tenancy, "acme", isolation)
        with other.session("acme") as db:
            db.add(Ticket(subject="late"))
            db.flush()
            with pytest.raises(errors.SurprisingErase, match="another session"):
                tenancy.tenants.erase("acme", confirm="acme")
            db.commit()
        assert tenancy.tenants.erase("acme", confirm="acme")["tickets"] == 4


def test_rows_that_appear_in_common_tables_meanwhile_keep_all_of_them(on_postgres: PostgresPlace) -> None:
    """A session in another process writes into a table whose rows were deleted, while a later table is waited for."""
    with on_postgres.opened() as tenancy, on_postgres.opened() as other, ThreadPoolExecutor(1) as pool:
        tenant = fill(tenancy, "acme", "rows")
        with other.session("acme") as db:
            db.execute(text("update companies set name = 'held'"))
            erasing = pool.submit(tenancy.tenants.erase, "acme", confirm="acme")
            wait_until_blocked(on_postgres)
            db.add(Ticket(subject="late"))
            db.commit()
        with pytest.raises(errors.SurprisingErase, match="1 rows of tickets appeared meanwhile"):
            erasing.result(timeout=60)
        with on_postgres.server.admin(on_postgres.database) as admin:
            question = "select count(*) from public.tickets where tenant_id = %s"
            assert admin.execute(question, (tenant.id,)).fetchone() == (4,)
        assert tenancy.tenants.erase("acme", confirm="acme")["tickets"] == 4


def wait_until_blocked(place: PostgresPlace) -> None:
    question = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = %s"
    with place.server.admin() as admin:
        for _ in range(1200):
            if admin.execute(question, (place.database,)).fetchone():
                return
            time.sleep(0.05)
    raise AssertionError("nobody came to wait")


def test_an_erase_that_was_refused_can_be_repeated(own: tuple[Place, str]) -> None:
    place, isolation = own
    with place.opened() as tenancy:
        tenant = fill(tenancy, "acme", isolation)
        with inside(place, tenant) as connection:
            connection.execute("create table jottings (line text)")
        for _ in range(2):
            with pytest.raises(errors.SurprisingErase):
                tenancy.tenants.erase("acme", confirm="acme")
        with inside(place, tenant) as connection:
            connection.execute("drop table jottings")
        assert tenancy.tenants.erase("acme", confirm="acme")["tickets"] == 3
