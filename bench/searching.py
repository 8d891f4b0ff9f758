"""Search in a tenant that holds a tenth of all documents, under the wall, beside the hand-written query without it."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
from sqlalchemy import column, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from tenantry import Tenancy, TenantSession
from tenantry.embedded import PostgresServer
from tenantry.ids import uuid7
from tenantry.models import TenantOwned
from tenantry.search import Search
from tenantry.settings import Config

LIMIT: Final = 2.5
_TENANTS: Final = 10
_VOCABULARY: Final = 20_000
PAGE: Final = 20
_CONFIG: Final = Config(extensions=("btree_gin", "pg_trgm"))

# From words that most documents have to one that hardly any has.
_TEXTS: Final = ("w7x", "w50x", "w3x w12x", "w1234x", "w777x or w999x")
_TITLES: Final = ("w7x w13x w1x", "w1234x w44x", "w777x")

_FIND: Final = """
select d.tenant_id, d.id, d.title, d.content, ts_rank(d.tenantry_search, q) as rank
from documents d, websearch_to_tsquery('simple', :text) q
where {tenant} d.tenantry_search @@ q order by rank desc, d.id limit 20
"""
_ALIKE: Final = """
select d.tenant_id, d.id, d.title, d.content, similarity(d.title, :text) as rank
from documents d where {tenant} d.title % :text order by rank desc, d.id limit 20
"""
_MINE: Final = "d.tenant_id = :tenant and"

Turn = Callable[[], list[Any]]


class Base(DeclarativeBase):
    """The models of a library."""


class Document(TenantOwned, Base):
    """What is searched."""

    __tablename__ = "documents"

    title: Mapped[str]
    content: Mapped[str]


def report(documents: int, rounds: int) -> None:
    """Prints how long full-text and trigram searches take with the wall and without, and how the two compare."""
    with PostgresServer() as server:
        url = server.url("bench")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER DATABASE bench SET maintenance_work_mem = '256MB'")
        tenants, login = _filled(url, documents)
        tenancy = Tenancy(login, models=Base, owner_url=url, config=_CONFIG)
        search = Search(tenancy, Document, columns=["title", "content"])
        begun = time.perf_counter()
        search.install()
        print(f"The search was put up in {time.perf_counter() - begun:.0f} s.", file=sys.stderr, flush=True)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE documents")
        _compare(tenancy, search, url, tenants[0], documents, rounds)
        tenancy.close()


def _filled(url: str, documents: int) -> tuple[list[Any], str]:
    """Makes tenants with as many documents each, not searched yet, and returns their ids and the app's login."""
    with_owner = Tenancy(url, models=Base, config=_CONFIG)
    with_owner.install(create_tables=True)
    tenants = [with_owner.tenants.create(f"tenant-{number}").id for number in range(_TENANTS)]
    login = with_owner.create_login("bench_app")
    with_owner.close()
    print(f"Writing {documents} documents ...", file=sys.stderr, flush=True)
    columns = "COPY documents (tenant_id, id, title, content) FROM STDIN"
    with psycopg.connect(url) as connection, connection.cursor().copy(columns) as copy:
        for number, row in enumerate(texts(documents)):
            copy.write_row((tenants[number % _TENANTS], uuid7(), *row))
    return tenants, login


def texts(documents: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(7)  # the same words each time
    words = [f"w{int(chance.paretovariate(0.7)) % _VOCABULARY}x" for _ in range(200_000)]
    for _ in range(documents):
        yield " ".join(chance.choices(words, k=5)), " ".join(chance.choices(words, k=60))


def _compare(tenancy: Tenancy, search: Search[Document], url: str, tenant: Any, documents: int, rounds: int) -> None:
    print(f"\n### Search in a tenant with {documents // _TENANTS} of {documents} documents ({rounds} rounds)\n")
    print("| search | without the wall, ms | Search, ms | ratio | plain query under the wall, ms | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    ratios = []
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    kinds = ((_FIND, search.query, _TEXTS), (_ALIKE, search.similar, _TITLES))
    with Session(engine) as bare, tenancy.session(tenant) as session:
        bare.execute(text("SET search_path = public, tenantry_extensions"))
        for statement, method, wanted in kinds:
            for words in wanted:
                hand_written = _asking(bare, statement.format(tenant=_MINE), {"tenant": tenant, "text": words})
                naive = _asking(session, statement.format(tenant=""), {"text": words})
                walled = searching(session, method, words)
                ratios.append(_line(f"{method.__name__} `{words}`", hand_written, walled, naive, rounds))
    engine.dispose()
    print(f"\nThe greatest ratio of `Search` is {max(ratios):.2f}; at most {LIMIT} is wanted.", flush=True)


def _asking(session: Session, statement: str, asked: dict[str, Any]) -> Turn:
    """Returns the question of somebody who writes SQL and wants the rows as objects."""
    columns = Document.__table__.columns
    typed = text(statement).columns(columns.tenant_id, columns.id, columns.title, columns.content, column("rank"))
    question = select(Document, column("rank")).from_statement(typed)

    def turn() -> list[Any]:
        session.expunge_all()
        return [row.id for row, _ in session.execute(question, asked)]

    return turn


def searching(session: TenantSession, method: Any, words: str) -> Turn:
    def turn() -> list[Any]:
        session.expunge_all()
        return [hit.row.id for hit in method(session, words, limit=PAGE)]

    return turn


def _line(name: str, hand_written: Turn, walled: Turn, naive: Turn, rounds: int) -> float:
    assert hand_written() == walled() == naive(), f"{name} finds something else behind the wall"
    # In turns, so that what else the machine does falls on both.
    pairs = [(timed(hand_written), timed(walled)) for _ in range(rounds)]
    bare, under = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
    slow = statistics.median(timed(naive) for _ in range(3)) * 1e3
    print(f"| {name} | {bare:.2f} | {under:.2f} | {under / bare:.2f} | {slow:.1f} | {slow / bare:.0f} |", flush=True)
    return under / bare


def timed(turn: Turn) -> float:
    begun = time.perf_counter()
    turn()
    return time.perf_counter() - begun
