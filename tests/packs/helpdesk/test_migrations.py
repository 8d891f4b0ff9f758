"""The history of migrations makes what the models say, in homes of every kind, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenantry import Config, Tenancy
from tenantry.fleet import Fleet
from tenantry.fleet.fingerprints import Fingerprint, differences
from tenantry.fleet.fingerprints_homes import shapes_of
from tenantry.fleet.homes import Home, homes_of
from tenantry.packs.helpdesk import MIGRATIONS, HelpdeskBase, Ticket


@pytest.fixture(params=["postgresql", "sqlite"])
def tenancy(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Tenancy]:
    """An installation that has no tables of the application yet."""
    config = Config(migrations=MIGRATIONS, demote=True)
    if request.param == "sqlite":
        made = Tenancy(f"sqlite:///{tmp_path}", models=HelpdeskBase, config=config)
        made.install()
        yield made
        made.close()
        return
    with postgres.lend_database() as url:
        made = Tenancy(url, models=HelpdeskBase, config=config)
        made.install()
        yield made
        for tenant in list(made.every_tenant()):
            made.tenants.erase(tenant, confirm=tenant.slug)
        made.close()


@pytest.mark.ledger("S0-015", "S0-057", "S0-M06")
def test_the_history_makes_what_the_models_say(tenancy: Tenancy) -> None:
    fleet = Fleet(tenancy)
    assert fleet.upgrade().run.state == "done"
    assert list(fleet.check()) == []
    tenancy.tenants.create("rows", isolation="rows", record={"name": "Rows", "platform": "freshdesk"})
    with tenancy.transaction("rows") as db:
        db.add(Ticket(subject="first"))


@pytest.mark.soak
@pytest.mark.ledger("S0-093")
def test_homes_that_were_migrated_and_homes_that_were_made_are_alike(tenancy: Tenancy) -> None:
    fleet = Fleet(tenancy)
    assert fleet.upgrade().run.state == "done"
    isolations = ("schema", "database") if tenancy.servers.main.kind == "postgresql" else ("database",)
    old = [*_common(tenancy), *_made(tenancy, "old", isolations)]
    fleet.downgrade("base")
    fleet.upgrade()
    new = _made(tenancy, "new", isolations)
    assert list(fleet.check()) == []
    shapes = shapes_of(tenancy, [*old, *new])
    by_kind = {home.kind: shapes[home] for home in new}
    compared = 0
    for home in old:
        grown, made = shapes[home], by_kind.get(home.kind)
        if isinstance(made, Fingerprint):
            assert isinstance(grown, Fingerprint)
            assert differences(grown, made, here="migrated", there="made") == []
            compared += 1
    assert compared == len(isolations)
    tenancy.tenants.create("rows", isolation="rows", record={"name": "Rows", "platform": "freshdesk"})
    for slug in ("rows", *(f"old-{isolation}" for isolation in isolations)):
        with tenancy.session(slug) as db:
            assert db.query(Ticket).count() == 0


def _common(tenancy: Tenancy) -> list[Home]:
    return list(homes_of(tenancy))


def _made(tenancy: Tenancy, age: str, isolations: Sequence[str]) -> list[Home]:
    before = set(homes_of(tenancy))
    for isolation in isolations:
        tenancy.tenants.create(f"{age}-{isolation}", isolation=isolation)
    return [home for home in homes_of(tenancy) if home not in before]
