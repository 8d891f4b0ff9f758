"""The suite for APIs finds each of twelve leaks planted in an application, and nothing in its sound twin."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.errors import LeaksFound
from tenantry.testing import installing
from tenantry.testing.apps import Caller, assert_app_isolated, leaks_of
from tenantry.testing.leaks import refuse
from tenantry.testing.servers import Server
from tenantry.types import Tenant

from . import leaky_app

# By which check each leak is found.
FOUND = {
    "operator": "shown",
    "cache": "shown",
    "lookup": "foreign",
    "body": "override",
    "query": "override",
    "header": "override",
    "count": "count",
    "error": "quoted",
    "suggestions": "search",
    "export": "link",
    "room": "overheard",
    "background": "at-once",
}


@pytest.fixture(scope="module")
def tenancy(postgres: Any) -> Iterator[Tenancy]:
    made = Tenancy("postgresql://app@production.invalid/desk", models=leaky_app.Base)
    with installing.installed_on_postgresql(made, Server(postgres.url())) as installed:
        yield installed


@pytest.fixture
def tenants(tenancy: Tenancy) -> list[Tenant]:
    return [tenancy.tenants.create(f"{name}-{secrets.token_hex(4)}") for name in ("alfa", "bravo")]


def callers(tokens: dict[str, str], tenants: list[Tenant]) -> dict[str, Caller]:
    """Returns both callers, by the names of the suite's parameters."""
    made = [Caller({"Authorization": f"Bearer {tokens[str(each.id)]}"}, [str(each.id), each.slug]) for each in tenants]
    return dict(zip("ab", made, strict=True))


def built(tenancy: Tenancy, tenants: list[Tenant], files: Path, *leaks: str) -> tuple[Any, dict[str, Caller]]:
    """Returns the application with some leaks, and two tenants' callers."""
    tokens = {str(each.id): secrets.token_urlsafe(16) for each in tenants}
    return leaky_app.build(tenancy, tokens, files, leaks), callers(tokens, tenants)


def test_the_sound_application_passes(tenancy: Tenancy, tenants: list[Tenant], tmp_path: Path) -> None:
    app, two = built(tenancy, tenants, tmp_path)
    assert_app_isolated(app, **two)


@pytest.mark.parametrize("some", range(3))
def test_twelve_leaks_are_found(some: int, tenancy: Tenancy, tenants: list[Tenant], tmp_path: Path) -> None:
    """Four at a time, none of which stands in another's route."""
    assert set(FOUND) == set(leaky_app.LEAKS)
    assert len(FOUND) == 12
    leaks = leaky_app.LEAKS[some::3]
    app, two = built(tenancy, tenants, tmp_path, *leaks)
    found = leaks_of(app, **two)
    assert {FOUND[leak] for leak in leaks} <= {each.code for each in found}, found
    if "lookup" in leaks:
        with pytest.raises(LeaksFound, match=r"\n  GET /tickets/\{ticket_id\}: answers another tenant's key"):
            refuse(found)


@pytest.mark.soak
@pytest.mark.parametrize("leak", leaky_app.LEAKS)
def test_each_leak_is_found(leak: str, tenancy: Tenancy, tenants: list[Tenant], tmp_path: Path) -> None:
    app, two = built(tenancy, tenants, tmp_path, leak)
    assert FOUND[leak] in {each.code for each in leaks_of(app, **two)}


def test_where_nothing_can_be_made_nothing_is_sound(tenancy: Tenancy, tenants: list[Tenant], tmp_path: Path) -> None:
    app, two = built(tenancy, tenants, tmp_path)
    nobody = {name: Caller({}, caller.names) for name, caller in two.items()}
    found = leaks_of(app, **nobody)
    assert {each.object for each in found} >= {"POST /tickets", "GET /tickets", "GET /tickets/{ticket_id}"}
    assert leaks_of(app, **nobody, untried=[each.object for each in found]) == []
