"""What a placement holds: its rows counted away, and the tables that it lacks. Runs inside a tenant's transaction."""

from __future__ import annotations

from collections.abc import Container

from sqlalchemy import Connection, MetaData, func, literal, select, text
from sqlalchemy.exc import DBAPIError

from tenantry.errors import SurprisingErase
from tenantry.isolation.purging import Purge
from tenantry.models import Ownership, owned_tables
from tenantry.types import Finding


def delete_rows(purge: Purge, metadata: MetaData) -> dict[str, int]:
    """Deletes every row that the tenant of a purge has, and returns how many went, by table.

    Raises: SurprisingErase for rows that another session wrote meanwhile, to roll all back.
    """
    tables = owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)
    gone = purge.delete_all(tables[::-1])
    left = {table.name: purge.count(table) for table in tables}
    appeared = [f"{rows} rows of {name}" for name, rows in left.items() if rows]
    if appeared:
        raise SurprisingErase(tenant=purge.tenant, reason=f"{', '.join(appeared)} appeared meanwhile.")
    return gone


def count_rows(connection: Connection, metadata: MetaData, present: Container[str]) -> dict[str, int]:
    """Returns how many rows the tenant of a file has, by table, of those tables that are *present*."""
    tables = owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)
    counted = [table for table in tables if table.name in present]
    return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in counted}


def missing_tables(connection: Connection, metadata: MetaData, *, where: str) -> list[Finding]:
    """Returns a finding for each walled table that the bound tenant cannot reach; an empty list means it looked."""
    findings = []
    for table in owned_tables(metadata, Ownership.TENANT, Ownership.RECORD):
        nested = connection.begin_nested()
        try:
            connection.execute(select(literal(1)).select_from(table).where(text("1 = 0")))
        except DBAPIError as error:
            nested.rollback()
            fix = "Run `tenantry install`, or upgrade the placement with the fleet."
            findings.append(Finding("P001", f"{where}: {table.name}", str(error.orig).splitlines()[0], fix))
        else:
            nested.commit()
    return findings
