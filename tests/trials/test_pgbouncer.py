"""Behind PgBouncer in transaction mode every transaction sees its own tenant's rows, whichever backend it gets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import make_url

from tenantry import Tenancy
from tenantry.settings import Config

from .bouncer import PROGRAM, pgbouncer
from .installations import PostgresInstallation
from .models import Ticket

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed here"),
]

CLIENTS = 8
SLUGS = {isolation: [f"{isolation}-{name}" for name in "abcd"] for isolation in ("rows", "schema")}
BEHIND = Config(prepared_statements=False, pool_size=CLIENTS, max_overflow=0)
ROWS = text("select subject from tickets")


class Pooled:
    """An installation, and the address of the pooler in front of it."""

    def __init__(self, installation: PostgresInstallation, address: tuple[str, int]) -> None:
        self.installation = installation
        self.address = address

    def tenancy(self, driver: str) -> Tenancy:
        return self.installation.tenancy(driver=driver, config=BEHIND, address=self.address)


@pytest.fixture(scope="module")
def pooled(postgres: Any) -> Iterator[Pooled]:
    installation = PostgresInstallation(postgres)
    for isolation, slugs in SLUGS.items():
        installation.fill(*slugs, isolation=isolation)
    with pgbouncer([installation.urls["app"], installation.urls["operator"]], server_connections=2) as address:
        yield Pooled(installation, address)
    installation.close()


def judge(slug: str, subjects: Any) -> str:
    found = list(subjects)
    return "right" if found and all(subject.startswith(f"{slug}/") for subject in found) else "wrong"


def visit(tenancy: Tenancy, slug: str, *, writes: bool) -> str:
    with tenancy.session(slug) as db:
        seen = judge(slug, db.execute(ROWS).scalars())
        if writes:
            ticket = db.scalars(select(Ticket).limit(1)).one()
            ticket.n += 1
        db.commit()
        return seen if judge(slug, db.scalars(select(Ticket.subject))) == "right" else "wrong"


async def visit_async(tenancy: Tenancy, slug: str, *, writes: bool) -> str:
    async with tenancy.aio.session(slug) as db:
        seen = judge(slug, (await db.execute(ROWS)).scalars())
        if writes:
            ticket = (await db.scalars(select(Ticket).limit(1))).one()
            ticket.n += 1
        await db.commit()
        return seen if judge(slug, await db.scalars(select(Ticket.subject))) == "right" else "wrong"


def orders(slugs: list[str], transactions: int) -> list[list[tuple[str, bool]]]:
    """Returns what each client visits; a visit is two transactions, and one in ten writes."""
    dice = random.Random(11)
    return [
        [(dice.choice(slugs), dice.random() < 0.1) for _ in range(transactions // (2 * CLIENTS))]
        for _ in range(CLIENTS)
    ]


def by_threads(tenancy: Tenancy, order: list[list[tuple[str, bool]]]) -> Counter[str]:
    def client(visits: list[tuple[str, bool]]) -> Counter[str]:
        return Counter(visit(tenancy, slug, writes=writes) for slug, writes in visits)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(client, order), Counter())


def by_tasks(tenancy: Tenancy, order: list[list[tuple[str, bool]]]) -> Counter[str]:
    async def client(visits: list[tuple[str, bool]]) -> Counter[str]:
        return Counter([await visit_async(tenancy, slug, writes=writes) for slug, writes in visits])

    async def clients() -> Counter[str]:
        try:
            return sum(await asyncio.gather(*map(client, order)), Counter())
        finally:
            await tenancy.aio.close()

    return asyncio.run(clients())


DOORS: dict[str, tuple[str, Callable[..., Counter[str]]]] = {
    "sync": ("psycopg", by_threads),
    "async-psycopg": ("psycopg", by_tasks),
    "async-asyncpg": ("asyncpg", by_tasks),
}


def check_pooled(pooled: Pooled, door: str, isolation: str, *, transactions: int) -> None:
    driver, run = DOORS[door]
    tenancy = pooled.tenancy(driver)
    seen = run(tenancy, orders(SLUGS[isolation], transactions))
    tenancy.close()
    print(f"\n{door}, {isolation}: {2 * seen.total()} transactions by {CLIENTS} clients, {seen['wrong']} visits wrong")
    assert seen == {"right": transactions // 2}


@pytest.mark.mainly("sync-rows", "async-asyncpg-schema")
@pytest.mark.ledger("S1-066")
@pytest.mark.parametrize("isolation", SLUGS)
@pytest.mark.parametrize("door", DOORS)
def test_a_thousand_transactions_see_their_own_rows(pooled: Pooled, door: str, isolation: str) -> None:
    check_pooled(pooled, door, isolation, transactions=1_008)


@pytest.mark.soak
@pytest.mark.parametrize("isolation", SLUGS)
@pytest.mark.parametrize("door", DOORS)
def test_ten_thousand_transactions_see_their_own_rows(pooled: Pooled, door: str, isolation: str) -> None:
    check_pooled(pooled, door, isolation, transactions=10_000)


def test_a_setting_of_the_connection_reads_wrong_rows(pooled: Pooled) -> None:
    """The control: a tenant set for the connection, as the library never does, reaches other clients' backends."""
    host, port = pooled.address
    url = make_url(pooled.installation.urls["app"]).set(drivername="postgresql+psycopg", host=host, port=port)
    engine = create_engine(url, pool_size=CLIENTS, connect_args={"prepare_threshold": None})
    tenancy = pooled.installation.tenancy()
    tenants = {slug: tenancy.tenants.get(slug).id for slug in SLUGS["rows"]}
    tenancy.close()

    def client(visits: list[tuple[str, bool]]) -> Counter[str]:
        seen: Counter[str] = Counter()
        with engine.connect() as connection:
            for slug, _ in visits:
                connection.execute(text(f"set tenantry.tenant = '{tenants[slug]}'"))
                connection.commit()
                seen[judge(slug, connection.execute(text("select subject from public.tickets")).scalars())] += 1
                connection.commit()
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        seen = sum(pool.map(client, orders(SLUGS["rows"], 800)), Counter())
    engine.dispose()
    print(f"\ncontrol: {seen['wrong']} of {seen.total()} visits wrong")
    assert seen["wrong"] > 0
