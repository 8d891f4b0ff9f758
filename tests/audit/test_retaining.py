"""What goes: old entries, and the content of some; the chain holds, and says so."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import delete, text, update

from tenantry import Tenancy, errors
from tenantry.audit import AnchorFiles, Audit, Entry, Purged

from .models import Base


def recorded(ground: Ground, place: Place, side: str, count: int) -> list[Entry]:
    """Records some entries, each in a transaction of its own, and returns them."""
    audit = ground.made(place)
    with ground.session(place, side) as door:
        for number in range(count):
            door.call(audit.record, event_type="kept.so", category="c", description=f"Nr {number}", actor="ann")
            door.commit()
        return door.call(audit.entries, event_type="kept.so", newest_first=True, limit=count)[::-1]


def away(ground: Ground, place: Place, method: Any, *args: Any, **options: Any) -> Any:
    """Calls a method that takes a key: the sync one itself, or its namesake on the owner's ``aio``."""
    if place.door == "sync":
        return method(*args, **options)
    return ground.runner.run(getattr(method.__self__.aio, method.__name__)(*args, **options))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_old_entries_go_and_the_chain_goes_on(ground: Ground, place: Place) -> None:
    audit, key = ground.made(place), f"near-{place.cell}"
    theirs = recorded(ground, place, "far", 2)
    entries = recorded(ground, place, "near", 4)
    kept = entries[2]
    purged = away(ground, place, audit.purge, key, older_than=kept.recorded_at, reason="space")
    assert purged.through == entries[1].seq
    assert purged.count >= 2
    assert away(ground, place, audit.verify, key) == []
    with ground.session(place) as door:
        left = door.call(audit.entries, limit=10_000)
    assert left[0] == kept
    assert left[-1].event_type == "audit.purged"
    assert left[-1].details == {
        "through": purged.through,
        "digest": kept.previous_digest,
        "count": purged.count,
        "before": kept.recorded_at.isoformat(),
        "reason": "space",
    }
    assert away(ground, place, audit.purge, key) == Purged(0, 0)
    everything = away(ground, place, audit.purge, key, older_than=datetime.timedelta(0))
    assert everything.through == left[-1].seq
    assert away(ground, place, audit.verify, key) == []
    with ground.session(place, "far") as door:
        assert set(theirs) <= set(door.call(audit.entries, limit=10_000))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_content_of_entries_goes_and_the_chain_holds(ground: Ground, place: Place) -> None:
    audit, key = ground.made(place), f"near-{place.cell}"
    entries = recorded(ground, place, "near", 3)
    first, second, third = entries
    assert away(ground, place, audit.redact, key, [first.seq, third.seq], reason="Art. 17") == 2
    assert away(ground, place, audit.redact, key, [first.seq], reason="again") == 0
    assert away(ground, place, audit.verify, key) == []
    with ground.session(place) as door:
        left = {entry.seq: entry for entry in door.call(audit.entries, limit=10_000)}
    assert left[second.seq] == second
    for gone in (first, third):
        found = left[gone.seq]
        assert (found.description, found.actor, found.salt, found.details) == (None, None, None, None)
        assert (found.digest, found.event_type, found.recorded_at) == (gone.digest, gone.event_type, gone.recorded_at)
    newest = left[max(left)]
    assert (newest.event_type, newest.details) == (
        "audit.redacted",
        {"entries": [first.seq, third.seq], "reason": "Art. 17"},
    )
    with pytest.raises(errors.AuditRefused, match="did to itself"):
        away(ground, place, audit.redact, key, [newest.seq], reason="cover up")


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_an_apps_session_changes_nothing(ground: Ground, place: Place) -> None:
    (entry,) = recorded(ground, place, "near", 1)
    table = ground.made(place).recorder.tables.entries
    attempts = [
        update(table).values(description="x"),
        delete(table),
        text("update audit_log set description = 'x'"),
        text("delete from audit_log"),
    ]
    for attempt in attempts:
        with ground.session(place) as door, pytest.raises(Exception, match=r"append-only|permission denied"):
            door.session.execute(attempt)
    with ground.session(place) as door:
        assert entry in ground.made(place).entries(door.session, limit=10_000)


def test_anchors_of_what_was_purged_are_not_missed_and_still_bind(tmp_path: Any) -> None:
    anchors = AnchorFiles(tmp_path / "anchors")
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base)
    audit = Audit(tenancy, anchors=anchors, anchor_every=2)
    tenancy.install()
    tenancy.tenants.create("acme")
    for number in range(5):
        with tenancy.transaction("acme") as session:
            audit.record(session, event_type="a.b", category="c", description=str(number))
    anchored = list(anchors.anchors(session.tenant.id))
    assert [anchor.seq for anchor in anchored] == [2, 4]
    with tenancy.session("acme") as session:
        assert [audit.entries(session)[anchor.seq - 1].digest for anchor in anchored] == [
            anchor.digest for anchor in anchored
        ]
        fourth = audit.entries(session)[4]
    audit.purge("acme", older_than=fourth.recorded_at)
    assert audit.verify("acme") == []
    file = tmp_path / "anchors" / f"{session.tenant.id.hex}.jsonl"
    written = file.read_text()
    file.write_text(written.replace(anchored[1].digest, "f" * 64))
    assert [finding.code for finding in audit.verify("acme")] == ["A007"]
    for line in ("{}", "[]", '{"tenant"', written.replace(str(session.tenant.id), "0" * 32)):
        file.write_text(line)
        with pytest.raises(errors.AnchorUnreadable, match="line 1"):
            audit.verify("acme")
    tenancy.close()


def test_nothing_is_anchored_that_was_rolled_back(tmp_path: Any) -> None:
    anchors = AnchorFiles(tmp_path / "anchors")
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base)
    audit = Audit(tenancy, anchors=anchors, anchor_every=1)
    tenancy.install()
    tenancy.tenants.create("acme")
    event = {"event_type": "a.b", "category": "c", "description": "d"}
    with tenancy.session("acme") as session:
        tenant = session.tenant.id
        for released in (False, True):
            savepoint = session.begin_nested()
            audit.record(session, **event)
            # Seals what is in the savepoint.
            audit.entries(session)
            if released:
                savepoint.commit()
            else:
                savepoint.rollback()
                session.commit()
        assert list(anchors.anchors(tenant)) == []
        session.rollback()
        assert list(anchors.anchors(tenant)) == []
        audit.record(session, **event)
        savepoint = session.begin_nested()
        audit.record(session, **event)
        audit.entries(session)
        savepoint.rollback()
        session.commit()
        (entry,) = audit.entries(session)
    assert [(anchor.seq, anchor.digest) for anchor in anchors.anchors(tenant)] == [(1, entry.digest)]
    assert audit.verify("acme") == []
    tenancy.close()


def test_without_a_place_for_anchors_there_are_none(ground: Ground) -> None:
    with pytest.raises(errors.ConfigurationError, match="nowhere to keep anchors"):
        ground.made(SYNC_PLACES[0]).anchor("near-postgresql-rows")
