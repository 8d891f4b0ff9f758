"""The audit: what was done for a tenant and by whom, in a chain that shows every later change."""

from tenantry.audit.anchors import Anchor, AnchorFiles, AnchorStore
from tenantry.audit.core import Audit
from tenantry.audit.entries import Entry
from tenantry.audit.redacting import IpAddresses, Redactor
from tenantry.audit.restoring import audits_of
from tenantry.audit.retaining import Purged
from tenantry.audit.verifying import CODES

__all__ = [
    "CODES",
    "Anchor",
    "AnchorFiles",
    "AnchorStore",
    "Audit",
    "Entry",
    "IpAddresses",
    "Purged",
    "Redactor",
    "audits_of",
]
