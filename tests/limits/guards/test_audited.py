"""Switches on the record of a real audit."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import MetaData

from tenantry import Tenancy
from tenantry.audit import Audit
from tenantry.limits import KillSwitches


def test_throwing_and_releasing_a_switch_stand_in_the_tenants_chain(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=MetaData())
    audit = Audit(tenancy)
    switches = KillSwitches(tenancy, audit=audit.record)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as db:
        switches.activate(db, reason="ticket 4711", workflow="sync", by="alice", seconds=60)
        switches.deactivate(db, workflow="sync", by="bob")
    with tenancy.session("acme", read_only=True) as db:
        entries = audit.entries(db)
        assert [(entry.event_type, entry.actor) for entry in entries] == [
            ("kill_switch.activated", "alice"),
            ("kill_switch.deactivated", "bob"),
        ]
        assert audit.verify(db) == []
    tenancy.close()
