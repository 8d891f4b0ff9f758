"""What incidents refuse: a workflow or a vendor that is not in use."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class WorkflowInactive(TenantryError):
    """The workflow {name!r} is not in use, so no event of it was taken. Set is_active, or name another workflow."""


class VendorInactive(TenantryError):
    """The vendor {name!r} is not to be called. Set its is_active, or use another vendor."""
