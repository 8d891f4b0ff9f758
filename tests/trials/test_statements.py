"""What goes over the wire: nothing set for a whole connection, no user's text in a statement, no trip too many."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tenantry import Tenancy, errors
from tenantry.settings import Config

from .installations import PostgresInstallation
from .models import Base, Company, Ticket
from .recorder import Recorder

MARK = "zq7mark"
DRIVERS = ("psycopg", "asyncpg")
# Parts of statements in which the word is no command of its own.
HARMLESS = re.compile(
    r"\$(\w*)\$.*?\$\1\$"  # the body of a function: its own SET clauses end with the call
    r"|create (or replace )?function.*|alter (role|database) .*|update .*|on delete set .*",
    re.IGNORECASE | re.DOTALL,
)
FOR_CONNECTION = re.compile(r"^\s*set\s+(?!local\b|transaction\b|constraints\b)", re.IGNORECASE)
BY_FUNCTION = re.compile(r"set_config\((?:[^()]|\([^()]*\))*,\s*(false|'f|0)", re.IGNORECASE)


@pytest.fixture
def recorder(postgres: Any) -> Iterator[Recorder]:
    server = urlsplit(postgres.url())
    with Recorder((server.hostname, server.port)) as recorder:
        yield recorder


def of_the_connection(statements: list[str]) -> list[str]:
    """Returns the parts of *statements* that set something for longer than a transaction."""
    parts = [part for statement in statements for part in HARMLESS.sub("", statement).split(";")]
    return [part for part in parts if FOR_CONNECTION.search(part) or BY_FUNCTION.search(part)]


def through(installation: PostgresInstallation, recorder: Recorder, driver: str = "", **config: Any) -> Tenancy:
    """Returns a tenancy whose every login, the owner's too, goes through the recorder."""
    tenancy = installation.tenancy(driver=driver, address=recorder.address, config=Config(**config))
    owner = make_url(installation.owner_url).set(host=recorder.address[0], port=recorder.address[1])
    return Tenancy(
        tenancy.servers.main.url("app", action="").render_as_string(hide_password=False),
        models=Base,
        owner_url=owner.render_as_string(hide_password=False),
        operator_url=tenancy.servers.main.url("operator", action="").render_as_string(hide_password=False),
        platform_url=tenancy.servers.main.url("platform", action="").render_as_string(hide_password=False),
        config=Config(**config),
    )


def live(tenancy: Tenancy) -> None:
    """Takes tenants with marked names through their whole life."""
    tenancy.install(create_tables=True)
    for isolation in ("rows", "schema", "database"):
        slug = f"{MARK}-{isolation}"
        tenancy.tenants.create(
            slug,
            name=f"{MARK} & Söhne",
            isolation=isolation,
            identities={"slack_team": f"{MARK}_{isolation}"},
            settings={"plan": MARK},
            record={"name": MARK},
        )
        with tenancy.session(("slack_team", f"{MARK}_{isolation}"), isolation_level="REPEATABLE READ") as db:
            db.add(Ticket(subject=MARK))
            db.commit()
            assert [ticket.subject for ticket in db.scalars(select(Ticket))] == [MARK]
            with db.begin_nested():
                assert db.get(Company, db.tenant.id).name == MARK
        with tenancy.session(slug, read_only=True) as db:
            assert db.scalars(select(Ticket)).all()
        tenancy.tenants.suspend(slug)
        tenancy.tenants.resume(slug)
        tenancy.tenants.rename(slug, f"{MARK}-{isolation}-2")
    with tenancy.operator(f"because {MARK}") as db:
        db.execute(text("select count(*) from tickets"))
    with tenancy.platform() as db:
        db.execute(text("select count(*) from tenantry_shared.countries"))
    tenancy.each(lambda db: db.scalars(select(Ticket)).all())
    for isolation in ("rows", "schema", "database"):
        tenancy.tenants.erase(f"{MARK}-{isolation}-2", confirm=f"{MARK}-{isolation}-2")


async def live_async(tenancy: Tenancy) -> None:
    """Takes sessions through the async door."""
    await tenancy.aio.tenants.create(f"{MARK}-aio", record={"name": MARK})
    async with tenancy.aio.transaction(f"{MARK}-aio") as db:
        db.add(Ticket(subject=MARK))
    async with tenancy.aio.session(f"{MARK}-aio", read_only=True) as db:
        assert [ticket.subject for ticket in await db.scalars(select(Ticket))] == [MARK]
    async with tenancy.aio.operator(f"because {MARK}") as db:
        await db.execute(text("select count(*) from tickets"))
    await tenancy.aio.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_setting_outlives_its_transaction_and_no_name_is_in_a_statement(
    fresh: PostgresInstallation, recorder: Recorder, driver: str
) -> None:
    tenancy = through(fresh, recorder, driver)
    live(tenancy)
    asyncio.run(live_async(tenancy))
    tenancy.close()
    print(f"\n{driver}: {len(recorder.statements)} statements")
    assert len(recorder.statements) > 200
    assert any(
        statement.startswith("BEGIN") and "SET LOCAL tenantry.tenant" in statement for statement in recorder.statements
    )
    assert of_the_connection(recorder.statements) == []
    assert [statement for statement in recorder.statements if MARK in statement] == []


def test_the_recorder_sees_what_must_not_be(installed: PostgresInstallation, recorder: Recorder) -> None:
    """The control: each of these is found, and what the library sends is not."""
    url = make_url(installed.urls["app"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url.set(host=recorder.address[0], port=recorder.address[1]))
    planted = [
        f"set tenantry.tenant = '{uuid.uuid4()}'",
        "select 1; set search_path = public",
        "select set_config('tenantry.tenant', '', false)",
    ]
    with engine.connect() as connection:
        for statement in planted:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("set local search_path = public")
    engine.dispose()
    assert len(of_the_connection(recorder.statements)) == len(planted)


def one_read(tenancy: Tenancy, slug: str) -> None:
    with tenancy.session(slug) as db:
        db.scalars(select(Ticket)).all()


async def one_read_async(tenancy: Tenancy, slug: str) -> None:
    async with tenancy.aio.session(slug) as db:
        (await db.scalars(select(Ticket))).all()


def count_own(tenancy: Tenancy, slug: str, recorder: Recorder) -> int:
    one_read(tenancy, slug)
    with recorder.from_here():
        one_read(tenancy, slug)
    return recorder.round_trips


async def count_own_async(tenancy: Tenancy, slug: str, recorder: Recorder) -> int:
    await one_read_async(tenancy, slug)
    with recorder.from_here():
        await one_read_async(tenancy, slug)
        trips = recorder.round_trips
    await tenancy.aio.close()
    return trips


def plain_url(installation: PostgresInstallation, recorder: Recorder, drivername: str) -> Any:
    url = make_url(installation.owner_url).set(drivername=drivername)
    return url.set(host=recorder.address[0], port=recorder.address[1])


READ = select(Ticket).where(Ticket.tenant_id == uuid.UUID(int=1))


def count_plain(installation: PostgresInstallation, recorder: Recorder) -> int:
    engine = create_engine(plain_url(installation, recorder, "postgresql+psycopg"))
    for _ in range(2):
        with recorder.from_here(), Session(engine) as db:
            db.scalars(READ).all()
    engine.dispose()
    return recorder.round_trips


async def count_plain_async(installation: PostgresInstallation, recorder: Recorder, drivername: str) -> int:
    engine = create_async_engine(plain_url(installation, recorder, drivername))
    for _ in range(2):
        with recorder.from_here():
            async with AsyncSession(engine) as db:
                (await db.scalars(READ)).all()
            trips = recorder.round_trips
    await engine.dispose()
    return trips


@pytest.mark.parametrize("isolation", ["rows", "schema", "database"])
@pytest.mark.parametrize("door", ["sync", "async-psycopg", "async-asyncpg"])
def test_a_transaction_of_one_read_takes_as_many_trips_as_plain_sqlalchemy(
    installed: PostgresInstallation, recorder: Recorder, door: str, isolation: str
) -> None:
    slug = f"trips-{door}-{isolation}"
    installed.fill(slug, isolation=isolation)
    driver = "asyncpg" if door == "async-asyncpg" else "psycopg"
    tenancy = through(installed, recorder, driver, route_ttl=600.0)
    if door == "sync":
        own, plain = count_own(tenancy, slug, recorder), count_plain(installed, recorder)
    else:
        name = "postgresql+asyncpg" if driver == "asyncpg" else "postgresql+psycopg_async"
        own = asyncio.run(count_own_async(tenancy, slug, recorder))
        plain = asyncio.run(count_plain_async(installed, recorder, name))
    tenancy.close()
    print(f"\n{door}, {isolation}: {own} round trips, plain SQLAlchemy {plain}")
    assert 0 < own <= plain


def test_a_malformed_key_sends_nothing(installed: PostgresInstallation, recorder: Recorder) -> None:
    tenancy = through(installed, recorder)
    for key in ("", "Not A Slug", "a' or 'a' = 'a", ("id", "x"), 7, None):
        with pytest.raises(errors.InvalidKey), tenancy.session(key):
            pass
    assert (recorder.statements, recorder.connections) == ([], 0)
