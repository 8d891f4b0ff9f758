"""What the journal tells of revisions that these scripts do not hold: those of a newer program, as a rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select

from tenantry.catalog.tables import fleet_runs, fleet_work
from tenantry.fleet.history import Position
from tenantry.fleet.lineage import Lineage
from tenantry.fleet.outcomes import Verb, WorkState
from tenantry.tenancy import Tenancy

_ACTION: Final = "Looking up a revision in the journal"

Origins = Mapping[str, set[str | None]]


def lies_ahead(tenancy: Tenancy, lineage: Lineage, current: str | None, target: str | None, *, history: str) -> bool:
    """Returns whether homes have gone up from *target*, or from beyond it, to the unknown revision *current*."""
    with tenancy.catalog(_ACTION) as connection:
        origins = _origins(connection, history)
    seen: set[str | None] = set()
    waiting: list[str | None] = [current]
    while waiting:
        revision = waiting.pop()
        if lineage.knows(revision):
            if lineage.position(revision, target) in (Position.AT, Position.AHEAD):
                return True
        elif revision is not None and revision not in seen:
            seen.add(revision)
            waiting += origins[revision]
    return False


def _origins(connection: Connection, history: str) -> Origins:
    """Returns from where homes went up to each revision."""
    upgrades = (fleet_runs.c.verb == Verb.UPGRADE) & (fleet_runs.c.history == history)
    arrived = (fleet_work.c.state == WorkState.DONE) & fleet_work.c.after.is_not(None)
    asked = select(fleet_work.c.before, fleet_work.c.after).join(fleet_runs).where(upgrades, arrived).distinct()
    found: dict[str, set[str | None]] = defaultdict(set)
    for before, after in connection.execute(asked):
        found[after].add(before)
    return found
