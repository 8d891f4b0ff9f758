"""Whose a table is: one word per table, kept in the table's own ``info``."""

from __future__ import annotations

import enum
from typing import Final

from sqlalchemy import MetaData, Table

TENANT_COLUMN: Final = "tenant_id"
SHARED_SCHEMA: Final = "tenantry_shared"
MARK: Final = "tenantry"


class Ownership(enum.StrEnum):
    """Whose rows a table holds: tenants' rows, the tenants themselves, the platform's, or everybody's to read."""

    TENANT = "tenant"
    RECORD = "record"
    PLATFORM = "platform"
    SHARED = "shared"

    @property
    def walled(self) -> bool:
        """Whether each row belongs to one tenant and stands behind the wall."""
        return self in (Ownership.TENANT, Ownership.RECORD)


def ownership(table: Table) -> Ownership | None:
    """Returns whose *table* is, or None if it does not say."""
    found = table.info.get(MARK)
    return None if found is None else Ownership(found)


def is_walled(table: Table) -> bool:
    """Returns whether each row of *table* belongs to one tenant."""
    found = ownership(table)
    return found is not None and found.walled


def owned_tables(metadata: MetaData, *kinds: Ownership) -> list[Table]:
    """Returns the tables of these kinds (of all kinds, when none is given), those referred to before the referring."""
    wanted = kinds or tuple(Ownership)
    return [table for table in metadata.sorted_tables if ownership(table) in wanted]
