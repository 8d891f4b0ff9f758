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
from tenantry.packs.meetings import MIGRATIONS, Meetings, MeetingsBase, User


@pytest.fixture(params=["postgresql", "sqlite"])
def pack(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Meetings]:
    """The meetings of an installation that has no tables of theirs yet."""
    config = Config(migrations=MIGRATIONS, demote=True)
    if request.param == "sqlite":
        made = Meetings(Tenancy(f"sqlite:///{tmp_path}", models=MeetingsBase, config=config))
        made.tenancy.install()
        yield made
        made.tenancy.close()
        return
    with postgres.lend_database() as url:
        made = Meetings(Tenancy(url, models=MeetingsBase, config=config))
        made.tenancy.install()
        yield made
        for tenant in list(made.tenancy.every_tenant()):
            made.tenancy.tenants.erase(tenant, confirm=tenant.slug)
        made.tenancy.close()


@pytest.mark.ledger("S1-009", "S1-055", "S1-057", "S1-067")
def test_homes_that_were_migrated_and_homes_that_were_made_are_alike(pack: Meetings) -> None:
    assert_alike(pack, ["schema" if pack.tenancy.servers.main.kind == "postgresql" else "database"])


@pytest.mark.ledger("S1-057")
@pytest.mark.soak
def test_so_are_homes_of_all_kinds(pack: Meetings) -> None:
    assert_alike(pack, ["schema", "database"] if pack.tenancy.servers.main.kind == "postgresql" else ["database"])


def assert_alike(pack: Meetings, isolations: Sequence[str]) -> None:
    tenancy, fleet = pack.tenancy, Fleet(pack.tenancy)
    assert fleet.upgrade().run.state == "done"
    old = _made(pack, "old", isolations)
    fleet.downgrade("0001")
    fleet.downgrade("base")
    fleet.upgrade()
    new = _made(pack, "new", isolations)
    assert list(fleet.check()) == []
    shapes = shapes_of(tenancy, [*old, *new])
    by_kind = {home.kind: shapes[home] for home in new}
    assert len(by_kind) == len(isolations)
    for home in old:
        grown, made = shapes[home], by_kind[home.kind]
        assert isinstance(grown, Fingerprint)
        assert isinstance(made, Fingerprint)
        assert differences(grown, made, here="migrated", there="made") == []
    pack.workspaces.install("TROWS", "Rows", isolation="rows")
    for key in (("slack_team", "TROWS"), *(("slack_team", f"TNEW{isolation}") for isolation in isolations)):
        with tenancy.transaction(key) as db:
            db.add(User(slack_user_id="U1"))


def _made(pack: Meetings, age: str, isolations: Sequence[str]) -> list[Home]:
    before = set(homes_of(pack.tenancy))
    for isolation in isolations:
        pack.workspaces.install(f"T{age.upper()}{isolation}", age, isolation=isolation)
    return [home for home in homes_of(pack.tenancy) if home not in before]
