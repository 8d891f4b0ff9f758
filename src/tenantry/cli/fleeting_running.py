"""``tenantry fleet upgrade`` and its kin: runs begun, worked on, paused, resumed and taken back."""

import contextlib
import functools
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from tenantry.cli.choosing import homes_where
from tenantry.cli.failing import MISTAKE, explain
from tenantry.cli.fleeting_looking import print_plan, print_sql
from tenantry.cli.fleeting_options import (
    ATTEMPTS,
    FAILURES,
    LOCK_TIMEOUT,
    Attempts,
    BackUp,
    Canaries,
    DryRun,
    HealthCheck,
    Jobs,
    JSONLines,
    LockTimeout,
    MaxFailures,
    OneByOne,
    Relative,
    StatementTimeout,
    Target,
    Where,
    Yes,
    backup_of,
    call_of,
    canary_of,
    confirm,
    failures_of,
    fleet_of,
    health_of,
)
from tenantry.cli.fleeting_showing import shown
from tenantry.cli.fleeting_telling import INTERRUPTED, counted, find_run, tell_outcome
from tenantry.cli.showing import say
from tenantry.errors import RunUnknown
from tenantry.fleet import Fleet, Outcome, Pace, Ring, Verb

_POLL: Final = 2.0

RunArgument = Annotated[
    uuid.UUID | None, typer.Argument(metavar="[RUN]", help="The run's identifier; without it the newest one.")
]
SQL = Annotated[bool, typer.Option("--sql", help="Print the SQL, for one home of each kind, and run none.")]
Poll = Annotated[float, typer.Option(metavar="SECONDS", min=0.05, help="With --forever: how often to look for work.")]


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(cls=Relative, epilog=_UPGRADE_EXAMPLES)(upgrade)
    app.command(cls=Relative, epilog=_DOWNGRADE_EXAMPLES)(downgrade)
    app.command(epilog="Example: tenantry fleet resume")(resume)
    app.command(epilog="Example: tenantry fleet pause")(pause)
    app.command(epilog=_ROLLBACK_EXAMPLES)(rollback)
    app.command(epilog=_WORK_EXAMPLES)(work)


_UPGRADE_EXAMPLES: Final = """
Examples:

tenantry fleet upgrade  (to head; every home in one transaction of its own)

tenantry fleet upgrade 3f2a --canary acme --canary globex --health shop.checks:is_well

tenantry fleet upgrade --canary 5% --jobs 8 --max-failures 3 --json

tenantry fleet upgrade --where tenant=acme

tenantry fleet upgrade --sql | less
"""
_DOWNGRADE_EXAMPLES: Final = """
Examples:

tenantry fleet downgrade -1 --canary acme

tenantry fleet downgrade base --where slug=trial-* --yes
"""
_ROLLBACK_EXAMPLES: Final = """
Examples:

tenantry fleet rollback  (the newest run)

tenantry fleet rollback 0199c5f0-0000-7000-8000-000000000000 --ring canary --yes
"""
_WORK_EXAMPLES: Final = """
Examples:

tenantry fleet work  (until nothing is left to do)

tenantry fleet work --forever --jobs 8  (one of several workers, on any machine)
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a call asks of the fleet, whichever way it goes."""

    context: typer.Context
    verb: Verb
    target: str
    canary: list[str] | None
    health: str | None
    jobs: int
    max_failures: str
    where: list[str] | None
    pace: Pace
    backup: bool
    as_json: bool


def upgrade(
    context: typer.Context,
    *,
    target: Target = "head",
    canary: Canaries = None,
    health: HealthCheck = None,
    jobs: Jobs = 4,
    max_failures: MaxFailures = FAILURES,
    where: Where = None,
    lock_timeout: LockTimeout = LOCK_TIMEOUT,
    statement_timeout: StatementTimeout = None,
    attempts: Attempts = ATTEMPTS,
    one_by_one: OneByOne = False,
    dry_run: DryRun = False,
    backup: BackUp = False,
    sql: SQL = False,
    as_json: JSONLines = False,
) -> None:
    """Bring every home that is behind to a revision: canaries first, then the rest, until none is behind."""
    pace = _pace(lock_timeout, statement_timeout, attempts=attempts, one_by_one=one_by_one)
    asked = Asked(
        context=context,
        verb=Verb.UPGRADE,
        target=target,
        canary=canary,
        health=health,
        jobs=jobs,
        max_failures=max_failures,
        where=where,
        pace=pace,
        backup=backup,
        as_json=as_json,
    )
    if sql:
        print_sql(context, target, where=where, as_json=as_json)
    elif dry_run:
        _plan(asked)
    else:
        _run(asked)


def downgrade(
    context: typer.Context,
    *,
    target: Target,
    canary: Canaries = None,
    health: HealthCheck = None,
    jobs: Jobs = 4,
    max_failures: MaxFailures = FAILURES,
    where: Where = None,
    lock_timeout: LockTimeout = LOCK_TIMEOUT,
    statement_timeout: StatementTimeout = None,
    attempts: Attempts = ATTEMPTS,
    one_by_one: OneByOne = False,
    dry_run: DryRun = False,
    backup: BackUp = False,
    sql: SQL = False,
    yes: Yes = False,
    as_json: JSONLines = False,
) -> None:
    """Take every home that is beyond a revision back to it; what the later revisions made is dropped."""
    pace = _pace(lock_timeout, statement_timeout, attempts=attempts, one_by_one=one_by_one)
    asked = Asked(
        context=context,
        verb=Verb.DOWNGRADE,
        target=target,
        canary=canary,
        health=health,
        jobs=jobs,
        max_failures=max_failures,
        where=where,
        pace=pace,
        backup=backup,
        as_json=as_json,
    )
    if sql:
        print_sql(context, target, where=where, as_json=as_json)
    elif dry_run:
        _plan(asked)
    else:
        confirm(f"Every home beyond {target} would go back to it, and what later revisions made be dropped.", yes=yes)
        _run(asked)


def resume(
    context: typer.Context,
    *,
    run: RunArgument = None,
    jobs: Jobs = 4,
    health: HealthCheck = None,
    backup: BackUp = False,
    as_json: JSONLines = False,
) -> None:
    """Go on with a run that was paused, stopped, failed or cut off; the homes themselves tell how far it came."""
    _, _, fleet = fleet_of(context)
    asked, kept = health_of(health), backup_of(context, wanted=backup)
    with _underway(context, "resume", as_json=as_json):
        outcome = fleet.resume(run, jobs=jobs, health=asked, backup=kept)
    raise typer.Exit(tell_outcome(outcome, as_json=as_json, call=call_of(context)))


def pause(context: typer.Context, *, run: RunArgument = None, as_json: JSONLines = False) -> None:
    """Have every process stop after the homes it has in hand; `resume` goes on."""
    _, _, fleet = fleet_of(context)
    outcome = fleet.pause(run or _newest(fleet))
    tell_outcome(outcome, as_json=as_json, call=call_of(context))


def rollback(
    context: typer.Context,
    *,
    run: RunArgument = None,
    ring: Annotated[Ring | None, typer.Option(help="Only the canaries, or only the rest.")] = None,
    jobs: Jobs = 4,
    yes: Yes = False,
    as_json: JSONLines = False,
) -> None:
    """Bring the homes that a run changed back to where they came from; what it made there is dropped."""
    tenancy, _, fleet = fleet_of(context)
    undone = run or _newest(fleet)
    done = [work for work in find_run(tenancy, undone).done if ring in (None, work.ring)]
    homes = counted(len(done), "home")
    confirm(f"{homes} would go back to where run {undone} found them, and what it made there be dropped.", yes=yes)
    with _underway(context, "rollback", as_json=as_json):
        outcome = fleet.rollback(undone, ring=ring, jobs=jobs)
    raise typer.Exit(tell_outcome(outcome, as_json=as_json, call=call_of(context)))


def work(
    context: typer.Context,
    *,
    run: Annotated[uuid.UUID | None, typer.Argument(metavar="[RUN]", help="Only this run; else all under way.")] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Look for more work when there is none.")] = False,
    poll: Poll = _POLL,
    jobs: Jobs = 4,
    health: HealthCheck = None,
    backup: BackUp = False,
    as_json: JSONLines = False,
) -> None:
    """Take part in every run that is under way, finish tenants that wait for the owner, catch up who fell behind."""
    _, _, fleet = fleet_of(context)
    kept = backup_of(context, wanted=backup)
    take_part = functools.partial(fleet.work, run, jobs=jobs, health=health_of(health), backup=kept)
    code = 0
    with _underway(context, "work", as_json=as_json):
        for outcome in _outcomes(take_part, forever=forever, poll=poll):
            code = max(code, tell_outcome(outcome, as_json=as_json, call=call_of(context)))
    say("No work is left.")
    raise typer.Exit(code)


def _pace(lock_timeout: float, statement_timeout: float | None, *, attempts: int, one_by_one: bool) -> Pace:
    return Pace(
        lock_timeout=lock_timeout, statement_timeout=statement_timeout, attempts=attempts, one_by_one=one_by_one
    )


def _plan(asked: Asked) -> None:
    choice = {"canary": asked.canary, "where": asked.where, "health": [asked.health] if asked.health else None}
    print_plan(asked.context, asked.target, verb=asked.verb, choice=choice, as_json=asked.as_json)


def _run(asked: Asked) -> None:
    tenancy, _, fleet = fleet_of(asked.context)
    way = fleet.upgrade if asked.verb is Verb.UPGRADE else fleet.downgrade
    canary, where = canary_of(asked.canary), homes_where(tenancy, asked.where)
    health, backup = health_of(asked.health), backup_of(asked.context, wanted=asked.backup)
    failures = failures_of(asked.max_failures)
    with _underway(asked.context, asked.verb, as_json=asked.as_json):
        outcome = way(
            asked.target,
            canary=canary,
            health=health,
            jobs=asked.jobs,
            max_failures=failures,
            backup=backup,
            where=where,
            pace=asked.pace,
        )
    raise typer.Exit(tell_outcome(outcome, as_json=asked.as_json, call=call_of(asked.context)))


def _newest(fleet: Fleet) -> uuid.UUID:
    newest = fleet.newest_run()
    if newest is None:
        raise RunUnknown(run="yet")
    return newest.run.id


def _outcomes(work: Callable[[], Sequence[Outcome]], *, forever: bool, poll: float) -> Iterator[Outcome]:
    """Yields what became of every run there was work in; ends when there is none, or never."""
    while True:
        found = _tried(work) if forever else work()
        yield from found
        if not found:
            if not forever:
                return
            time.sleep(poll)


def _tried(work: Callable[[], Sequence[Outcome]]) -> Sequence[Outcome]:
    """Returns the outcomes, or none where the server was away: a worker outlives that."""
    try:
        return work()
    except Exception as error:
        found = explain(error)
        if found is None or found[1] == MISTAKE:
            raise
        say(found[0])
        return ()


@contextlib.contextmanager
def _underway(context: typer.Context, doing: str, *, as_json: bool) -> Iterator[None]:
    """Shows progress inside the ``with`` block, and ends it well when somebody interrupts or terminates it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with shown(doing, as_json=as_json):
            yield
    except KeyboardInterrupt:
        say("Interrupted: the homes in hand were finished, the others are as they were.")
        say(f"Next: {call_of(context)} resume")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
