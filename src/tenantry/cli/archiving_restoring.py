"""``tenantry archive restore`` and ``diff``; what a crash left of either is listed, resumed or rolled back."""

import uuid
from typing import Annotated, Any, Final

import typer

from tenantry.archive import Archive, Difference, Restored, foreseeing
from tenantry.archive.foreseeing import ForeseenRestore
from tenantry.archive.sources import LATEST
from tenantry.cli.applying import Key, parse_key
from tenantry.cli.archiving_options import StoreName, archive_of, spelt_time
from tenantry.cli.fleeting_options import DryRun, Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, as_data, print_json, print_table, progress, say
from tenantry.types import Isolation, TenantStatus

_DIFFERS: Final = 1
_RESTORING: Final = """
Examples:

tenantry archive restore acme --into acme-yesterday --from before:2026-11-21T18:00  (beside the tenant, to look at)

tenantry archive restore acme --in-place --dry-run

tenantry archive restore acme --in-place  (instead of what it has, which is backed up first)

tenantry archive restore acme  (where nothing of it is left)

tenantry archive restore acme --into acme-big --isolation database --server east
"""
_DIFFING: Final = """
Examples:

tenantry archive diff acme

tenantry archive diff acme --from before:2026-11-21T18:00 --json

Exit codes: 0 nothing differs, 1 something does, 2 a mistake in what was asked.
"""

From = Annotated[
    str, typer.Option("--from", metavar="ARCHIVE", help="A name, a file, 'latest', or before:2026-11-21T18:00.")
]
OperationId = Annotated[uuid.UUID, typer.Argument(metavar="OPERATION", help="As `tenantry archive status` shows it.")]


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(epilog=_RESTORING)(restore)
    app.command(epilog=_DIFFING)(diff)
    app.command(epilog="Example: tenantry archive status --json")(status)
    app.command(epilog="Example: tenantry archive resume 0199c5f0-0000-7000-8000-000000000000")(resume)
    app.command(epilog="Example: tenantry archive rollback 0199c5f0-0000-7000-8000-000000000000")(rollback)


def restore(
    context: typer.Context,
    *,
    key: Key,
    from_: From = LATEST,
    store: StoreName = None,
    into: Annotated[str | None, typer.Option(metavar="SLUG", help="To a new tenant of this slug.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Instead of the rows that the tenant has.")] = False,
    no_keep: Annotated[bool, typer.Option("--no-keep", help="With --in-place: do not back them up before.")] = False,
    isolation: Annotated[
        Isolation | None, typer.Option(help="How far apart a new tenant stands, or one whose place is gone.")
    ] = None,
    server: Annotated[str | None, typer.Option(help="Where that one lives.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Give a tenant the rows of an archive, all of them or none."""
    archive = archive_of(context, store)
    if dry_run:
        _tell_foreseen(_foreseen(archive, key, from_, into=into), key, into=into, in_place=in_place, as_json=as_json)
        return
    if in_place:
        gone = "would be gone for good" if no_keep else "would be replaced, and kept in an archive"
        confirm(f"The rows that {key} has {gone}.", yes=yes)
    with progress("Restoring"):
        restored = archive.restore(
            parse_key(key),
            from_,
            into=into,
            in_place=in_place,
            keep=not no_keep,
            isolation=isolation,
            server=server,
        )
    _tell(restored, as_json=as_json)


def diff(
    context: typer.Context, *, key: Key, from_: From = LATEST, store: StoreName = None, as_json: AsJSON = False
) -> None:
    """Compare what a tenant has with an archive of it, table by table."""
    archive = archive_of(context, store)
    with progress("Comparing"):
        found = archive.diff(parse_key(key), from_)
    _tell_difference(found, key, as_json=as_json)
    raise typer.Exit(_DIFFERS if found else 0)


def status(context: typer.Context, *, store: StoreName = None, as_json: AsJSON = False) -> None:
    """List the backups, verifications and restores that have not come to their end."""
    found = archive_of(context, store).status()
    if as_json:
        print_json([as_data(operation) for operation in found])
        return
    rows = [
        (each.id, each.kind, each.tenant, each.step, "abandoned" if each.abandoned else each.state) for each in found
    ]
    print_table(["operation", "what", "tenant", "step", "state"], rows)
    if any(each.abandoned for each in found):
        say("What is abandoned can be gone on with, or taken back: tenantry archive resume|rollback OPERATION")


def resume(context: typer.Context, *, operation: OperationId, store: StoreName = None, as_json: AsJSON = False) -> None:
    """Go on with a restore whose process is gone; of a backup or a verification, clear away what it left."""
    with progress("Resuming"):
        restored = archive_of(context, store).resume(operation)
    if restored is not None:
        _tell(restored, as_json=as_json)
    elif as_json:
        print_json({"operation": operation, "restored": None})
    else:
        say(f"Operation {operation} is at its end; nothing was restored by it.")


def rollback(
    context: typer.Context, *, operation: OperationId, store: StoreName = None, as_json: AsJSON = False
) -> None:
    """Take back a restore whose process is gone, as far as nobody can have used it yet."""
    with progress("Rolling back"):
        archive_of(context, store).rollback(operation)
    if as_json:
        print_json({"operation": operation, "rolled_back": True})
        return
    say(f"Operation {operation} is taken back.")


def _foreseen(archive: Archive, key: str, from_: str, *, into: str | None) -> ForeseenRestore:
    owner = archive.identify(parse_key(key))
    here = None if into else archive.tenancy.tenants.get(parse_key(key))
    return foreseeing.restore_of(
        archive, owner, from_, here=None if here is None or here.status is TenantStatus.ERASED else here
    )


def _tell_foreseen(found: ForeseenRestore, key: str, *, into: str | None, in_place: bool, as_json: bool) -> None:
    if as_json:
        print_json({**as_data(found), "into": into, "in_place": in_place})
        return
    print_table(
        ["table", "rows in the archive", "rows there now"],
        [(name, rows, found.standing.get(name, 0)) for name, rows in found.archived.items()],
    )
    there = sum(found.standing.values())
    where = f"a new tenant {into}" if into else f"{key}, in the place of the {counted(there, 'row')} it has"
    say(f"{found.name} of {spelt_time(found.taken_at)} would be restored to {where}. Nothing was changed.")
    if there and not into and not in_place:
        say("It would be refused: the place is not empty. Add --in-place or --into.")


def _tell(restored: Restored, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(restored))
        return
    print_table(["table", "rows"], restored.rows.items())
    say(f"{restored.tenant.slug} has the {counted(sum(restored.rows.values()), 'row')} of {restored.archive}.")
    if restored.kept:
        say(f"What it had before is kept in {restored.kept}.")
    for kind, value in restored.identities:
        say(f"{kind}:{value} still finds the tenant that the archive is of.")


def _as_data(restored: Restored) -> dict[str, Any]:
    return {
        "tenant": restored.tenant.slug,
        "id": restored.tenant.id,
        "archive": restored.archive,
        "rows": dict(restored.rows),
        "kept": restored.kept,
    }


def _tell_difference(found: Difference, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": found.name, "tenant": found.tenant, "tables": [as_data(table) for table in found.tables]})
        return
    rows = [
        (each.table, each.only_archived, each.only_live, each.changed, " ".join(each.examples)) for each in found.tables
    ]
    if rows:
        print_table(["table", "only archived", "only now", "changed", "some keys"], rows)
        say("In the keys, - is only in the archive, + only in the tenant, ~ in both with other values.")
    else:
        say(f"{key} has exactly the rows of {found.name}.")
