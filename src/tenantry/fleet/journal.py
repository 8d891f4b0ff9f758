"""The journal of the fleet: runs begun, paused, stopped and ended. The caller owns each connection's transaction."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update

from tenantry.catalog.tables import fleet_runs, fleet_work, now, tenants
from tenantry.errors import RunInProgress, RunUnknown
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.outcomes import Options, Outcome, Ring, Run, RunState, Verb, Work, WorkState
from tenantry.ids import uuid7

# One lock of the catalog's database: runs begin one at a time.
_BEGINNING: Final = 0x74656E_666C656574
_LIVING: Final = (WorkState.PENDING, WorkState.RUNNING, WorkState.UNKNOWN)


def draft(*, verb: Verb, history: str, target: str | None, options: Options) -> Run:
    """Returns a run that is not in the journal yet."""
    moment = now()
    return Run(
        id=uuid7(),
        verb=verb,
        history=history,
        target=target,
        state=RunState.PLANNED,
        reason="",
        stage=0,
        options=options,
        created_at=moment,
        updated_at=moment,
    )


def begin(connection: Connection, wanted: Run, works: Sequence[Work]) -> Run:
    """Returns the run now under way: *wanted* with its works, or the one like it that another process began.

    Raises: RunInProgress when another run over the whole fleet is under way.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_BEGINNING)))
    # SQLite's BEGIN IMMEDIATE has let nobody else in.
    found = under_way(connection, wanted)
    if found is not None:
        return found
    begun = dataclasses.replace(wanted, state=RunState.RUNNING, stage=min((work.stage for work in works), default=0))
    connection.execute(insert(fleet_runs).values(_run_row(begun)))
    add(connection, begun, works)
    return begun


def under_way(connection: Connection, wanted: Run) -> Run | None:
    """Returns the run over the whole fleet that is under way, if it does what *wanted* would do.

    Raises: RunInProgress when it does something else.
    """
    if not wanted.options.whole:
        return None
    for run in newest(connection, RunState.RUNNING, history=wanted.history):
        if run.options.whole and _likeness(run) == _likeness(wanted):
            return run
        refuse_beside(run)
    return None


def refuse_beside(run: Run) -> None:
    """Lets a run under way pass that others may run beside: one over chosen homes.

    Raises: RunInProgress.
    """
    if run.options.whole or run.verb is Verb.ROLLBACK:
        raise RunInProgress(run=run.id, verb=run.verb, target=run.target or "base")


def add(connection: Connection, run: Run, works: Sequence[Work]) -> list[Work]:
    """Puts works into a run and returns those that were not in it; two processes that do so at once do it once."""
    lock(connection, run.id)
    present = keys(connection, run.id)
    missing = [work for work in works if work.home.key not in present]
    first = len(present)
    rows = [_work_row(run, work, number) for number, work in enumerate(missing, first)]
    if rows:
        connection.execute(insert(fleet_work), rows)
    return missing


def get(connection: Connection, run_id: uuid.UUID, *, shared: bool = False) -> Run:
    """Returns a run; *shared*, one that nobody changes before this transaction ends, though others may look.

    Raises: RunUnknown.
    """
    wanted = select(fleet_runs).where(fleet_runs.c.id == run_id)
    return _found(connection, wanted.with_for_update(read=True) if shared else wanted, run_id)


def lock(connection: Connection, run_id: uuid.UUID) -> Run:
    """Returns a run that nobody else can change before this transaction ends.

    Raises: RunUnknown.
    """
    return _found(connection, select(fleet_runs).where(fleet_runs.c.id == run_id).with_for_update(), run_id)


def newest(connection: Connection, *states: RunState, history: str, limit: int = 100) -> list[Run]:
    """Returns the newest runs of a history in one of *states*, or in any."""
    wanted = select(fleet_runs).where(fleet_runs.c.history == history)
    if states:
        wanted = wanted.where(fleet_runs.c.state.in_(states))
    rows = connection.execute(wanted.order_by(fleet_runs.c.created_at.desc(), fleet_runs.c.id.desc()).limit(limit))
    return [_run(row._mapping) for row in rows]


def outcome(connection: Connection, run_id: uuid.UUID) -> Outcome:
    """Returns a run with the work on each home.

    Raises: RunUnknown.
    """
    return Outcome(get(connection, run_id), works(connection, run_id))


def works(connection: Connection, run_id: uuid.UUID, *states: WorkState) -> list[Work]:
    """Returns the works of a run in one of *states*, or in any, in the order in which they were planned."""
    wanted = named_works().where(fleet_work.c.run_id == run_id)
    if states:
        wanted = wanted.where(fleet_work.c.state.in_(states))
    return [work_of(row._mapping) for row in connection.execute(wanted.order_by(fleet_work.c.number))]


def keys(connection: Connection, run_id: uuid.UUID) -> set[str]:
    """Returns the keys of the homes that a run is about."""
    return set(connection.scalars(select(fleet_work.c.home).where(fleet_work.c.run_id == run_id)))


def tally(connection: Connection, run_id: uuid.UUID, *, stage: int | None = None) -> Mapping[WorkState, int]:
    """Returns how many works of a run, or of one of its stages, are in each state."""
    counted = select(fleet_work.c.state, func.count()).where(fleet_work.c.run_id == run_id)
    if stage is not None:
        counted = counted.where(fleet_work.c.stage == stage)
    rows = connection.execute(counted.group_by(fleet_work.c.state))
    found = {row[0]: int(row[1]) for row in rows}
    return {state: found.get(state, 0) for state in WorkState}


def next_stage(connection: Connection, run_id: uuid.UUID) -> int | None:
    """Returns the first stage with work that is not at its end."""
    open_work = (fleet_work.c.run_id == run_id) & fleet_work.c.state.in_(_LIVING)
    first: int | None = connection.scalar(select(func.min(fleet_work.c.stage)).where(open_work))
    return first


def open_stage(connection: Connection, run: Run, stage: int) -> None:
    """Lets the works of another stage be claimed, unless somebody has moved the run meanwhile."""
    here = (fleet_runs.c.id == run.id) & (fleet_runs.c.stage == run.stage) & (fleet_runs.c.state == RunState.RUNNING)
    connection.execute(update(fleet_runs).where(here).values(stage=stage))


def end(connection: Connection, run_id: uuid.UUID, state: RunState, reason: str = "") -> bool:
    """Takes a run that is under way to where no work is claimed; whether it was under way."""
    here = (fleet_runs.c.id == run_id) & (fleet_runs.c.state == RunState.RUNNING)
    return bool(connection.execute(update(fleet_runs).where(here).values(state=state, reason=reason)).rowcount)


def close(connection: Connection, run_id: uuid.UUID, reason: str) -> None:
    """Marks a run as rolled back, so that nothing resumes it."""
    closed = {"state": RunState.ROLLED_BACK, "reason": reason}
    connection.execute(update(fleet_runs).where(fleet_runs.c.id == run_id).values(**closed))


def reopen(connection: Connection, run: Run, settled: Iterable[Work]) -> None:
    """Sets a run going again, with the works in *settled* where they were found to stand."""
    for work in settled:
        here = (fleet_work.c.run_id == run.id) & (fleet_work.c.home == work.home.key)
        untouched = here & fleet_work.c.state.not_in((WorkState.RUNNING, WorkState.DONE))
        found = {"state": work.state, "after": work.after, "error": work.error, "attempt": 0, "due_at": now()}
        connection.execute(update(fleet_work).where(untouched).values(**found))
    stage = next_stage(connection, run.id)
    going = {"state": RunState.RUNNING, "reason": "", "stage": run.stage if stage is None else stage}
    connection.execute(update(fleet_runs).where(fleet_runs.c.id == run.id).values(**going))


def named_works() -> Select[Any]:
    """Returns the question for works, each with the slug that its tenant has now."""
    slug = func.coalesce(tenants.c.slug, "").label("slug")
    return select(fleet_work, slug).outerjoin(tenants, tenants.c.id == fleet_work.c.tenant_id)


def work_of(row: Mapping[Any, Any]) -> Work:
    """Returns the work that a row of ``named_works`` holds."""
    home = Home(row["server"], HomeKind(row["kind"]), row["physical"], row["tenant_id"], row["slug"])
    return Work(
        home=home,
        ring=Ring(row["ring"]),
        stage=row["stage"],
        target=row["target"],
        state=WorkState(row["state"]),
        attempt=row["attempt"],
        claimed=row["claimed"],
        seconds=row["seconds"],
        before=row["before"],
        after=row["after"],
        touched=row["touched"],
        error=row["error"],
        holder=row["holder"],
    )


def _likeness(run: Run) -> tuple[object, ...]:
    options = run.options
    return run.verb, run.target, tuple(options.canary), options.health, tuple(options.needs)


def _found(connection: Connection, wanted: Select[Any], run_id: uuid.UUID) -> Run:
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise RunUnknown(run=run_id)
    return _run(row._mapping)


def _run(row: Mapping[Any, Any]) -> Run:
    document = dict(row["options"])
    options = Options(**{**document, "pace": Pace(**document["pace"])})
    fixed = {"verb": Verb(row["verb"]), "state": RunState(row["state"]), "options": options}
    return Run(**{**row, **fixed})


def _run_row(run: Run) -> dict[str, Any]:
    return dataclasses.asdict(run)


def _work_row(run: Run, work: Work, number: int) -> dict[str, Any]:
    home = work.home
    place = {"server": home.server, "kind": home.kind, "physical": home.physical, "tenant_id": home.tenant}
    facts = {name: getattr(work, name) for name in ("ring", "stage", "target", "state", "before", "error")}
    return {"run_id": run.id, "home": home.key, "number": number, **place, **facts}
