"""``tenantry archive key``: a fresh key to sign with, and the tenants' own data keys."""

import datetime
import uuid
from typing import Annotated, Final

import typer

from tenantry.archive.keeping import DataKeys, key_facts
from tenantry.archive.keys import KeyRing, new_key
from tenantry.cli.applying import Key, catalog_of, parse_key
from tenantry.cli.archiving_options import spelt_time
from tenantry.cli.fleeting_options import DryRun, Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, as_data, print_json, print_table, progress, say

_EPILOG: Final = """
Examples:

tenantry archive key  (prints a fresh entry for TENANTRY_ARCHIVE_KEYS; put it first, and keep the older ones)

tenantry archive key list acme

tenantry archive key rotate acme  (its next archives are sealed by a new key)

tenantry archive key destroy acme --key 0199c5f0-0000-7000-8000-000000000000

tenantry archive key rewrap  (after a new key came first in TENANTRY_ARCHIVE_KEYS)
"""

app = typer.Typer(invoke_without_command=True, epilog=_EPILOG, add_completion=False)


@app.callback()
def key(
    context: typer.Context,
    *,
    name: Annotated[str | None, typer.Option(help="What the fresh key is called; by default after the month.")] = None,
) -> None:
    """Print a fresh key to sign archives with; or look after the tenants' own data keys."""
    if context.invoked_subcommand is None:
        typer.echo(new_key(name or f"{datetime.datetime.now(datetime.UTC):%Y-%m}"))
        say("Set it as TENANTRY_ARCHIVE_KEYS, before the older ones, and keep it where the archives are not.")


@app.command("list")
def list_keys(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of one tenant only.")] = None,
    as_json: AsJSON = False,
) -> None:
    """List the tenants' data keys: since when, wrapped by which key, and how many archives need them."""
    tenancy = catalog_of(context)
    found = key_facts(tenancy, tenancy.tenants.get(parse_key(tenant)).id if tenant else None)
    if as_json:
        print_json([as_data(each) for each in found])
        return
    rows = [
        (each.id, each.tenant, each.state, spelt_time(each.created_at), each.under or "", each.archives)
        for each in found
    ]
    print_table(["key", "tenant", "state", "made at", "wrapped by", "archives"], rows)


@app.command()
def rotate(context: typer.Context, *, tenant: Key, dry_run: DryRun = False, as_json: AsJSON = False) -> None:
    """Have a tenant's next archives sealed by a new key; the older ones still open."""
    tenancy = catalog_of(context)
    owner = tenancy.tenants.get(parse_key(tenant)).id
    made = None if dry_run else DataKeys(tenancy, KeyRing.from_env()).rotate(owner).id
    if as_json:
        print_json({"tenant": owner, "key": made})
        return
    say(f"{tenant} would get a new key. Nothing was changed." if dry_run else f"{tenant} has the new key {made}.")


@app.command()
def destroy(
    context: typer.Context,
    *,
    tenant: Key,
    only: Annotated[
        list[uuid.UUID] | None, typer.Option("--key", metavar="ID", help="Only this key; repeatable.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Destroy a tenant's data keys: no archive under them is ever read again, wherever a copy of it lies."""
    tenancy = catalog_of(context)
    owner = tenancy.tenants.get(parse_key(tenant)).id
    doomed = [
        each for each in key_facts(tenancy, owner) if each.under is not None and (only is None or each.id in only)
    ]
    lost = counted(sum(each.archives for each in doomed), "archive")
    keys = counted(len(doomed), "key")
    if not dry_run:
        confirm(f"{keys} of {tenant} would be destroyed, and {lost} never be read again.", yes=yes)
        DataKeys(tenancy, KeyRing.from_env()).destroy(owner, [each.id for each in doomed])
    if as_json:
        print_json({"tenant": owner, "destroyed": [] if dry_run else [each.id for each in doomed]})
        return
    say(
        f"{keys} would be destroyed, which {lost} need. Nothing was changed."
        if dry_run
        else f"{keys} destroyed; {lost} cannot be read any more."
    )


@app.command()
def rewrap(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Wrap every data key by the first key of TENANTRY_ARCHIVE_KEYS; archives stay as they are."""
    tenancy, ring = catalog_of(context), KeyRing.from_env()
    with progress("Wrapping data keys"):
        count = DataKeys(tenancy, ring).rewrap()
    if as_json:
        print_json({"rewrapped": count, "under": ring.current})
        return
    say(f"{counted(count, 'key')} wrapped by {ring.current}. Archives that others signed still need those.")
