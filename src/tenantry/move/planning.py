"""What a move would carry, and all that stands in its way, found before the first byte is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tenantry.archive.places import reading, unlisted
from tenantry.archive.shapes import shapes, uncrossable
from tenantry.catalog import operations
from tenantry.catalog.operations import CHANGING, ENDED
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.move.stages import Place, Plan, place_of
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant, TenantStatus

_ACTION = "Moving a tenant"
_MOVABLE = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED)


def plan_move(tenancy: Tenancy, tenant: Tenant, target: Place) -> Plan:
    """Returns what stands at the tenant's place now, and what keeps it from being carried to *target*.

    Raises: LoginRequired without the owner's login of either server.
    """
    source, there = place_of(tenant), target.of(tenant)
    refusals = [*_of_tenant(tenancy, tenant), *_of_places(tenancy, tenant, there)]
    # What stands in the catalog is asked first: it says whether there is anything to look at.
    tables: Mapping[str, int] = {}
    if not refusals:
        tables, revision = contents(tenancy, tenant)
        refusals = [*_of_contents(tenancy, tenant, there), *_of_target(tenancy, there, revision)]
    return Plan(tenant=tenant, source=source, target=target, tables=tables, refusals=tuple(refusals))


def refusals_of_return(tenancy: Tenancy, here: Tenant, there: Tenant) -> list[Finding]:
    """Returns what keeps a tenant from going back to the place that was kept for it."""
    if not tenancy.servers.strategy_of(there).exists(there.id):
        return [_finding("V106", there, "The place that was kept is gone.", "Finalize the move.")]
    _, now = contents(tenancy, here)
    _, then = contents(tenancy, there)
    return list(_of_revisions(there, now, then))


def contents(tenancy: Tenancy, tenant: Tenant) -> tuple[Mapping[str, int], str | None]:
    """Returns how many rows each table holds of a tenant where it lives, and the revision that they stand at."""
    with reading(tenancy, tenant) as reader:
        return {table.name: reader.digest(table).rows for table in reader.tables}, reader.revision


def _of_tenant(tenancy: Tenancy, tenant: Tenant) -> Iterator[Finding]:
    if tenant.status not in _MOVABLE:
        yield Finding("V101", tenant.slug, f"It is {tenant.status}.", "Move tenants that are active or suspended.")
    with tenancy.catalog(_ACTION) as connection:
        found = operations.of_tenant(connection, tenant.id, *CHANGING)
    for operation in found:
        if operation.state not in ENDED:
            message = f"A {operation.kind} of it is at step {operation.step}."
            yield Finding("V102", tenant.slug, message, "Bring that to its end, or take it back, first.")


def _of_places(tenancy: Tenancy, tenant: Tenant, there: Tenant) -> Iterator[Finding]:
    if (tenant.server, tenant.isolation) == (there.server, there.isolation):
        yield _finding("V103", there, "It lives there already.", "Say --isolation or --server.")
    for name in {tenant.server, there.server}:
        server = tenancy.servers.get(name)
        if isinstance(server, PostgresServer):
            # Raises where there is none.
            server.url(OWNER, action=_ACTION)


def _of_contents(tenancy: Tenancy, tenant: Tenant, there: Tenant) -> Iterator[Finding]:
    yield from unlisted(tenancy, tenant)
    if tenancy.servers.get(tenant.server).kind != tenancy.servers.get(there.server).kind:
        yield from uncrossable(tenancy.metadata)
    for shape in shapes(tenancy.metadata):
        if not shape.key:
            yield _finding("V104", tenant, f"Table {shape.name} has no key.", "Give it a primary key.")


def _of_target(tenancy: Tenancy, there: Tenant, revision: str | None) -> Iterator[Finding]:
    strategy = tenancy.servers.strategy_of(there)
    if there.isolation is not Isolation.ROWS:
        if strategy.exists(there.id):
            yield _finding("V105", there, f"{there.physical} stands there.", "Look whose it is, and drop it.")
        yield from _of_revisions(there, revision, tenancy.scripts.head())
        return
    held, stands = contents(tenancy, there)
    for table, rows in held.items():
        if rows:
            message = f"{table} holds {rows} rows of the tenant already."
            yield _finding("V105", there, message, "Look where they come from, and delete them.")
    yield from _of_revisions(there, revision, stands)


def _of_revisions(there: Tenant, revision: str | None, other: str | None) -> Iterator[Finding]:
    if revision != other:
        message = f"The tenant stands at revision {revision}, and this place would be at {other}."
        yield _finding("V107", there, message, "Bring both to one revision with `tenantry fleet upgrade`.")


def _finding(code: str, there: Tenant, message: str, fix: str) -> Finding:
    return Finding(code, f"{there.server}/{there.isolation}", message, fix)
