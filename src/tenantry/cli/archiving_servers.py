"""``tenantry archive server``: every database of a server in one folder, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenantry.archive import dump_folders, dumping
from tenantry.archive.dump_folders import Dump
from tenantry.archive.keys import KeyRing
from tenantry.archive.retention import Keep
from tenantry.cli.applying import tenancy_of
from tenantry.cli.archiving_options import spelt_size, spelt_time
from tenantry.cli.fleeting_options import DryRun, Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.isolation.servers import MAIN

_WEEK: Final = "daily=7"
_EPILOG: Final = """
Examples:

tenantry archive server backup /var/backups/servers

tenantry archive server backup . --plain --table tenants --table users  (SQL for people and psql)

tenantry archive server list /var/backups/servers

tenantry archive server restore /var/backups/servers/backup_20261122_030000  (to a server that has none of it)

tenantry archive server prune /var/backups/servers --keep daily=7,weekly=4
"""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)

Place = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where the folders of dumps stand.")]
ServerName = Annotated[str, typer.Option("--server", help="Which server.")]
ProgramsAt = Annotated[
    Path | None, typer.Option("--programs", metavar="DIRECTORY", help="Where pg_dump and pg_restore are.")
]


@app.callback()
def server() -> None:
    """Dump a whole server and restore it: for the day when a machine is lost, not for one customer's rows."""


@app.command()
def backup(
    context: typer.Context,
    *,
    place: Place,
    name: ServerName = MAIN,
    table: Annotated[
        list[str] | None, typer.Option("--table", metavar="NAME", help="Only this common table; repeatable.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Compressed SQL, for people and psql.")] = False,
    programs: ProgramsAt = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Write every database of a server into a new folder, each out of one snapshot."""
    tenancy = tenancy_of(context)
    if dry_run:
        _tell_foreseen(dumping.foresee(tenancy, server=name, tables=table or ()), as_json=as_json)
        return
    with progress("Dumping"):
        folder, made = dumping.dump(
            tenancy,
            place,
            ring=KeyRing.from_env(),
            server=name,
            tables=table or (),
            plain=plain,
            programs=programs,
        )
    _tell(folder, made, f"{folder} holds", as_json=as_json)


@app.command("list")
def list_dumps(*, place: Place, as_json: AsJSON = False) -> None:
    """List the dumps in a directory whose signature and digests hold, the newest first."""
    ring = KeyRing.from_env()
    with progress("Checking"):
        found = {folder: dump_folders.read(folder, ring) for folder in dump_folders.listing(place)}
    if as_json:
        print_json([_as_data(folder, made) for folder, made in found.items()])
        return
    rows = [
        (folder.name, made.server, len(made.files), made.rows, spelt_size(made.size), spelt_time(made.taken_at))
        for folder, made in found.items()
    ]
    print_table(["dump", "server", "databases", "rows", "size", "taken at"], rows)


@app.command()
def restore(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A dump, as `list` shows it.")],
    name: ServerName = MAIN,
    programs: ProgramsAt = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many tables at a time.")] = 1,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Make the databases of a dump anew on a server that has none of them, and close the walls."""
    tenancy, ring = tenancy_of(context), KeyRing.from_env()
    if dry_run:
        _tell(folder, dump_folders.read(folder, ring), "Whole and signed; nothing was changed:", as_json=as_json)
        return
    confirm(f"The databases of {folder.name} would be made on server {name}.", yes=yes)
    with progress("Restoring"):
        made = dumping.restore(tenancy, folder, ring=ring, server=name, programs=programs, jobs=jobs)
        tenancy.install()
    _tell(folder, made, f"Server {name} has", as_json=as_json)
    say("Next: make logins (tenantry install --login NAME --role app), then tenantry doctor.")


@app.command()
def prune(
    *,
    place: Place,
    keep: Annotated[str, typer.Option("--keep", metavar="LIST", help="What stays.")] = _WEEK,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Delete the dumps that the retention does not keep."""
    if not place.is_dir():
        raise ConfigurationError(what=f"There is no directory {place}.", fix="Give the one that `backup` was given.")
    kept = Keep.parse(keep)
    judged = dump_folders.prune(place, kept, dry_run=True)
    going = counted(sum(reason is None for reason in judged.values()), "dump")
    if not dry_run:
        confirm(f"{going} of {len(judged)} would be deleted; {kept} stay.", yes=yes)
        dump_folders.prune(place, kept)
    if as_json:
        print_json([{"dump": str(folder), "kept": reason} for folder, reason in judged.items()])
        return
    print_table(["dump", "kept as"], [(folder.name, reason or "goes") for folder, reason in judged.items()])
    say(f"{going} {'would be deleted' if dry_run else 'deleted'}.")


def _tell_foreseen(counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"databases": dict(counts)})
        return
    print_table(["database", "rows"], counts.items())
    say(f"{counted(len(counts), 'database')} would be dumped. Nothing was changed.")


def _tell(folder: Path, made: Dump, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(folder, made))
        return
    rows = [(file.database, len(file.rows), sum(file.rows.values()), spelt_size(file.size)) for file in made.files]
    print_table(["database", "tables", "rows", "size"], rows)
    say(f"{said} {counted(len(made.files), 'database')}, {counted(made.rows, 'row')}, {spelt_size(made.size)}.")


def _as_data(folder: Path, made: Dump) -> dict[str, Any]:
    files = [
        {"database": file.database, "file": file.name, "size": file.size, "rows": file.rows} for file in made.files
    ]
    facts = {"server": made.server, "kind": made.kind, "taken_at": made.taken_at, "plain": made.plain}
    return {"dump": str(folder), **facts, "tables": list(made.tables), "databases": files}
