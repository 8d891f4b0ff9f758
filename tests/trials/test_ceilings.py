"""Limits that hold when many come at once: tenants, statements' time, suspended tenants, installs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tenantry import Tenancy, errors
from tenantry.settings import Config

from .installations import Installation, PostgresInstallation, SqliteInstallation
from .models import Base

THREADS = 16
LIMIT = 5
SECONDS = 0.3

# Work without end for each database; RLS and the wall are in its way or not, it makes no difference.
ENDLESS = {
    "postgresql": "select count(*) from generate_series(1, 1000000000) as a(n)",
    "sqlite": "with recursive a(n) as (select 1 union all select n + 1 from a) select count(*) from a",
}
FETCHED = "with recursive a(n) as (select 1 union all select n + 1 from a) select n from a where n < 4 or n > 99999999"


@pytest.fixture(params=["postgresql", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, postgres: Any, tmp_path: Path) -> Iterator[Installation]:
    """An installation without tenants."""
    installation = PostgresInstallation(postgres) if kind == "postgresql" else SqliteInstallation(tmp_path / "data")
    yield installation
    installation.close()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Returns what each of *works* gave or raised, all of them begun together."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait(60)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.parametrize("isolation", ["rows", "database"])
def test_a_race_for_the_last_places_ends_at_the_ceiling(place: Installation, isolation: str) -> None:
    config = Config(max_tenants=LIMIT)
    with contextlib.closing(place.tenancy(config=config)) as tenancy:

        def create(number: int) -> Any:
            return tenancy.tenants.create(f"t{number}", isolation=isolation)

        outcomes = at_once(*[lambda number=number: create(number) for number in range(THREADS)])
        assert Counter(type(outcome).__name__ for outcome in outcomes) == {
            "Tenant": LIMIT,
            "TenantLimitReached": THREADS - LIMIT,
        }
        assert len(tenancy.tenants.list()) == LIMIT
        tenancy.tenants.erase(tenancy.tenants.list()[0].id, confirm=tenancy.tenants.list()[0].slug)
        assert tenancy.tenants.create("one-more", isolation=isolation)
        with pytest.raises(errors.TenantLimitReached):
            tenancy.tenants.create("one-too-many", isolation=isolation)


def test_a_race_for_one_slug_has_one_winner(place: Installation) -> None:
    with contextlib.closing(place.tenancy()) as tenancy:
        outcomes = at_once(*[lambda: tenancy.tenants.create("acme", isolation="database")] * THREADS)
        won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        lost = {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)}
        assert len(won) == 1
        assert lost <= {errors.TenantExists, errors.CreationInProgress}
        with tenancy.session("acme") as db:
            assert db.execute(text("select count(*) from tickets")).scalar_one() == 0


def test_creation_can_be_switched_off(place: Installation) -> None:
    config = Config(allow_tenant_creation=False)
    with contextlib.closing(place.tenancy(config=config)) as tenancy:
        with pytest.raises(errors.TenantCreationDisabled):
            tenancy.tenants.create("acme")
        assert tenancy.tenants.list() == []


def test_a_suspended_tenant_is_refused_here_at_once_and_elsewhere_in_time(place: Installation) -> None:
    place.fill("acme")
    config = Config(route_ttl=0.5)
    with (
        contextlib.closing(place.tenancy(config=config)) as here,
        contextlib.closing(place.tenancy(config=config)) as elsewhere,
    ):
        for tenancy in (here, elsewhere):
            with tenancy.session("acme") as db:
                assert db.execute(text("select count(*) from tickets")).scalar_one() == 2
        here.tenants.suspend("acme")
        with pytest.raises(errors.TenantSuspended):
            here.session("acme").__enter__()
        time.sleep(0.5)
        with pytest.raises(errors.TenantSuspended):
            elsewhere.session("acme").__enter__()
        with pytest.raises(errors.TenantSuspended):
            asyncio.run(enter_async(elsewhere))
        here.tenants.resume("acme")
        for tenancy in (here, elsewhere):
            with tenancy.session("acme") as db:
                assert db.execute(text("select count(*) from tickets")).scalar_one() == 2


async def enter_async(tenancy: Tenancy) -> None:
    try:
        async with tenancy.aio.session("acme"):
            pass
    finally:
        await tenancy.aio.close()


def test_two_installs_at_once_are_safe(kind: str, postgres: Any, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        if kind == "postgresql":
            # Two of one database and two of another database of the same server, which share the roles.
            urls = [stack.enter_context(postgres.lend_database()) for _ in range(2)] * 2
        else:
            urls = [f"sqlite:///{tmp_path / 'data'}"] * 4
        tenancies = [stack.enter_context(contextlib.closing(installing(url))) for url in urls]
        assert at_once(*[lambda t=t: t.install(create_tables=True) for t in tenancies]) == [None] * 4
        assert at_once(*[lambda t=t: t.install(create_tables=True) for t in tenancies]) == [None] * 4
        for number, tenancy in enumerate(tenancies[:2]):
            if kind == "postgresql" or number == 0:
                assert tenancy.tenants.create("acme", isolation="database")


def installing(url: str) -> Tenancy:
    return Tenancy(url, models=Base, owner_url=url) if url.startswith("postgresql") else Tenancy(url, models=Base)


@pytest.mark.mainly("embedded-rows")
@pytest.mark.parametrize("isolation", ["rows", "database"])
def test_a_statement_without_end_is_stopped(place: Installation, kind: str, isolation: str) -> None:
    place.fill("acme", isolation=isolation)
    with contextlib.closing(place.tenancy(config=Config(statement_timeout=SECONDS))) as tenancy:
        with tenancy.session("acme") as db:
            with pytest.raises(errors.QueryTimeout) as stopped:
                db.execute(text(ENDLESS[kind])).all()
            db.rollback()
            assert db.execute(text("select count(*) from tickets")).scalar_one() == 2
        assert stopped.value.seconds == SECONDS
        assert "0.3 s" in str(stopped.value)
        # The next statement has its whole time again, and the pool's next borrower too.
        with tenancy.session("acme") as db:
            time.sleep(SECONDS)
            assert db.execute(text("select count(*) from tickets")).scalar_one() == 2
            time.sleep(SECONDS)
            assert db.execute(text("select 1")).scalar_one() == 1


async def stop_async(tenancy: Tenancy, kind: str) -> int:
    try:
        async with tenancy.aio.session("acme") as db:
            with pytest.raises(errors.QueryTimeout):
                (await db.execute(text(ENDLESS[kind]))).all()
            await db.rollback()
            await asyncio.sleep(SECONDS)
            return (await db.execute(text("select count(*) from tickets"))).scalar_one()
    finally:
        await tenancy.aio.close()


@pytest.mark.parametrize("isolation", ["rows", "schema", "database"])
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_statement_without_end_is_stopped_by_the_async_drivers(
    installed: PostgresInstallation, driver: str, isolation: str
) -> None:
    # Each makes the same tenant, so its name may not rest.
    config = Config(statement_timeout=SECONDS, route_ttl=0.0)
    with contextlib.closing(installed.tenancy(driver=driver, config=config)) as tenancy:
        tenancy.tenants.create("acme", isolation=isolation)
        assert asyncio.run(stop_async(tenancy, "postgresql")) == 0
        tenancy.tenants.erase("acme", confirm="acme")


@pytest.mark.parametrize("isolation", ["rows", "database"])
def test_a_statement_without_end_is_stopped_on_aiosqlite(directory: SqliteInstallation, isolation: str) -> None:
    directory.fill("acme", isolation=isolation)
    with contextlib.closing(directory.tenancy(config=Config(statement_timeout=SECONDS))) as tenancy:
        assert asyncio.run(stop_async(tenancy, "sqlite")) == 2


@pytest.mark.parametrize("isolation", ["rows", "database"])
def test_an_endless_fetch_is_stopped_too(directory: SqliteInstallation, isolation: str) -> None:
    """SQLite runs a statement as its rows are fetched, one ahead: the third comes at once, the fourth never."""
    directory.fill("acme", isolation=isolation)
    limited = directory.tenancy(config=Config(statement_timeout=SECONDS))
    with contextlib.closing(limited) as tenancy, tenancy.session("acme") as db:
        result = db.execute(text(FETCHED))
        time.sleep(SECONDS)  # the program's own time, which is not the statement's
        assert (result.fetchone(), result.fetchone()) == ((1,), (2,))
        with pytest.raises(errors.QueryTimeout):
            result.fetchall()


def test_a_write_that_is_stopped_takes_its_transaction_along(directory: SqliteInstallation) -> None:
    directory.fill("acme", isolation="database")
    endless = f"insert into tickets select t.tenant_id, hex(randomblob(16)), 'x', 0 from tickets t, ({FETCHED})"
    with contextlib.closing(directory.tenancy(config=Config(statement_timeout=SECONDS))) as tenancy:
        with tenancy.session("acme") as db:
            db.execute(text("update tickets set n = 9"))
            with pytest.raises(errors.QueryTimeout):
                db.execute(text(endless))
            with pytest.raises(errors.ContextLost):
                db.execute(text("select 1"))
        with tenancy.session("acme") as db:
            assert db.execute(text("select max(n) from tickets")).scalar_one() == 0


def test_somebody_elses_cancel_is_not_taken_for_the_limit(installed: PostgresInstallation) -> None:
    with contextlib.closing(installed.tenancy(config=Config(statement_timeout=60.0))) as tenancy:
        tenancy.tenants.create("cancelled")
        with tenancy.session("cancelled") as db:
            backend = db.execute(text("select pg_backend_pid()")).scalar_one()
            canceller = threading.Thread(target=cancel_when_busy, args=(installed, backend))
            canceller.start()
            with pytest.raises(Exception, match="user request") as stopped:
                db.execute(text(ENDLESS["postgresql"]))
            canceller.join(60)
        assert not isinstance(stopped.value, errors.QueryTimeout)


def cancel_when_busy(installed: PostgresInstallation, backend: int) -> None:
    with installed.server.admin() as connection:
        question = "select pg_cancel_backend(pid) from pg_stat_activity where pid = %s and query like '%%series%%'"
        for _ in range(2000):
            if connection.execute(question, (backend,)).fetchone():
                return
            time.sleep(0.01)


@pytest.mark.parametrize("value", [0, -1, 0.0])
def test_a_limit_of_no_time_is_refused(value: float) -> None:
    with pytest.raises(errors.ConfigurationError):
        Config(statement_timeout=value)
