"""The fence and the move: a tenant that is carried from one placement to another."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class TenantMoved(TenantryError):
    """Tenant {tenant} lives elsewhere by now, so the old place refused. Open a new session and do the work again:
    it finds the new place."""


class TenantMoving(TenantryError, TimeoutError):
    """Tenant {tenant} is behind a fence, and its writers were held for too long. Nothing was changed. Wait
    {retry_after} s and begin the transaction again."""


class MoveRefused(TenantryError):
    """Tenant {tenant} cannot be moved: {reason}"""


class FenceBusy(TenantryError, TimeoutError):
    """Tenant {tenant} could not be fenced within {seconds} s, as sessions hold its rows or its tables. Nothing was
    changed. End the long transactions there, or try again with more patience."""


class MoveUnknown(TenantryError, LookupError):
    """Tenant {tenant} has no move in hand. List what there is with `tenantry tenants moves`."""


class CopyDiffers(TenantryError):
    """Tenant {tenant} stays where it is: the two copies of table {table} differ, with {rows} rows in the old place and
    {found} in the new one. Resume the move, which compares again, or roll it back."""
