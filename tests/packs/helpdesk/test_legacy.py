"""The legacy store, and the way from it into the models, in every cell."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tenantry.errors import CrossTenant, UnknownField
from tenantry.packs.helpdesk import LegacyMigration, LegacyStore, writes_orm

from .cells import SYNC_PLACES, Desk, Place, often


@pytest.fixture(params=often(SYNC_PLACES), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def store(tmp_path: Path) -> LegacyStore:
    return LegacyStore.of(tmp_path, "wedosoft", "freshdesk")


@pytest.mark.ledger("S0-024", "S0-091")
@pytest.mark.parametrize(
    ("use_orm", "use_legacy", "orm"),
    [
        (True, None, True),
        (False, None, False),
        (True, True, False),
        (False, True, False),
        (True, False, True),
        (False, False, True),
    ],
)
def test_what_the_caller_says_wins_over_the_environment(use_orm: bool, use_legacy: bool | None, orm: bool) -> None:
    assert writes_orm(use_orm=use_orm, use_legacy=use_legacy) is orm


@pytest.mark.ledger("S0-007")
def test_the_store_keeps_what_it_is_given(store: LegacyStore) -> None:
    first = store.store({"original_id": "1", "title": "A", "content": "x", "object_metadata": {"a": [1]}})
    assert store.get("1") == first
    store.store({"original_id": "1", "title": "B", "tenant_id": "wedosoft", "platform": "freshdesk"})
    assert (store.count(), store.get("1").title) == (1, "B")
    store.store({"original_id": "1", "object_type": "article", "title": "C"})
    assert [(found.object_type, found.original_id) for found in store.all()] == [("article", "1"), ("ticket", "1")]
    assert store.delete("1")
    assert not store.delete("1")
    assert store.get("1") is None


@pytest.mark.ledger("S0-007")
def test_the_store_is_one_companys(store: LegacyStore, tmp_path: Path) -> None:
    store.store({"original_id": "1", "title": "A"})
    for other in (LegacyStore.of(tmp_path, "rival", "freshdesk"), LegacyStore.of(tmp_path, "wedosoft", "zendesk")):
        assert other.path != store.path
        assert other.count() == 0
    # Put in another's place the file shows nothing.
    swapped = LegacyStore(store.path, tenant_id="rival", platform="freshdesk")
    assert (swapped.count(), swapped.get("1"), list(swapped.all())) == (0, None, [])
    assert not swapped.delete("1")
    with pytest.raises(CrossTenant):
        store.store({"original_id": "2", "tenant_id": "rival"})
    with pytest.raises(UnknownField):
        store.store({"original_id": "2", "colour": "red"})
    assert store.count() == 1
    assert "wedosoft" not in str(store.path.relative_to(tmp_path))


@pytest.mark.ledger("S0-007")
def test_names_stand_for_themselves(tmp_path: Path) -> None:
    nasty = LegacyStore.of(tmp_path, "../x'; DROP TABLE integrated_objects; --", "a/b")
    nasty.store({"original_id": "' OR 1=1 --", "title": "x"})
    assert nasty.get("' OR 1=1 --").title == "x"
    assert nasty.path.parent == tmp_path / "legacy"
    with sqlite3.connect(nasty.path) as connection:
        assert connection.execute("SELECT count(*) FROM integrated_objects").fetchone() == (1,)
    connection.close()


@pytest.mark.ledger("S0-007")
def test_the_way_into_the_models(desk: Desk, store: LegacyStore) -> None:
    migration = LegacyMigration(store)
    for number in range(7):
        store.store({"original_id": f"{number}", "title": f"old {number}", "object_metadata": {"n": number}})

    def work(session: Any) -> None:
        migration.write(session, {"original_id": "3", "title": "new 3", "content": "c"})
        assert store.get("3").title == "new 3"
        steps = [migration.migrate(session, batch=3)]
        while steps[-1].after is not None:
            steps.append(migration.migrate(session, batch=3, after=steps[-1].after))
        assert (sum(step.brought for step in steps), sum(step.same for step in steps)) == (6, 1)
        assert migration.compare(session) == []
        assert migration.migrate(session).brought == 0
        store.store({"original_id": "5", "title": "changed behind its back"})
        store.store({"original_id": "8", "title": "late"})
        store.delete("6")
        found = {finding.object: finding.code for finding in migration.compare(session)}
        assert found == {"ticket 5": "H002", "ticket 8": "H001", "ticket 6": "H003"}
        with pytest.raises(CrossTenant):
            migration.write(session, {"original_id": "9", "tenant_id": "rival"})
        with pytest.raises(UnknownField):
            migration.write(session, {"original_id": "9", "colour": "red"})
        assert store.get("9") is None

    desk.run(work)
