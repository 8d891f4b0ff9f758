"""``tenantry archive``: tenants backed up, verified, compared and restored; archives listed, kept and pruned."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tenantry.archive import Archived, foreseeing, pruning
from tenantry.archive.pruning import Judged
from tenantry.archive.retention import Keep
from tenantry.catalog import archives
from tenantry.cli import (
    archiving_exporting,
    archiving_keys,
    archiving_restoring,
    archiving_schedules,
    archiving_servers,
    archiving_taking,
)
from tenantry.cli.applying import catalog_of, parse_key, setting
from tenantry.cli.archiving_options import (
    KeepOption,
    StoreName,
    archive_of,
    archived_as_data,
    spelt_size,
    spelt_time,
)
from tenantry.cli.fleeting_options import DryRun, Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ArchiveUnknown, ConfigurationError

_ACTION: Final = "Listing archives"
_EPILOG: Final = """
Examples:

tenantry archive key >> keys.env  (once: what archives are signed with, TENANTRY_ARCHIVE_KEYS)

tenantry archive backup acme --store /var/backups/shop

tenantry archive verify acme

tenantry archive list acme

tenantry archive restore acme --into acme-yesterday --from before:2026-11-21T18:00

tenantry archive schedule set --all --every 24h --keep daily=7,weekly=4

The store may stand in TENANTRY_ARCHIVE, or be archive = under \\[tool.tenantry] in pyproject.toml.
"""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)

OneKey = Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of one tenant only.")]


@app.callback()
def archive() -> None:
    """Back tenants up, verify, restore, compare, export and prune, one at a time or by the clock."""


@app.command("list", epilog="Example: tenantry archive list acme --json")
def list_archives(context: typer.Context, *, key: OneKey = None, as_json: AsJSON = False) -> None:
    """List archives, the newest first, wherever they lie."""
    tenancy = catalog_of(context)
    tenant = tenancy.tenants.get(parse_key(key)).id if key else None
    with tenancy.catalog(_ACTION) as connection:
        found = archives.listing(connection, tenant=tenant)
    if as_json:
        print_json([archived_as_data(archived) for archived in found])
        return
    for store in sorted({each.store for each in found}):
        rows = [(each.name, each.rows, spelt_size(each.size), _state(each)) for each in found if each.store == store]
        print_table(["archive", "rows", "size", "state"], rows, title=store)
    say(f"{counted(len(found), 'archive')}, {spelt_size(sum(each.size for each in found))}.")


@app.command("import", epilog="Example: tenantry archive import ./acme.tenantry")
def import_archive(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(help="An archive that came from elsewhere.")],
    store: StoreName = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Put an archive that came from elsewhere into the store, once its signature holds."""
    found = archive_of(context, store)
    with progress("Importing"):
        archived = foreseeing.import_of(found, file) if dry_run else found.import_(file)
    if as_json:
        print_json(archived_as_data(archived))
        return
    said = "would be imported; nothing was changed" if dry_run else "is imported"
    say(f"{archived.name} {said}: {counted(archived.rows, 'row')} of {spelt_time(archived.taken_at)}.")


@app.command(epilog="Example: tenantry archive pin 0199…/20261121t030000.000000z.tenantry")
def pin(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="An archive's name, as `tenantry archive list` shows it.")],
    store: StoreName = None,
    undo: Annotated[bool, typer.Option("--undo", help="Give it back to the retention.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Keep an archive whatever the retention says."""
    found = archive_of(context, store)
    with found.tenancy.catalog(_ACTION) as connection:
        archived = archives.find(connection, found.location, name)
        if archived is None:
            raise ArchiveUnknown(store=found.location, name=name)
        archives.pin(connection, archived.id, pinned=not undo)
    if as_json:
        print_json({"name": name, "pinned": not undo})
        return
    say(f"{name} {'is left to the retention again' if undo else 'stays until it is unpinned'}.")


@app.command(epilog="Example: tenantry archive prune --keep daily=7,weekly=4,monthly=12 --dry-run")
def prune(
    context: typer.Context,
    *,
    key: OneKey = None,
    keep: KeepOption = None,
    store: StoreName = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Delete the archives that the retention does not keep."""
    found = archive_of(context, store)
    tenant = found.identify(parse_key(key)) if key else None
    kept = keep_of(keep)
    judged = pruning.judge(found, kept, tenant)
    going = sum(each.reason is None for each in judged)
    if going and not dry_run:
        confirm(f"{counted(going, 'archive')} of {len(judged)} would be deleted; {kept} stay.", yes=yes)
        with progress("Pruning"):
            judged = pruning.prune(found, kept, tenant)
    _tell(judged, dry_run=dry_run, as_json=as_json)


@app.command(epilog="Example: tenantry archive forget 0199…/20261121t030000.000000z.tenantry")
def forget(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="An archive's name, as `tenantry archive list` shows it.")],
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """Strike an archive off the list that was removed from the store by hand."""
    pruning.forget(archive_of(context, store), name)
    if as_json:
        print_json({"name": name, "forgotten": True})
        return
    say(f"{name} is off the list.")


def keep_of(text: str | None) -> Keep:
    """Returns what the call, the environment or pyproject.toml says is to stay.

    Raises: ConfigurationError where none does.
    """
    said = text or setting("archive_keep")
    if said is None:
        raise ConfigurationError(
            what="Nothing says which archives stay.", fix="Use --keep daily=7,weekly=4, or TENANTRY_ARCHIVE_KEEP."
        )
    return Keep.parse(said)


def _state(archived: Archived) -> str:
    state = f"verified {spelt_time(archived.verified_at)}" if archived.verified_at else "not verified"
    if archived.error:
        state = f"{archived.state}: {archived.error}"
    return f"{state}, pinned" if archived.pinned else state


def _tell(judged: list[Judged], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json([{**archived_as_data(each.archived), "kept": each.reason} for each in judged])
        return
    went = "goes" if dry_run else "gone"
    rows = [(each.archived.name, spelt_size(each.archived.size), each.reason or went) for each in judged]
    print_table(["archive", "size", "kept as"], rows)
    gone = [each.archived for each in judged if each.reason is None]
    freed = spelt_size(sum(archived.size for archived in gone))
    verb = "would be deleted" if dry_run else "deleted"
    say(f"{counted(len(gone), 'archive')} {verb}, {freed}; {len(judged) - len(gone)} stay.")


archiving_taking.register(app)
archiving_restoring.register(app)
archiving_exporting.register(app)
app.add_typer(archiving_schedules.app, name="schedule")
app.add_typer(archiving_keys.app, name="key")
app.add_typer(archiving_servers.app, name="server")
