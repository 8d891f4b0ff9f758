"""Who is behind: every home's revision, read by one question per server, and what a run would do about it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from tenantry.catalog.holder import has_let_go
from tenantry.catalog.tables import journal, now
from tenantry.errors import Diverged
from tenantry.fleet.history import History, Position
from tenantry.fleet.homes import Home, homes_of
from tenantry.fleet.outcomes import Ring, Standing, Verb, Work, WorkState
from tenantry.fleet.rings import stage_of
from tenantry.provision.creating import WAITING
from tenantry.tenancy import Tenancy

Where = Callable[[Home], bool]

# Seen from the target: where a home stands that the run has to move.
_MOVED: Final = {Verb.UPGRADE: Position.BEHIND, Verb.DOWNGRADE: Position.AHEAD}


def look(tenancy: Tenancy, history: History, target: str | None, *, where: Where | None = None) -> list[Standing]:
    """Returns where every home stands, seen from *target*.

    Raises: LoginRequired without a login that lists tenants, or without the owner's.
    """
    return standings(history, homes_served(tenancy, history, where=where), target)


def homes_served(tenancy: Tenancy, history: History, *, where: Where | None = None) -> list[Home]:
    """Returns the homes that a history is for, of those chosen.

    Raises: LoginRequired without a login that lists tenants.
    """
    return [home for home in homes_of(tenancy) if history.serves(home) and (where is None or where(home))]


def standings(history: History, homes: Sequence[Home], target: str | None) -> list[Standing]:
    """Returns where each of *homes* stands, seen from *target*, that the history is for."""
    current = history.read(homes)
    position = functools.cache(lambda revision: history.position(revision, target))
    return [Standing(home, current[home], position(current[home])) for home in homes if home in current]


def outline(found: Iterable[Standing], *, verb: Verb, target: str | None, canaries: Collection[str]) -> list[Work]:
    """Returns the work of a run that brings the homes to *target*: canaries first, then common homes and tenants'.

    A home that stands beside the way is in it as failed, a canary that needs nothing as one with nothing to do.
    """
    works = [_work(standing, verb, target, canaries) for standing in found if _concerned(standing, verb, canaries)]
    return sorted(works, key=lambda work: work.stage)


def _concerned(standing: Standing, verb: Verb, canaries: Collection[str]) -> bool:
    if standing.position in (_MOVED[verb], Position.DIVERGED):
        return True
    return standing.position is Position.AT and standing.home.key in canaries


def _work(standing: Standing, verb: Verb, target: str | None, canaries: Collection[str]) -> Work:
    ring = Ring.CANARY if standing.home.key in canaries else Ring.REST
    diverged = standing.position is Position.DIVERGED
    return Work(
        home=standing.home,
        ring=ring,
        stage=stage_of(standing.home, ring, verb),
        target=target,
        state=WorkState.FAILED if diverged else WorkState.PENDING,
        before=standing.current,
        error=str(Diverged(home=standing.home, current=standing.current, target=target)) if diverged else None,
    )


def creations_under_way(connection: Connection) -> bool:
    """Whether somebody alive is creating a tenant right now, whose home may turn out to be behind."""
    running = select(journal.c.holder, journal.c.lease_until).where(
        journal.c.kind == "create", journal.c.state == "running", journal.c.step != WAITING
    )
    return any(not has_let_go(row.holder, expired=row.lease_until < now()) for row in connection.execute(running))


def back(works: Iterable[Work], current: Mapping[Home, str | None]) -> list[Work]:
    """Returns the work that brings homes which a run changed to where they came from.

    *current* is where they stand now. One that has moved on since is not touched: it is in it as failed.
    """
    changed = (work for work in works if _changed(work, current.get(work.home)))
    return sorted((_back(work, current.get(work.home)) for work in changed), key=lambda work: work.stage)


def _changed(work: Work, here: str | None) -> bool:
    if here == work.before or work.claimed == 0:
        return False
    return work.state is not WorkState.DONE or work.before != work.after


def _back(work: Work, here: str | None) -> Work:
    moved_on = work.state is WorkState.DONE and here != work.after
    return Work(
        home=work.home,
        ring=work.ring,
        stage=stage_of(work.home, work.ring, Verb.ROLLBACK),
        target=work.before,
        state=WorkState.FAILED if moved_on else WorkState.PENDING,
        before=here,
        error=f"It stands at {here}, not at {work.after} where the run left it." if moved_on else None,
    )
