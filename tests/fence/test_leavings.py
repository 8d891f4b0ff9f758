"""What a fence leaves in a home is no fault to those who judge homes; where it does not hold, they say so."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from cells import SYNC_PLACES, Place

from tenantry.doctor import examine
from tenantry.fleet.checking import check
from tenantry.ids import uuid7
from tenantry.isolation import fencing
from tenantry.types import Finding, Isolation

from .conftest import Case

ROWS, SCHEMA = Place("postgresql-rows", "sync"), Place("postgresql-schema", "sync")


def judged(case: Case) -> list[str]:
    """Returns what all judges find."""
    found = [*examine(case.tenancy).findings, *check(case.tenancy, jobs=1)]
    return sorted(f"{finding.code} {finding.object}" for finding in found)


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_no_judge_finds_fault_with_a_fence_or_a_tombstone(case: Case) -> None:
    before = judged(case)
    fencing.prepare(case.server, case.tenant)
    with fencing.closed(case.server, case.tenant, departing=True):
        pass
    assert judged(case) == before
    fencing.take_down(case.server, case.tenant)
    assert judged(case) == before


FAULTS = (
    "drop policy tenantry_present on {schema}.tags",
    "alter policy tenantry_present on {schema}.tags using (true)",
    "alter policy tenantry_present on {schema}.tags to tenantry_owner",
)


@pytest.mark.parametrize(("place", "faults"), [(ROWS, FAULTS), (SCHEMA, FAULTS[:1])], ids=str)
def test_the_doctor_finds_a_table_that_answers_for_who_has_left(case: Case, faults: tuple[str, ...]) -> None:
    schema = case.tenant.physical or "public"
    fencing.prepare(case.server, case.tenant)
    with psycopg.connect(case.ground.owner_url, autocommit=True) as owner:
        for fault in faults:
            owner.execute(fault.format(schema=schema))
            found = lost(case)
            assert [finding.object for finding in found] == [f"{schema}.tags"]
            owner.execute(found[0].fix)
        assert lost(case) == []


def lost(case: Case) -> list[Finding]:
    return [finding for finding in examine(case.tenancy).findings if finding.code == "D314"]


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if "rows" not in place.cell], ids=str)
def test_a_home_goes_with_its_fence_and_is_not_taken_for_somebody_elses(ground: Any, place: Place) -> None:
    tenancy = ground.tenancy(place)
    isolation = Isolation.SCHEMA if place.cell == "postgresql-schema" else Isolation.DATABASE
    tenant = tenancy.tenants.create(f"g{uuid7().hex}", isolation=isolation)
    server = tenancy.servers.get(tenant.server)
    fencing.prepare(server, tenant)
    with fencing.closed(server, tenant, departing=True):
        pass
    tenancy.tenants.erase(tenant.id, confirm=tenant.slug)
    fencing.lift(server, tenant)
    assert not tenancy.servers.strategy_of(tenant).exists(tenant.id)
