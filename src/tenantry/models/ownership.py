"""Whose a table is: one word per table, kept in the table's own ``info``."""

from __future__ import annotations

import enum
from typing import Final

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import sort_tables_and_constraints

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
        return self in _WALLED


_WALLED: Final = frozenset({Ownership.TENANT, Ownership.RECORD})


def ownership(table: Table) -> Ownership | None:
    """Returns whose *table* is, or None if it does not say."""
    found = table.info.get(MARK)
    return None if found is None else Ownership(found)


def is_walled(table: Table) -> bool:
    """Returns whether each row of *table* belongs to one tenant."""
    return table.info.get(MARK) in _WALLED


def owned_tables(metadata: MetaData, *kinds: Ownership) -> list[Table]:
    """Returns the tables of these kinds (of all kinds, when none is given), those referred to before the referring."""
    wanted = kinds or tuple(Ownership)
    # metadata.sorted_tables warns of tables that refer to each other; create_all() sorts this way and does not.
    tables = sorted(metadata.tables.values(), key=lambda table: table.key)
    in_order = (table for table, _ in sort_tables_and_constraints(tables))  # type: ignore[no-untyped-call]  # untyped there
    return [table for table in in_order if table is not None and ownership(table) in wanted]
