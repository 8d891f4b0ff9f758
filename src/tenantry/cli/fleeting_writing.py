"""``tenantry fleet init``, ``revision``, ``history``, ``heads`` and ``stamp``: the scripts, and what is on record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenantry.cli.applying import program_name, tenancy_of
from tenantry.cli.choosing import homes_where
from tenantry.cli.fleeting_options import Jobs, JSONLines, Relative, Where, fleet_of, history_of, part_of_fleet
from tenantry.cli.fleeting_showing import print_line
from tenantry.cli.fleeting_telling import counted, home_as_data, short
from tenantry.cli.showing import as_data, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.fleet.orders import BASE

_REVISION_EXAMPLES: Final = """
Examples:

tenantry fleet revision --autogenerate -m "add priority"

tenantry fleet revision -m "fill priority"  (an empty one, to be written by hand)

tenantry fleet revision --merge -m "join the two branches"
"""
_STAMP_EXAMPLES: Final = """
Examples:

tenantry fleet stamp head  (the tables are there, the record is not)

tenantry fleet stamp 3f2a --where tenant=acme
"""
_MERGED: Final = ("heads",)

Message = Annotated[str | None, typer.Option("-m", "--message", metavar="TEXT", help="What the revision does.")]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a history."""

    revision: str
    before: str
    head: bool
    says: str


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(epilog="Example: tenantry fleet init migrations")(init)
    app.command(epilog=_REVISION_EXAMPLES)(revision)
    app.command(epilog="Example: tenantry fleet history -r 3f2a:head")(history)
    app.command(epilog="Example: tenantry fleet heads")(heads)
    app.command(cls=Relative, epilog=_STAMP_EXAMPLES)(stamp)


def init(
    context: typer.Context,
    *,
    directory: Annotated[Path, typer.Argument(help="Where the revisions are to be.")] = Path("migrations"),
) -> None:
    """Make a scripts directory that both `tenantry fleet` and plain `alembic` work with."""
    for path in part_of_fleet("revisions").init(directory, app=program_name(context)):
        typer.echo(path)
    say(f'Now say where it is: migrations = "{directory}" under [tool.tenantry] in pyproject.toml.')
    say("Next: tenantry fleet revision --autogenerate -m TEXT")


def revision(
    context: typer.Context,
    *,
    message: Message = None,
    autogenerate: Annotated[
        bool, typer.Option("--autogenerate", help="Write what the models have and the common homes have not.")
    ] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Join several heads in one revision.")] = False,
    head: Annotated[str, typer.Option(metavar="REVISION", help="What it follows.")] = "head",
    splice: Annotated[bool, typer.Option("--splice", help="Let it follow one that is no head.")] = False,
    branch_label: Annotated[str | None, typer.Option(metavar="NAME", help="A name for the branch it begins.")] = None,
    depends_on: Annotated[str | None, typer.Option(metavar="REVISION", help="What must stand before it.")] = None,
    rev_id: Annotated[str | None, typer.Option(metavar="REVISION", help="Its own identifier.")] = None,
) -> None:
    """Write a new revision file."""
    if message is None:
        raise ConfigurationError(what="A revision without a message says nothing.", fix='Add -m "what it does".')
    if merge and autogenerate:
        raise ConfigurationError(what="--merge and --autogenerate are two different things.", fix="Ask for one.")
    tenancy = tenancy_of(context)
    if merge:
        path = part_of_fleet("revisions").merge(tenancy, message, revisions=_MERGED)
    else:
        path = part_of_fleet("revisions").revision(
            tenancy,
            message,
            autogenerate=autogenerate,
            head=head,
            splice=splice,
            branch_label=branch_label,
            depends_on=depends_on,
            rev_id=rev_id,
        )
    typer.echo(path)
    say("Read it before it runs. Next: tenantry fleet plan")


def history(
    context: typer.Context,
    *,
    rev_range: Annotated[
        str | None, typer.Option("-r", "--rev-range", metavar="FROM:TO", help="Only these; either end may be left out.")
    ] = None,
    as_json: JSONLines = False,
) -> None:
    """List the revisions, the newest first."""
    _print_entries(list(_entries(history_of(context, tenancy_of(context)), rev_range)), as_json=as_json)


def heads(context: typer.Context, *, as_json: JSONLines = False) -> None:
    """List the revisions that no other follows; more than one have to be merged."""
    found = [entry for entry in _entries(history_of(context, tenancy_of(context)), None) if entry.head]
    _print_entries(found, as_json=as_json)


def stamp(
    context: typer.Context,
    *,
    target: Annotated[str, typer.Argument(metavar="REVISION", help="What to put on record.")],
    jobs: Jobs = 4,
    where: Where = None,
    as_json: JSONLines = False,
) -> None:
    """Put a revision on record in every home without running anything."""
    tenancy, _, fleet = fleet_of(context)
    with progress("Stamping"):
        found = fleet.stamp(target, jobs=jobs, where=homes_where(tenancy, where))
    if as_json:
        for home, applied in found.items():
            print_line({"event": "home", **home_as_data(home), "before": applied.before, "after": applied.after})
        print_line({"event": "summary", "ok": True, "homes": len(found)})
        return
    print_table(["home", "from", "to"], [(home, short(one.before), short(one.after)) for home, one in found.items()])
    say(f"{target} is on record in {counted(len(found), 'home')}. `tenantry fleet check` compares their tables.")


def _entries(history: Any, rev_range: str | None) -> Iterator[Entry]:
    """Yields the revisions, the newest first; *history* is one of two kinds that have little in common here."""
    if history.name == "sqitch":
        if rev_range is not None:
            raise ConfigurationError(what="A Sqitch plan is shown whole.", fix="Leave --rev-range out.")
        yield from _changes(history.plan.changes)
        return
    first, _, last = (rev_range or ":").partition(":")
    for script in history.lineage.scripts.walk_revisions(first or BASE, last or "heads"):
        yield Entry(script.revision, _joined(script.down_revision), script.is_head, script.doc)


def _joined(before: str | Sequence[str] | None) -> str:
    return before if isinstance(before, str) else ", ".join(before or (BASE,))


def _changes(changes: Sequence[Any]) -> Iterator[Entry]:
    before = [BASE, *map(str, changes)]
    for number, change in reversed(list(enumerate(changes))):
        yield Entry(str(change), before[number], change is changes[-1], change.note)


def _print_entries(found: Sequence[Entry], *, as_json: bool) -> None:
    if as_json:
        for entry in found:
            print_line({"event": "revision", **as_data(entry)})
    elif found:
        rows = [(entry.revision, entry.before, "head" if entry.head else "", entry.says) for entry in found]
        print_table(["revision", "follows", "", "what it does"], rows)
    else:
        say('There is no revision yet. Next: tenantry fleet revision --autogenerate -m "first"')
