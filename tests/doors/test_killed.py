"""A process that dies between a record's commit and its tenant's opening leaves neither, and bars nobody's way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cells import CELLS, SYNC_PLACES
from sqlalchemy import func, select

from tenantry.errors import TenantUnavailable

from .conftest import Cell
from .models import Note, Workspace

PROGRAM = """
import json, os, sys

job = json.load(sys.stdin)
sys.path[:0] = job["path"]
from doors.models import IDENTITIES, Base, Note, Workspace
from tenantry import Tenancy
from tenantry.doors import Door
from tenantry.provision.creating import Begun

Begun.finish = lambda self: os._exit(9)
door = Door("killed", Base, identities=IDENTITIES, isolation=job["isolation"])
door.use(Tenancy(job["url"], models=Base, **job["logins"]))
with door.transaction() as db:
    db.add_all([Workspace(name="Killed", team_id="T-killed"), Note(text="committed")])
"""


PLACES = [
    pytest.param(place, marks=() if place.cell.endswith("rows") else (pytest.mark.soak,), id=str(place))
    for place in SYNC_PLACES
]


@pytest.mark.parametrize("place", PLACES)
def test_who_dies_before_the_opening_leaves_nothing(cell: Cell) -> None:
    kill(cell)
    tenants = cell.door.tenancy.tenants
    with pytest.raises(TenantUnavailable):
        cell.run(lambda db: db.scalars(select(Workspace).filter_by(team_id="T-killed")).all())
    # The name is taken by what is half made, which the next creation removes.
    cell.commit(lambda db: db.add(Workspace(name="Killed", team_id="T-killed")))
    made = tenants.get(("team", "T-killed"))
    counted = select(func.count()).select_from(Note)
    assert cell.run(lambda db: db.scalar(counted), made.id) == 0
    tenants.erase(made, confirm=made.slug)


def kill(cell: Cell) -> None:
    logins = dict(cell.ground.urls)
    app = logins.pop("app_url")
    job: dict[str, Any] = {
        "path": [str(Path(__file__).parents[1])],
        "isolation": CELLS[cell.place.cell],
        "url": app if cell.place.postgresql else cell.ground.sqlite_url,
        "logins": logins if cell.place.postgresql else {},
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(job), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 9, done.stderr
