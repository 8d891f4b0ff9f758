"""The assistant's history: what it makes is what the models say, upwards, downwards and from any step of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry import Tenancy
from tenantry.fleet import Fleet
from tenantry.packs.assistant import AssistantBase, Piece
from tenantry.packs.assistant.pack import made


@pytest.fixture(params=["postgresql", "sqlite"])
def tenancy(request: pytest.FixtureRequest, tmp_path: Path, fresh_database: str) -> Iterator[Tenancy]:
    found = Tenancy({"postgresql": fresh_database, "sqlite": f"sqlite:///{tmp_path}"}[request.param], AssistantBase)
    yield found
    for tenant in [*found.every_tenant()]:
        found.tenants.erase(tenant, confirm=tenant.slug)
    found.close()


@pytest.mark.ledger("S3-046", "S3-047")
def test_the_history_makes_what_the_models_say(tenancy: Tenancy) -> None:
    pack = made(tenancy)
    tenancy.install()
    fleet = Fleet(tenancy)
    assert [*fleet.history()] == ["first", "warning", "reports"]
    fleet.upgrade()
    pack.companies.create("Acme")
    pack.companies.create("Common", isolation="rows")
    pack.library.publish("law.pdf", pieces=[Piece("first")])
    assert fleet.check() == ()
    with tenancy.session("company-1") as session:
        assert session.info["tenant"].name == "Acme"


@pytest.mark.ledger("S3-042")
@pytest.mark.soak
def test_the_history_goes_down_and_up_again(tenancy: Tenancy) -> None:
    pack = made(tenancy)
    tenancy.install()
    fleet = Fleet(tenancy)
    fleet.upgrade()
    pack.companies.create("Acme")
    for revision in ("warning", "first", "base"):
        fleet.downgrade(revision)
        fleet.upgrade()
        assert fleet.check() == ()
