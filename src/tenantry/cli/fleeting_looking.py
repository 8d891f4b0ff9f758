"""``tenantry fleet plan``, ``status``, ``current``, ``check``, ``verify`` and ``sql``: what is, and what would be."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Protocol, runtime_checkable

import typer

from tenantry.cli.choosing import homes_where
from tenantry.cli.fleeting_options import (
    Canaries,
    Jobs,
    JSONLines,
    Relative,
    Target,
    Where,
    call_of,
    canary_of,
    command_line,
    fleet_of,
    part_of_fleet,
)
from tenantry.cli.fleeting_showing import print_line
from tenantry.cli.fleeting_telling import (
    NOT_DONE,
    counted,
    find_run,
    home_as_data,
    short,
    standing_as_data,
    tell_outcome,
    tell_plan,
    tell_status,
    work_as_data,
)
from tenantry.cli.showing import as_data, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.fleet import Home, Position, Verb
from tenantry.fleet.homes import homes_of
from tenantry.fleet.orders import BASE
from tenantry.types import Finding

_FINDINGS: Final = 1
_PLAN_EXAMPLES: Final = """
Examples:

tenantry fleet plan

tenantry fleet plan 3f2a --canary 5%

tenantry fleet plan base --downgrade --where slug=trial-*
"""
_STATUS_EXAMPLES: Final = """
Examples:

tenantry fleet status

tenantry fleet status --json | jq 'select(.position == "behind").home'

tenantry fleet status --run 0199c5f0-0000-7000-8000-000000000000
"""
_CHECK_EXAMPLES: Final = """
Examples:

tenantry fleet check

tenantry fleet check --where tenant=acme --no-orphans --json

Exit codes: 0 well, 1 findings, 2 a mistake.
"""


@runtime_checkable
class Verifying(Protocol):
    """A history whose steps can tell whether they still hold."""

    def serves(self, home: Home) -> bool:
        """Whether it is for that home."""
        ...

    def verify(self, home: Home) -> list[Finding]:
        """Returns what is wrong in a home."""
        ...


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(cls=Relative, epilog=_PLAN_EXAMPLES)(plan)
    app.command(cls=Relative, epilog="Example: tenantry fleet sql --where tenant=acme | less")(sql)
    app.command(cls=Relative, epilog=_STATUS_EXAMPLES)(status)
    app.command(epilog="Example: tenantry fleet current --check-heads && echo all are at head")(current)
    app.command(epilog=_CHECK_EXAMPLES)(check)
    app.command(epilog="Example: tenantry fleet --sqitch db verify --where tenant=acme")(verify)


def plan(
    context: typer.Context,
    *,
    target: Target = "head",
    downgrade: Annotated[bool, typer.Option("--downgrade", help="The way back: who is beyond the revision.")] = False,
    canary: Canaries = None,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Say what a run would do, home by home in its order, and change nothing."""
    verb = Verb.DOWNGRADE if downgrade else Verb.UPGRADE
    print_plan(context, target, verb=verb, choice={"canary": canary, "where": where}, as_json=as_json)


def print_plan(
    context: typer.Context, target: str, *, verb: Verb, choice: Mapping[str, Sequence[str] | None], as_json: bool
) -> None:
    """Prints the plan of a run; *choice* are the options that choose its homes and their order, as they were given."""
    tenancy, history, fleet = fleet_of(context)
    with progress("Looking"):
        chosen = homes_where(tenancy, choice["where"])
        outcome = fleet.plan(target, verb=verb, canary=canary_of(choice["canary"]), where=chosen)
    tell_plan(outcome, history, as_json=as_json, how=command_line(context, verb, target=target, **choice))


def sql(context: typer.Context, *, target: Target = "head", where: Where = None, as_json: JSONLines = False) -> None:
    """Print what would be run, for one home of each kind, server and revision that stands for the others."""
    print_sql(context, target, where=where, as_json=as_json)


def print_sql(context: typer.Context, target: str, *, where: Sequence[str] | None, as_json: bool) -> None:
    """Prints what would be run."""
    tenancy, _, fleet = fleet_of(context)
    scripts = fleet.sql(target, where=homes_where(tenancy, where))
    for home, script in scripts.items():
        if as_json:
            print_line({"event": "home", **home_as_data(home), "sql": script})
        else:
            typer.echo(f"-- {home} ({home.server}, {home.kind})\n{script.rstrip()}\n")
    if not scripts:
        say(f"Nothing to do: every home is at {target}.")


def status(
    context: typer.Context,
    *,
    target: Target = "head",
    run: Annotated[uuid.UUID | None, typer.Option(metavar="RUN", help="Show this run, home by home.")] = None,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Show where the fleet stands, seen from a revision, and the newest run with what failed in it."""
    tenancy, _, fleet = fleet_of(context)
    if run is None:
        tell_status(fleet.status(target, where=homes_where(tenancy, where)), as_json=as_json, call=call_of(context))
        return
    outcome = find_run(tenancy, run)
    if as_json:
        for work in outcome.works:
            print_line({"event": "home", **work_as_data(work)})
    else:
        columns = ["home", "ring", "state", "attempt", "seconds", "from", "to"]
        rows = [
            (work.home, work.ring, work.state, work.attempt, f"{work.seconds:.2f}", *_ends(work.before, work.after))
            for work in outcome.works
        ]
        print_table(columns, rows)
    tell_outcome(outcome, as_json=as_json, call=call_of(context))


def current(
    context: typer.Context,
    *,
    check_heads: Annotated[
        bool, typer.Option("--check-heads", help=f"Exit with {NOT_DONE} unless every home is at head.")
    ] = False,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Show at which revision every home stands."""
    tenancy, _, fleet = fleet_of(context)
    found = fleet.status(where=homes_where(tenancy, where)).homes
    if as_json:
        for standing in found:
            print_line({"event": "home", **standing_as_data(standing)})
    else:
        rows = [(each.home, each.home.server, each.home.kind, short(each.current), each.position) for each in found]
        print_table(["home", "server", "kind", "revision", "stands"], rows)
    if check_heads and any(standing.position is not Position.AT for standing in found):
        raise typer.Exit(NOT_DONE)


def check(
    context: typer.Context,
    *,
    orphans: Annotated[
        bool, typer.Option("--orphans/--no-orphans", help="Count rows whose foreign key points at nothing, or not.")
    ] = True,
    jobs: Jobs = 4,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Compare every home's live schema with the models, with its fellows and with its history; change nothing."""
    tenancy, history, _ = fleet_of(context)
    chosen = homes_where(tenancy, where)
    homes = [home for home in homes_of(tenancy) if chosen is None or chosen(home)]
    with progress("Checking"):
        findings = part_of_fleet("checking").check(tenancy, history, homes=homes, orphans=orphans, jobs=jobs)
    _tell_findings(findings, as_json=as_json, looked_at=len(homes))


def verify(
    context: typer.Context,
    *,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Run the verify scripts of a Sqitch project in every home."""
    tenancy, history, _ = fleet_of(context)
    if not isinstance(history, Verifying):
        raise ConfigurationError(
            what="Alembic's revisions have no verify scripts.",
            fix="Run `tenantry fleet check`, or choose a Sqitch project: tenantry fleet --sqitch DIRECTORY verify.",
        )
    chosen = homes_where(tenancy, where)
    homes = [home for home in homes_of(tenancy) if history.serves(home) and (chosen is None or chosen(home))]
    with progress("Verifying"):
        findings = [finding for home in homes for finding in history.verify(home)]
    _tell_findings(findings, as_json=as_json, looked_at=len(homes))


def _ends(before: str | None, after: str | None) -> tuple[str, str]:
    return short(before), short(after) if after or before else BASE


def _tell_findings(findings: Sequence[Finding], *, as_json: bool, looked_at: int) -> None:
    if as_json:
        for finding in findings:
            print_line({"event": "finding", **as_data(finding)})
        print_line({"event": "summary", "ok": not findings, "findings": len(findings), "homes": looked_at})
    elif findings:
        print_table(["code", "object", "what is wrong"], [(each.code, each.object, each.message) for each in findings])
        typer.echo("\nWhat to do:")
        for fix in dict.fromkeys(finding.fix for finding in findings):
            typer.echo(fix)
    if not as_json:
        say(f"{counted(len(findings), 'finding')} in {counted(looked_at, 'home')}.")
    raise typer.Exit(_FINDINGS if findings else 0)
