"""What became of a run, for people and for machines: who is done, who failed and why, and what to type next."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tenantry.cli.fleeting_showing import print_line
from tenantry.cli.showing import print_table, say
from tenantry.fleet import Home, journal
from tenantry.fleet.history import History, Position
from tenantry.fleet.orders import BASE
from tenantry.fleet.outcomes import RESUMABLE, Outcome, Ring, RunState, Standing, Status, Verb, Work
from tenantry.fleet.running import ACTION
from tenantry.tenancy import Tenancy

# Some home is not where it should be; 1 and 2 are failures and mistakes of the call itself.
NOT_DONE: Final = 3
# What a shell makes of an interrupt.
INTERRUPTED: Final = 130
_DIGEST: Final = re.compile(r"\b[0-9a-f]{40}\b")
_SHORT: Final = 12
# A plan names so many homes of each kind and no more.
_NAMED: Final = 5


def counted(count: int, noun: str) -> str:
    """Returns so many of something, in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def find_run(tenancy: Tenancy, run: uuid.UUID) -> Outcome:
    """Returns a run with the work on each home.

    Raises: RunUnknown.
    """
    with tenancy.catalog(ACTION) as connection:
        return journal.outcome(connection, run)


def short(revision: str | None) -> str:
    """Returns a revision as it is shown: those that are digests by their beginning."""
    return BASE if revision is None else _DIGEST.sub(lambda found: found[0][:_SHORT], revision)


def tell_outcome(outcome: Outcome, *, as_json: bool, call: str) -> int:
    """Prints what became of a run and returns the exit code: nought only where every home is done.

    *call* is how the fleet was called, for what to type next.
    """
    if as_json:
        print_line(summary(outcome, call=call))
    else:
        tell_faults(outcome)
        say(sentence(outcome))
        tell_next(next_commands(outcome, call=call))
    return 0 if outcome.ok else NOT_DONE


def summary(outcome: Outcome, *, call: str) -> dict[str, Any]:
    """Returns a run in numbers, with each home that is not done."""
    run = outcome.run
    return {
        "event": "summary",
        "ok": outcome.ok,
        "run": run.id,
        "verb": run.verb,
        "target": run.target,
        "state": run.state,
        "reason": run.reason,
        "done": len(outcome.done),
        "failed": [work_as_data(work) for work in outcome.failed],
        "unknown": [work_as_data(work) for work in outcome.unknown],
        "left": len(outcome.left),
        "touched": touched(outcome.works),
        "next": list(next_commands(outcome, call=call)),
    }


def work_as_data(work: Work) -> dict[str, Any]:
    """Returns the work on one home as what JSON can hold."""
    names = ("ring", "state", "attempt", "seconds", "before", "after", "target", "touched", "error")
    return {**home_as_data(work.home), **{name: getattr(work, name) for name in names}}


def home_as_data(home: Home) -> dict[str, Any]:
    """Returns a home as what JSON can hold."""
    return {"home": str(home), "server": home.server, "kind": home.kind, "tenant": home.tenant}


def touched(works: Iterable[Work]) -> dict[str, int]:
    """Returns how many rows of each table the data steps touched, over all homes."""
    rows: Counter[str] = Counter()
    for work in works:
        rows.update(work.touched)
    return dict(rows)


def tell_faults(outcome: Outcome) -> None:
    """Prints the homes that failed or could not be looked at, each with its error."""
    faults = [*outcome.failed, *outcome.unknown]
    if faults:
        rows = [(work.home, work.state, short(work.after or work.before), work.error or "") for work in faults]
        print_table(["home", "state", "stands at", "error"], rows)


def sentence(outcome: Outcome) -> str:
    """Returns how far a run came, in one sentence."""
    run, target = outcome.run, short(outcome.run.target)
    goal = "back" if run.verb is Verb.ROLLBACK else f"at {target}"
    if not outcome.works:
        return f"Nothing to do: no home has a way to {target} to go by {run.verb}."
    counts = f"{len(outcome.done)} of {counted(len(outcome.works), 'home')} {_are(outcome.works)} {goal}"
    beside = {"failed": outcome.failed, "unknown": outcome.unknown, "left": outcome.left}
    rest = "".join(f", {len(works)} {name}" for name, works in beside.items() if works)
    rows = "".join(
        f" Data steps touched {counted(count, 'row')} of {table}." for table, count in touched(outcome.works).items()
    )
    state = run.state.replace("_", " ")
    reason = f": {run.reason}" if run.reason else "."
    return f"{counts}{rest}.{rows} Run {run.id} is {state}{reason}"


def next_commands(outcome: Outcome, *, call: str) -> dict[str, str]:
    """Returns what to type next, if there is anything to do, and when or what for."""
    run = outcome.run
    if run.state is RunState.RUNNING:
        return {f"{call} work {run.id}": "takes part", f"{call} status": ""}
    if run.state not in RESUMABLE:
        return {}
    hooks = "".join(f" --{name} …" for name in run.options.needs)
    when = "" if run.state is RunState.PAUSED else "when the cause is mended"
    resume = {f"{call} resume {run.id}{hooks}": when}
    if run.verb is Verb.ROLLBACK:
        return resume
    canaries = any(work.ring is Ring.CANARY for work in outcome.works)
    ring = f" --ring {Ring.CANARY}" if canaries and not any(w.ring is Ring.REST for w in outcome.done) else ""
    return {**resume, f"{call} rollback {run.id}{ring}": "takes back what it did"}


def tell_next(commands: Mapping[str, str]) -> None:
    """Prints what to type next."""
    for command, remark in commands.items():
        say(f"Next: {command}" + (f"  ({remark})" if remark else ""))


def tell_plan(outcome: Outcome, history: History, *, as_json: bool, how: str) -> None:
    """Prints what a run would do; *how* is the command that does it."""
    if as_json:
        for work in outcome.works:
            steps = list(history.steps(work.before, work.target)) if work.error is None else []
            print_line({"event": "home", **work_as_data(work), "steps": steps})
        print_line({"event": "summary", "verb": outcome.run.verb, "target": outcome.run.target, "next": [how]})
        return
    if not outcome.works:
        say(sentence(outcome))
        return
    columns = ["ring", "server", "kind", "from", "to", "steps", "homes", "such as"]
    print_table(columns, [_plan_row(group, history) for group in _alike(outcome.works)])
    tell_faults(outcome)
    say(f"{counted(len(outcome.works), 'home')}; nothing was changed. Next: {how}")


def tell_status(status: Status, *, as_json: bool, call: str) -> None:
    """Prints where the fleet stands, and its newest run."""
    if as_json:
        _print_status(status, call=call)
        return
    print_table(["server", "kind", "revision", "stands", "homes"], _status_rows(status.homes))
    here, whole = len(status.at(Position.AT)), counted(len(status.homes), "home")
    say(f"{here} of {whole} {_are(status.homes)} at {short(status.target)}.")
    if status.run is not None:
        tell_faults(status.run)
        say(f"The newest run, {status.run.run.verb} to {short(status.run.run.target)}: {sentence(status.run)}")
    behind = here < len(status.homes)
    resumed = next_commands(status.run, call=call) if status.run else {}
    tell_next(resumed or ({f"{call} upgrade": ""} if behind else {}))


def standing_as_data(standing: Standing) -> dict[str, Any]:
    """Returns where a home stands as what JSON can hold."""
    return {**home_as_data(standing.home), "revision": standing.current, "position": standing.position}


def _are(found: Sequence[object]) -> str:
    return "is" if len(found) == 1 else "are"


def _print_status(status: Status, *, call: str) -> None:
    for standing in status.homes:
        print_line({"event": "home", **standing_as_data(standing)})
    counts = {position.value: len(status.at(position)) for position in Position}
    run = None if status.run is None else {**summary(status.run, call=call), "event": "run"}
    print_line({"event": "summary", "target": status.target, **counts, "run": run})


def _status_rows(homes: Sequence[Standing]) -> list[tuple[object, ...]]:
    groups: Counter[tuple[object, ...]] = Counter(
        (each.home.server, each.home.kind, short(each.current), each.position) for each in homes
    )
    return [(*group, count) for group, count in groups.items()]


def _alike(works: Sequence[Work]) -> Iterable[Sequence[Work]]:
    groups: dict[tuple[object, ...], list[Work]] = {}
    for work in works:
        key = (work.stage, work.ring, work.home.server, work.home.kind, work.before, work.target, bool(work.error))
        groups.setdefault(key, []).append(work)
    return groups.values()


def _plan_row(group: Sequence[Work], history: History) -> tuple[object, ...]:
    first = group[0]
    steps = [] if first.error else [short(step) for step in history.steps(first.before, first.target)]
    names = ", ".join(str(work.home) for work in group[:_NAMED]) + (", …" if len(group) > _NAMED else "")
    ends = (short(first.before), short(first.target))
    return first.ring, first.home.server, first.home.kind, *ends, ", ".join(steps) or "none", len(group), names
