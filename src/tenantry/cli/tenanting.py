"""``tenantry tenants``: create, list, show, suspend, resume, rename, erase; a command for each, adopting."""

import json
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import typer

from tenantry.cli import adopting, erasing, moving, portraying, running
from tenantry.cli.applying import Key, catalog_of, parse_key, tenancy_of
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say, tenant_as_data
from tenantry.errors import ConfigurationError, LoginRequired
from tenantry.isolation.servers import MAIN
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant

_EPILOG = """
Examples:

tenantry tenants create acme --isolation schema --identity slack_team=T012

tenantry tenants list --json

tenantry tenants show slack_team:T012

tenantry tenants run --jobs 4 -- sh -c 'echo $TENANTRY_TENANT'

tenantry tenants move acme --isolation database --dry-run

tenantry tenants erase acme --confirm acme

A KEY is a slug, a UUID, or an identity as kind:value.
"""
_RECORD = """Write --record '{"name": "Acme Ltd"}'."""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)


@app.callback()
def tenants() -> None:
    """Create, list, show, suspend, resume, rename, adopt, move and erase tenants."""


@app.command(epilog='Example: tenantry tenants create acme --record \'{"name": "Acme Ltd"}\'')
def create(
    context: typer.Context,
    *,
    slug: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")],
    name: Annotated[str | None, typer.Option(help="How people call it.")] = None,
    isolation: Annotated[Isolation | None, typer.Option(help="How far apart it stands from others.")] = None,
    server: Annotated[str | None, typer.Option(help="Where it lives.")] = None,
    identity: Annotated[
        list[str] | None, typer.Option(metavar="KIND=VALUE", help="An outside name; repeatable.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A setting; repeatable.")] = None,
    record: Annotated[str | None, typer.Option(metavar="JSON", help="The fields of its own record.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Create a tenant, ready for sessions."""
    tenancy = tenancy_of(context)
    with progress(f"Creating {slug}"):
        tenant = tenancy.tenants.create(
            slug,
            name=name,
            isolation=isolation,
            server=server,
            identities=[_pair("--identity", text) for text in identity or ()],
            settings=dict(_pair("--setting", text) for text in setting or ()),
            record=_document(record),
        )
    _print_tenant(tenancy, tenant, as_json=as_json)


@app.command("list", epilog="Example: tenantry tenants list --limit 20 --after acme")
def list_tenants(
    context: typer.Context,
    *,
    after: Annotated[str | None, typer.Option(metavar="KEY", help="Start behind this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJSON = False,
) -> None:
    """List tenants in the order of their creation; needs the platform's or the owner's login."""
    tenancy = catalog_of(context)
    found = tenancy.tenants.list(after=parse_key(after) if after else None, limit=limit)
    if as_json:
        print_json([tenant_as_data(tenant) for tenant in found])
        return
    rows = [(t.slug, t.name, t.status, t.isolation, t.server, t.id) for t in found]
    print_table(["slug", "name", "status", "isolation", "server", "id"], rows)
    if len(found) == limit:
        say(f"There may be more: tenantry tenants list --after {found[-1].slug}")


@app.command()
def show(
    context: typer.Context,
    *,
    key: Key,
    brief: Annotated[bool, typer.Option("--brief", help="Only what the catalog says; nothing is counted.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Show one tenant: where it lives, what finds it, its rows and size, its revision and backup, what is slow."""
    tenancy = catalog_of(context)
    tenant = tenancy.tenants.get(parse_key(key))
    found = {} if brief else portraying.portrait(tenancy, tenant)
    _print_tenant(tenancy, tenant, as_json=as_json, more=found)


@app.command()
def suspend(context: typer.Context, *, key: Key, as_json: AsJSON = False) -> None:
    """Close a tenant to new sessions."""
    tenancy = catalog_of(context)
    _print_tenant(tenancy, tenancy.tenants.suspend(parse_key(key)), as_json=as_json)


@app.command()
def resume(context: typer.Context, *, key: Key, as_json: AsJSON = False) -> None:
    """Open a suspended tenant again."""
    tenancy = catalog_of(context)
    _print_tenant(tenancy, tenancy.tenants.resume(parse_key(key)), as_json=as_json)


@app.command()
def rename(
    context: typer.Context,
    *,
    key: Key,
    slug: Annotated[str, typer.Argument(help="The new slug.")],
    name: Annotated[str | None, typer.Option(help="A new name too.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Give a tenant another slug; its rows stay where they are."""
    tenancy = catalog_of(context)
    _print_tenant(tenancy, tenancy.tenants.rename(parse_key(key), slug, name=name), as_json=as_json)


@app.command(epilog="Example: tenantry tenants warm schema --size 20")
def warm(
    context: typer.Context,
    *,
    isolation: Annotated[
        Isolation | None, typer.Argument(metavar="[ISOLATION]", help="schema or database; without it Config.warm.")
    ] = None,
    size: Annotated[int, typer.Option(min=0, help="How many are to be ready; what is beyond is dropped.")] = 5,
    server: Annotated[str, typer.Option(help="Where they are to be.")] = MAIN,
    as_json: AsJSON = False,
) -> None:
    """Keep placements ready, so that creating a tenant is one transaction and needs no owner's login."""
    tenants = tenancy_of(context).tenants
    with progress("Making placements"):
        made = tenants.refill() if isolation is None else tenants.warm(isolation, server=server, size=size)
    ready = Counter((each.server, each.isolation, each.head or "none") for each in tenants.warm_placements())
    if as_json:
        names = ("server", "isolation", "revision", "ready")
        print_json({"made": made, "ready": [dict(zip(names, (*alike, n), strict=True)) for alike, n in ready.items()]})
        return
    print_table(["server", "isolation", "revision", "ready"], [(*alike, count) for alike, count in ready.items()])
    say(f"{made} made, {ready.total()} ready.")


running.register(app)
moving.register(app)
erasing.register(app)
app.add_typer(adopting.app, name="adopt")


def _pair(option: str, text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        raise ConfigurationError(what=f"{option} {text!r} has no '='.", fix=f"Write {option} name=value.")
    return left, right


def _document(text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(what=f"--record is no JSON: {error}.", fix=_RECORD) from None
    if not isinstance(found, dict):
        raise ConfigurationError(what="--record is no JSON object.", fix=_RECORD)
    return found


def _print_tenant(
    tenancy: Tenancy, tenant: Tenant, *, as_json: bool, more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    identities = _identities(tenancy, tenant)
    data = tenant_as_data(tenant)
    if as_json:
        print_json({**data, "identities": identities, **more})
        return
    names = "not visible to this login" if identities is None else ", ".join(map(":".join, identities)) or "none"
    print_table(["", ""], [*data.items(), ("identities", names), *portraying.in_words(more)])


def _identities(tenancy: Tenancy, tenant: Tenant) -> list[tuple[str, str]] | None:
    try:
        return list(tenancy.tenants.identities(tenant))
    except LoginRequired:
        return None
