"""The history of the tables leads to what the models are, everywhere, and back to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.fleet import Fleet
from tenantry.packs.incidents import incidents_tenancy
from tenantry.packs.incidents.environment import MIGRATIONS


@pytest.fixture(params=["postgresql", "sqlite"])
def tenancy(
    request: pytest.FixtureRequest, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tenancy]:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "3")
    if request.param == "sqlite":
        monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path}")
        found = incidents_tenancy()
        yield found
        found.close()
        return
    with postgres.lend_database() as url:
        monkeypatch.setenv("TENANTRY_URL", url)
        found = incidents_tenancy()
        yield found
        found.close()


@pytest.mark.ledger("S4-042", "S4-043", "S4-008", "S4-001")
def test_the_history_leads_to_the_models_and_back(tenancy: Tenancy) -> None:
    assert (tenancy.config.pool_size, tenancy.config.migrations) == (3, MIGRATIONS)
    tenancy.install()
    fleet = Fleet(tenancy)
    assert fleet.upgrade().run.state == "done"
    isolations = ["rows", "schema"] if tenancy.servers.main.name == "main" and _on_postgresql(tenancy) else ["database"]
    for isolation in isolations:
        tenancy.tenants.create(isolation, isolation=isolation, record={"name": isolation})
    assert fleet.check() == ()
    assert set(fleet.current().values()) == {"kill_switches"}
    # One step down takes the kill switches away, and up again brings them back.
    assert fleet.downgrade("-1").run.state == "done"
    assert set(fleet.current().values()) == {"first"}
    assert fleet.upgrade("head").run.state == "done"
    assert fleet.check() == ()
    assert fleet.downgrade("base").run.state == "done"
    assert set(fleet.current().values()) == {None}


def _on_postgresql(tenancy: Tenancy) -> bool:
    return "postgresql" in repr(tenancy.servers.main).lower()


@pytest.mark.ledger("S4-042")
def test_each_revision_can_be_taken_back_and_says_what_it_is() -> None:
    for path in Path(MIGRATIONS, "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "def downgrade() -> None:\n    op." in text or "    if op.holds" in text
        assert not text.startswith('"""\n')
