"""``tenantry tenants adopt``: a database that existed before, entered, filled, opened and closed behind its wall."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from tenantry.cli.applying import object_at, parse_key, tenancy_of
from tenantry.cli.fleeting_options import Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, as_data, print_json, print_table, progress, say, tenant_as_data
from tenantry.errors import ConfigurationError
from tenantry.fleet.adopting import Adoption, Observation, Plan, Single, Stage, Status
from tenantry.fleet.adopting.stages import STAGES
from tenantry.isolation.servers import MAIN
from tenantry.types import Finding, Isolation

_FINDINGS: Final = 1
_HOW: Final = "Write --plan module:name, the name being that of a Plan, or --tenant KEY for a database of one tenant."
_EPILOG: Final = """
Examples:

tenantry tenants adopt observe --plan shop.plans:northwind  (what is there, what stands in the way)

tenantry tenants adopt advance fill --plan shop.plans:northwind

tenantry tenants adopt advance enforce --plan shop.plans:northwind

tenantry tenants adopt rollback --plan shop.plans:northwind  (until enforce, all can be taken back)

tenantry tenants adopt register acme postgresql://db/acme_shop  (a customer's own database, as it stands)

tenantry tenants adopt advance --tenant acme  (and its keys and its wall)

The stages: observe (nothing is changed), fill (every row gets its tenant), filter (sessions work beside the old
application), enforce (keys and wall hold for everybody).
"""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)

PlanName = Annotated[
    str | None, typer.Option("--plan", metavar="MODULE:NAME", help="The Plan that says who the tenants are.")
]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="KEY", help="The tenant whose own database it is, from `register`.")
]
OnServer = Annotated[str, typer.Option("--server", help="Whose database is taken over.")]
Source = Annotated[
    str | None, typer.Option(metavar="URL", help="On SQLite: the file that is taken over, as sqlite:///path.")
]
Goal = Annotated[Isolation | None, typer.Option("--isolation", help="On SQLite: where the rows go.")]
StageName = Annotated[Stage, typer.Argument(metavar="STAGE", help="fill, filter or enforce.")]
Batch = Annotated[int, typer.Option(min=1, help="How many rows one transaction fills.")]


@app.callback()
def adopt() -> None:
    """Take over a database that existed before, in stages that can stop and be taken back."""


@app.command(epilog="Example: tenantry tenants adopt register acme postgresql://db/acme_shop")
def register(
    context: typer.Context,
    *,
    slug: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")],
    url: Annotated[str, typer.Argument(help="Where the database is; the servers' own logins are used.")],
    name: Annotated[str | None, typer.Option(help="How people call the tenant.")] = None,
    server: Annotated[str | None, typer.Option(help="Which server it is on, where several could be meant.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Enter a customer's own database as a tenant, just as it stands; it gets no sessions yet."""
    tenant = tenancy_of(context).tenants.adopt(slug, url, name=name, server=server)
    if as_json:
        print_json(tenant_as_data(tenant))
        return
    print_table(["", ""], tenant_as_data(tenant).items())
    say(f"Next: tenantry tenants adopt observe --tenant {slug}")


@app.command(epilog="Example: tenantry tenants adopt observe --plan shop.plans:northwind")
def observe(
    context: typer.Context,
    *,
    plan: PlanName = None,
    tenant: Tenant = None,
    server: OnServer = MAIN,
    source: Source = None,
    isolation: Goal = None,
    as_json: AsJSON = False,
) -> None:
    """Count what is there, say what stands in the way, and change nothing."""
    adoption = _adoption(context, plan, tenant=tenant, server=server, source=source, isolation=isolation)
    with progress("Observing"):
        found = adoption.observe()
    _tell(found, as_json=as_json)


@app.command(epilog="Example: tenantry tenants adopt advance filter --plan shop.plans:northwind")
def advance(
    context: typer.Context,
    *,
    stage: StageName = Stage.ENFORCE,
    plan: PlanName = None,
    tenant: Tenant = None,
    server: OnServer = MAIN,
    source: Source = None,
    isolation: Goal = None,
    batch: Batch = 1000,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Go on to a stage, from wherever it stands or a crash left it."""
    adoption = _adoption(context, plan, tenant=tenant, server=server, source=source, isolation=isolation, batch=batch)
    if stage is Stage.ENFORCE:
        confirm("After stage enforce there is no way back.", yes=yes)
    with progress("Adopting"):
        found = adoption.advance(stage)
    _tell(found, as_json=as_json)


@app.command(epilog="Example: tenantry tenants adopt refill --plan shop.plans:northwind")
def refill(
    context: typer.Context,
    *,
    plan: PlanName = None,
    tenant: Tenant = None,
    server: OnServer = MAIN,
    source: Source = None,
    isolation: Goal = None,
    as_json: AsJSON = False,
) -> None:
    """Give rows their tenant again that lost it meanwhile, and enter tenants that have come since."""
    adoption = _adoption(context, plan, tenant=tenant, server=server, source=source, isolation=isolation)
    with progress("Refilling"):
        found = adoption.refill()
    _tell(found, as_json=as_json)


@app.command(epilog="Example: tenantry tenants adopt rollback --plan shop.plans:northwind")
def rollback(
    context: typer.Context,
    *,
    stage: StageName = Stage.OBSERVE,
    plan: PlanName = None,
    tenant: Tenant = None,
    server: OnServer = MAIN,
    source: Source = None,
    isolation: Goal = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Take stages back, down to the one named; past enforce nothing goes back."""
    adoption = _adoption(context, plan, tenant=tenant, server=server, source=source, isolation=isolation)
    confirm(f"What the stages beyond {stage} made would be dropped.", yes=yes)
    with progress("Rolling back"):
        found = adoption.rollback(stage)
    _tell_status(found, as_json=as_json)


@app.command(epilog="Example: tenantry tenants adopt status --plan shop.plans:northwind")
def status(
    context: typer.Context,
    *,
    plan: PlanName = None,
    tenant: Tenant = None,
    server: OnServer = MAIN,
    source: Source = None,
    isolation: Goal = None,
    as_json: AsJSON = False,
) -> None:
    """Say how far it has come, by the journal."""
    adoption = _adoption(context, plan, tenant=tenant, server=server, source=source, isolation=isolation)
    _tell_status(adoption.status(), as_json=as_json)


def _adoption(
    context: typer.Context,
    plan: str | None,
    *,
    tenant: str | None,
    server: str,
    source: str | None,
    isolation: Isolation | None,
    batch: int = 1000,
) -> Adoption:
    tenancy = tenancy_of(context)
    wanted = _plan(plan, tenant)
    return Adoption(tenancy, wanted, server=server, source=source, isolation=isolation, batch=batch)


def _plan(named: str | None, tenant: str | None) -> Plan:
    if (named is None) == (tenant is None):
        raise ConfigurationError(what="An adoption has one plan, or one tenant.", fix=_HOW)
    if named is None:
        return Plan(tenants=Single(parse_key(tenant or "")))
    found = object_at(named, option="--plan", fix=_HOW)
    if not isinstance(found, Plan):
        raise ConfigurationError(what=f"{named} is a {type(found).__name__}, not a Plan.", fix=_HOW)
    return found


def _tell(found: Observation, *, as_json: bool) -> None:
    if as_json:
        tables = {name: as_data(count) for name, count in found.tables.items()}
        parts = {"findings": found.findings, "notes": found.notes}
        said = {name: [as_data(each) for each in part] for name, part in parts.items()}
        print_json({"stage": found.stage, "ok": found.ok, "tenants": found.tenants, "tables": tables, **said})
    else:
        rows = [(name, count.rows, count.without, count.differing) for name, count in found.tables.items()]
        print_table(["table", "rows", "without a tenant", "of another tenant"], rows)
        _print_part("What stands in the way", found.findings)
        _print_part("Worth knowing", found.notes)
        say(_sentence(found))
    raise typer.Exit(_FINDINGS if found.findings else 0)


def _print_part(title: str, part: Sequence[Finding]) -> None:
    if part:
        rows = [(each.code, each.object, each.message, each.fix) for each in part]
        print_table(["code", "object", "what it is", "what to do"], rows, title=title)


def _sentence(found: Observation) -> str:
    said = f"It stands at stage {found.stage}, with {counted(found.tenants, 'tenant')} found."
    if found.stage is Stage.ENFORCE:
        return f"Stage {found.stage}: keys and wall hold for everybody."
    if found.findings:
        return f"{said} {counted(len(found.findings), 'finding')} in the way."
    return f"{said} Next: tenantry tenants adopt advance {STAGES[STAGES.index(found.stage) + 1]}"


def _tell_status(found: Status, *, as_json: bool) -> None:
    if as_json:
        print_json({name: getattr(found, name) for name in ("stage", "state", "step", "error")})
        return
    print_table(["stage", "state", "step", "error"], [(found.stage, found.state, found.step, found.error)])
