"""The examination as a whole: every server of a tenancy, every placement on it, and the packages beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from tenantry.catalog.warming import WarmPlacement
from tenantry.doctor import placements, postgres, sqlite, versions
from tenantry.doctor.placements import Census
from tenantry.doctor.report import Report, assemble
from tenantry.errors import TenantryError
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Tenant


def examine(tenancy: Tenancy, *, jobs: int = 4) -> Report:
    """Judges logins, grants, walls, keys, placements and versions on every server, and changes nothing.

    The owner's login sees most; without it the app's is used, and the report says what could not be looked at. Steps
    are announced as events of the operation ``doctor``.
    """
    found: list[Finding] = list(versions.judge_packages(versions.installed()))
    tenants: tuple[Tenant, ...] | None = None
    ready: tuple[WarmPlacement, ...] = ()
    try:
        # Before the tenants: one that is taken meanwhile is then a tenant's too.
        ready = tuple(tenancy.tenants.warm_placements())
        tenants = tuple(_every(tenancy))
    except (TenantryError, SQLAlchemyError) as error:
        found.append(_unlisted(error))
    servers = tenancy.servers.all()
    found += placements.judge_lives(tenants or (), [server.name for server in servers])
    # Whoever cannot list tenants was told so; a catalog of the version before is judged with its own.
    with contextlib.suppress(TenantryError, SQLAlchemyError):
        found += placements.judge_moves(placements.unfinished_moves(tenancy), tenants or ())
    for server in servers:
        census = placements.census(tenancy, tenants=tenants, ready=ready, server=server.name)
        found += _examine(server, census, jobs=jobs)
    return assemble(found, [f"{server.name} ({server.location})" for server in servers])


def _every(tenancy: Tenancy) -> Iterator[Tenant]:
    """Yields the tenants of every state but erased."""
    after: Tenant | None = None
    while page := tenancy.tenants.list(after=after, limit=500):
        yield from page
        after = page[-1]


def _examine(server: Server, census: Census, *, jobs: int) -> Iterator[Finding]:
    if isinstance(server, SqliteServer):
        yield from sqlite.examine(server, census)
    else:
        yield from postgres.examine(server, census, jobs=jobs)


def _unlisted(error: Exception) -> Finding:
    reason = str(getattr(error, "orig", error)).splitlines()[0]
    message = f"Placements were not compared with the catalog, and tenants' own databases were not looked at: {reason}"
    fix = "Give the platform's or the owner's login (TENANTRY_PLATFORM_URL, TENANTRY_OWNER_URL)."
    return Finding("U601", "tenants", message, fix)
