"""A fleet in the middle of a migration: two schemas of different shape, or one table changed, under one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .doors import POSTGRES_DOORS, opened
from .installations import PostgresInstallation
from .models import Ticket

OLD, NEW = "old", "new"
EVERY = text("select * from tickets order by subject")


@pytest.fixture
def mixed(fresh: PostgresInstallation) -> Iterator[PostgresInstallation]:
    """Two tenants with schemas, of which one is migrated."""
    fresh.fill(OLD, NEW, isolation="schema")
    with fresh.server.admin(fresh.database) as connection:
        question = "select physical from tenantry.placements join tenantry.tenants on id = tenant_id where slug = 'new'"
        schema = connection.execute(question).fetchone()[0]
        connection.execute(f"alter table {schema}.tickets alter n type bigint, add extra text default 'more'")
        connection.execute(f"update {schema}.tickets set n = 3000000000")
    return fresh


def read(session: Session) -> tuple[list[str], set[int], int]:
    """Reads by the ORM and by text, and writes, each as a driver would prepare it."""
    mapped = [ticket.subject for ticket in session.scalars(select(Ticket).order_by(Ticket.subject))]
    rows = session.execute(EVERY).all()
    session.execute(text("update tickets set n = n where subject = :s"), {"s": mapped[0]})
    session.commit()
    assert [row.subject for row in rows] == mapped
    return mapped, {row.n for row in rows}, len(rows[0])


def alternate(site: PostgresInstallation, door: str, *, times: int, **choices: Any) -> None:
    with opened(site, door, **choices) as own:
        for _ in range(times):
            assert own.run(OLD, read) == (["old/0", "old/1"], {0}, 4)
            assert own.run(NEW, read) == (["new/0", "new/1"], {3_000_000_000}, 5)


@pytest.mark.mainly("sync-prepared", "async-asyncpg-unprepared")
@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "unprepared"])
@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_two_shapes_under_one_connection_work(mixed: PostgresInstallation, door: str, prepared: bool) -> None:
    alternate(mixed, door, times=100, prepared_statements=prepared)


@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_a_common_table_changed_under_a_connection_costs_at_most_one_error(
    fresh: PostgresInstallation, door: str
) -> None:
    """PostgreSQL refuses a plan kept from before the change, once; the transaction is to be repeated."""
    fresh.fill(OLD)
    failures: list[str] = []
    with opened(fresh, door) as own:
        for turn in range(30):
            if turn == 15:
                with fresh.server.admin(fresh.database) as connection:
                    connection.execute("alter table public.tickets alter n type bigint, add extra text")
            try:
                own.run(OLD, read)
            except DBAPIError as error:
                failures.append(f"turn {turn}: {str(error.orig).splitlines()[0]}")
    print(f"\n{door}: {failures or 'no error'}")
    assert len(failures) <= 1
    assert all("cached" in failure for failure in failures)


@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_without_prepared_statements_the_change_costs_nothing(fresh: PostgresInstallation, door: str) -> None:
    fresh.fill(OLD)
    with opened(fresh, door, prepared_statements=False) as own:
        for turn in range(30):
            if turn == 15:
                with fresh.server.admin(fresh.database) as connection:
                    connection.execute("alter table public.tickets alter n type bigint, add extra text")
            assert own.run(OLD, read)[0] == ["old/0", "old/1"]
