"""Doors inside jobs: what a job's functions open is its tenant's, whatever its arguments name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.doors import Door
from tenantry.errors import TenantsDisagree
from tenantry.jobs import Jobs

from .models import IDENTITIES, Base, Note, Workspace


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door[Jobs]]:
    door = Door("jobs", Base, identities=IDENTITIES, make=Jobs)
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    door.use(tenancy)
    tenancy.install(create_tables=True)
    for name in ("acme", "globex"):
        with door.transaction() as db:
            db.add(Workspace(name=name, team_id=f"T-{name}"))
            db.flush()
            db.add(Note(text=f"of {name}"))
    yield door
    door.reset()
    tenancy.close()


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_a_job_stays_with_its_tenant(door: Door[Jobs], awaited: bool) -> None:
    def work(team: str | None, key: Any) -> list[str]:
        with door.session(key) as db:
            db.query(Workspace).filter(Workspace.team_id == team).one_or_none()
            return [db.info.get("actor"), *(note.text for note in db.query(Note))]

    async def work_async(team: str | None, key: Any) -> list[str]:
        async with door.aio.session(key) as db:
            await db.scalars(select(Workspace).where(Workspace.team_id == team))
            return [db.info.get("actor"), *await db.scalars(select(Note.text))]

    async def settled(running: Any) -> list[str]:
        try:
            return await running
        finally:
            await door.aio.close()

    def run(team: str | None = None, key: Any = None) -> list[str]:
        task = door.pack.task(work_async if awaited else work)
        with door.pack.sending(("team", "T-acme"), actor="ann"):
            return asyncio.run(settled(task(team, key))) if awaited else task(team, key)

    assert run() == ["ann", "of acme"]
    assert run("T-globex") == ["ann", "of acme"]
    assert run(key=("team", "T-acme"))[1:] == ["of acme"]
    for foreign in ("T-globex", "T-nobody"):
        with pytest.raises(TenantsDisagree):
            run(key=("team", foreign))


def test_a_job_of_the_platform_names_tenants(door: Door[Jobs]) -> None:
    def work() -> list[str]:
        found = []
        for team in ("T-acme", "T-globex"):
            with door.session(("team", team)) as db:
                found += [note.text for note in db.query(Note)]
        return found

    assert door.pack.platform_task(work)() == ["of acme", "of globex"]
