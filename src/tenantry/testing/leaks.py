"""The leak suite: every way there is from one tenant's session to another's rows, tried on any models.

``assert_isolated(tenancy, Ticket)`` in a test, or ``class TestLeaks(leaks.Suite)`` with the plugin's fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Table, inspect, select

from tenantry.errors import LeaksFound
from tenantry.models import Ownership, is_append_only, ownership
from tenantry.tenancy import Tenancy
from tenantry.testing.grounds import Ground, ground
from tenantry.testing.rows import Known
from tenantry.testing.ways import OWN, read_as_spelt, reads, spellings, writes
from tenantry.types import Finding

_FIX = "Run `tenantry doctor`: it names what of the wall is missing."


def found_reading(ground: Ground) -> Iterator[Finding]:
    """Yields the ways by which A's sessions read B's rows, and those by which they do not read their own."""
    for door in ground.doors:
        for table in ground.tables:
            for way, work in reads(ground.model_of(table), table, ground.b):
                seen = ground.attempt(door, work)
                if ground.b.is_in(seen):
                    yield _finding("read", door, table, f"{way}: another tenant's rows are read.")
                elif way in OWN and not ground.a.is_in(seen):
                    yield _finding("blind", door, table, f"{way}: a tenant does not read its own rows: {seen!r:.200}")


def found_spelling(ground: Ground) -> Iterator[Finding]:
    """Yields the names under which A's sessions find B's rows."""
    tenant = ground.tenancy.tenants.get(ground.b.slug)
    for table in ground.tables:
        for spelt in spellings(tenant, table, sqlite=ground.sqlite):
            seen = ground.attempt("sync", _reader(spelt))
            # A refusal repeats the name that was tried.
            told = ground.b.mark in str(seen) if isinstance(seen, Exception) else ground.b.is_in(seen)
            if told:
                yield _finding("spelling", "sync", table, f"{spelt}: another tenant's rows are read.")


def found_writing(ground: Ground) -> Iterator[Finding]:
    """Yields the ways by which A's sessions change B's rows, or put rows among them."""
    before = ground.state(ground.b)
    for door in ground.doors:
        for table in ground.tables:
            for way, work in writes(ground.model_of(table), table, ground.a, ground.b):
                done = ground.attempt(door, work)
                if not isinstance(done, Exception) and done != 0:
                    yield _finding("write", door, table, f"{way}: another tenant's rows are changed ({done!r:.200}).")
    after = ground.state(ground.b)
    for table in ground.tables:
        if after[table.name] != before[table.name]:
            yield _finding("changed", "*", table, "another tenant's rows are not as they were.")


def found_unreachable(ground: Ground) -> Iterator[Finding]:
    """Yields the ways that lead to B's rows not even without a wall, and so try nothing; in common tables only."""
    if not ground.shares_tables:
        return
    with ground.tenancy.operator("whether the leak suite's ways lead anywhere") as session:
        for table in ground.tables:
            for way, work in reads(ground.model_of(table), table, ground.b):
                if not ground.b.is_in(work(session)):
                    yield _finding("unreachable", "operator", table, f"{way}: does not even reach what is there.")
                session.rollback()
                session.expunge_all()


def found_unmoved(ground: Ground) -> Iterator[Finding]:
    """Yields a finding where what is refused between tenants does not work within one either."""
    tables = [table for table in ground.tables if not is_append_only(table)]
    ways = [(table, work) for table in tables for way, work in _updates(ground, table) if way == "core, update"]
    if ways and not any(ground.attempt("sync", work) == 1 for _, work in ways):
        yield Finding("unmoved", "*", "A tenant cannot change its own rows by the ways that are tried.", _FIX)


def found_of_the_platform(ground: Ground) -> Iterator[Finding]:
    """Yields the Platform's tables that a tenant's session reads."""
    for table in ground.tenancy.metadata.tables.values():
        its_own = ownership(table) is Ownership.PLATFORM
        if its_own and not isinstance(ground.attempt("sync", _of_table(table)), Exception):
            yield _finding("platform", "sync", table, "A tenant's session reads the Platform's table.")


CHECKS: tuple[Callable[[Ground], Iterator[Finding]], ...] = (
    found_reading,
    found_spelling,
    found_writing,
    found_unreachable,
    found_unmoved,
    found_of_the_platform,
)


def leaks_of(ground: Ground) -> list[Finding]:
    """Returns every leak that the whole suite finds."""
    return [finding for check in CHECKS for finding in check(ground)]


def refuse(found: Sequence[Finding]) -> None:
    """Lets an empty list pass.

    Raises: LeaksFound with all that is in it.
    """
    if found:
        told = "\n".join(f"  {each.object}: {each.message}" for each in found)
        raise LeaksFound(count=len(found), told=told)


def assert_isolated(tenancy: Tenancy, *models: Any, isolation: str | None = None, known: Known | None = None) -> None:
    """Lets pass that no way leads from one tenant's sessions to another's rows of these models, or of all.

    Two tenants are made, and a row in each table; *known* are values by table and column where a row needs a certain
    one.

    Raises: LeaksFound, RowUnknown.
    """
    tables: list[Table] | None = [inspect(model).local_table for model in models] or None
    with ground(tenancy, isolation=isolation, tables=tables, known=known) as found:
        refuse(leaks_of(found))


class Suite:
    """The suite as tests: name a class of yours ``class TestLeaks(Suite)``; override ``tenantry_ground`` to choose."""

    def test_nothing_of_another_tenant_is_read(self, tenantry_ground: Ground) -> None:
        refuse(list(found_reading(tenantry_ground)))

    def test_no_other_spelling_leads_there(self, tenantry_ground: Ground) -> None:
        refuse(list(found_spelling(tenantry_ground)))

    def test_nothing_of_another_tenant_is_written(self, tenantry_ground: Ground) -> None:
        refuse(list(found_writing(tenantry_ground)))

    def test_each_way_would_lead_there_without_a_wall(self, tenantry_ground: Ground) -> None:
        refuse(list(found_unreachable(tenantry_ground)))

    def test_a_tenant_changes_its_own_rows(self, tenantry_ground: Ground) -> None:
        refuse(list(found_unmoved(tenantry_ground)))

    def test_no_tenant_reads_what_is_the_platforms(self, tenantry_ground: Ground) -> None:
        refuse(list(found_of_the_platform(tenantry_ground)))


def _updates(ground: Ground, table: Table) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    return writes(ground.model_of(table), table, ground.b, ground.a)


def _finding(code: str, door: str, table: Table, message: str) -> Finding:
    return Finding(code, f"{table.name} ({door})", message, _FIX)


def _reader(spelt: str) -> Callable[[Any], Any]:
    return lambda session: read_as_spelt(session, spelt)


def _of_table(table: Table) -> Callable[[Any], Any]:
    return lambda session: session.execute(select(table)).all()
