"""A whole tenant erased: its rows and placement first, then everything that was kept of it, then the look at it all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sqlalchemy import delete, func, select, update

from tenantry.archive import erasures
from tenantry.archive.certificates import TENANT, Certificate
from tenantry.archive.certificates import Store as Told
from tenantry.archive.erasing_places import ROWS, Places, note, told
from tenantry.archive.scrubbing import scrub
from tenantry.catalog import records, schedules
from tenantry.catalog.operations import ENDED, UNDONE, Course
from tenantry.catalog.tables import fleet_work, identities, journal, tenants
from tenantry.catalog.tables import schedules as schedules_table
from tenantry.errors import SurprisingErase
from tenantry.models import Ownership, owned_tables
from tenantry.types import Isolation, Tenant, TenantStatus

_CATALOG: Final = "catalog"
_FILES: Final = "the databases' own files"
_NOTES: Final = (
    "The tenant's identifier stays in the catalog, so that it is never given out again.",
    "Logs and backups that the database server keeps by itself, and exports handed out, are not reached from here.",
)


def erase(places: Places, *, force: bool) -> Certificate:
    """Erases the tenant whose operation was begun.

    Raises: SurprisingErase, EraseUnfinished, and what the stores raise.
    """
    with places.course() as course:
        tenant = _where_it_was(places, course)
        _remove_rows(places, tenant, course, force=force)
        course.step("log")
        with places.catalog() as connection:
            erasures.enter(connection, course.id, tenant.id, subject=(), key="")
        places.wait_for_backups(course)
        places.destroy_keys(course)
        places.delete_files(course)
        places.forget_copies(course, None)
        _clean_catalog(places, course)
        course.step("scrub")
        left = scrub(places.archive.tenancy, tenant, _common_tables(places, tenant))
        course.step("look")
        return places.certify(course, list(_look(places, tenant, course, left)), scope=TENANT, notes=_NOTES)


def count(places: Places) -> dict[str, int]:
    """Returns how many rows the tenant has, by table; none where its placement is gone."""
    if not places.archive.tenancy.servers.strategy_of(places.tenant).exists(places.tenant.id):
        return {}
    with places.archive.tenancy.servers.strategy_of(places.tenant).purging(places.tenant.id) as purge:
        tables = owned_tables(places.archive.tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
        return {table.name: purge.count(table) for table in tables}


def _remove_rows(places: Places, tenant: Tenant, course: Course, *, force: bool) -> None:
    tenancy = places.archive.tenancy
    if tenant.status is not TenantStatus.ERASED:
        if tenant.status is not TenantStatus.ERASING:
            course.step("close")
            with places.catalog() as connection:
                records.set_status(connection, tenant, TenantStatus.ERASING)
            tenancy.router.forget(tenant)
        note(course, ROWS, ROWS, count(replace_tenant(places, tenant)))
        try:
            tenancy.tenants.erase(tenant.id, confirm=tenant.slug, force=force)
        except SurprisingErase:
            course.end(UNDONE)
            raise


def _where_it_was(places: Places, course: Course) -> Tenant:
    place = course.detail["place"]
    return replace(
        places.tenant,
        server=place["server"],
        isolation=Isolation(place["isolation"]),
        physical=place["physical"],
    )


def replace_tenant(places: Places, tenant: Tenant) -> Places:
    """Returns the same places of a tenant that is where it was."""
    return replace(places, tenant=tenant)


def _clean_catalog(places: Places, course: Course) -> None:
    """Takes out of the catalog what other operations wrote down of the tenant."""
    mine = places.tenant.id
    with places.catalog() as connection:
        others = (journal.c.tenant_id == mine, journal.c.id != course.id, journal.c.state.in_(ENDED))
        found = connection.execute(select(func.count()).select_from(journal).where(*others)).scalar_one()
    note(course, "catalog", _CATALOG, {"operations": found})
    with places.catalog() as connection:
        schedules.drop(connection, mine)
        connection.execute(delete(journal).where(*others))
        connection.execute(update(fleet_work).where(fleet_work.c.tenant_id == mine).values(error=None, touched={}))


def _look(places: Places, tenant: Tenant, course: Course, left: dict[str, int]) -> Iterator[Told]:
    where = f"{tenant.isolation.value} {tenant.physical} on server {tenant.server}".replace("  ", " ")
    yield told(course, ROWS, where, looked_at="the placement and every table, counted", left=_left(places, tenant))
    yield told(course, _CATALOG, "the catalog", looked_at="names, identities, schedule, journal", left=_listed(places))
    yield places.told_of_keys(course)
    yield from places.told_of_files(course)
    yield from places.told_of_copies(course, None)
    yield told(course, _FILES, where, looked_at="free pages, logs and statistics, made anew", left=left)


def _left(places: Places, tenant: Tenant) -> dict[str, int]:
    if tenant.isolation is not Isolation.ROWS:
        strategy = places.archive.tenancy.servers.strategy_of(tenant)
        return {"placements": int(strategy.exists(tenant.id))}
    return {name: rows for name, rows in count(replace_tenant(places, tenant)).items() if rows}


def _listed(places: Places) -> dict[str, int]:
    mine = places.tenant.id
    questions = {
        "identities": select(func.count()).select_from(identities).where(identities.c.tenant_id == mine),
        "schedules": select(func.count()).select_from(schedules_table).where(schedules_table.c.tenant_id == mine),
        "names": select(func.count())
        .select_from(tenants)
        .where(tenants.c.id == mine, tenants.c.slug != f"erased-{mine.hex}"),
    }
    with places.catalog() as connection:
        return {name: connection.execute(question).scalar_one() for name, question in questions.items()}


def _common_tables(places: Places, tenant: Tenant) -> list[str]:
    if tenant.isolation is not Isolation.ROWS:
        return []
    return [table.name for table in owned_tables(places.archive.tenancy.metadata, Ownership.TENANT, Ownership.RECORD)]
