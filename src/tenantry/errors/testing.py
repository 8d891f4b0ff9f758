"""The test kit."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class LeaksFound(TenantryError, AssertionError):
    """{count} ways lead from one tenant to another: {told} Mend each, and run the suite again."""

    def __init__(self, *, count: int, told: str) -> None:
        super().__init__(count=count, told=told)
        # A line for each: the message alone would run them together.
        self.args = (f"{count} ways lead from one tenant to another:\n{told}\nMend each, and run the suite again.",)


class RowUnknown(TenantryError):
    """{table}.{column} {what}, so no row can be made up for it.
    Say what it takes, by table and column: in the fixture tenantry_known, or known=."""


class RebindRefused(TenantryError):
    """A tenancy can be bound to another server in tests alone, and {reason}. Do it in a fixture, before it is used."""


class UndoRefused(TenantryError):
    """What tenant {tenant} writes cannot be undone together with its neighbour's: both stand in one SQLite file, which
    has one writer. Give the tests tenants of their own files, isolation="database", or two new tenants each."""
