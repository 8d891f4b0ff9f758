"""Doors: one tenancy for functions that are handed none, and sessions that find their tenant in what is asked."""

from tenantry.doors.core import Door
from tenantry.doors.naming import as_uuid, identity_value, slug_of
from tenantry.doors.session import LateSession

__all__ = ["Door", "LateSession", "as_uuid", "identity_value", "slug_of"]
