"""Whose a table is, lifted keys, column types, and the linter."""

from tenantry.models import relationships as _relationships  # noqa: F401  # hooks relationships as classes are mapped
from tenantry.models.append_only import APPEND_ONLY, AppendOnly, is_append_only
from tenantry.models.behaviours import behaviour_table
from tenantry.models.columns import CreatedAt, Timestamps, UTCDateTime
from tenantry.models.documents import JSONDocument, JSONValue
from tenantry.models.foreign_keys import SET_NULL_TRIGGER, sqlite_triggers
from tenantry.models.keys import references, tenant_table
from tenantry.models.lifecycles import Lifecycle
from tenantry.models.lifting import lift
from tenantry.models.linting import lint
from tenantry.models.mixins import Platform, Shared, TenantOwned, TenantRecord, Walled, ownership_of
from tenantry.models.naming import naming_convention
from tenantry.models.ownership import (
    SHARED_SCHEMA,
    TENANT_COLUMN,
    Ownership,
    is_walled,
    owned_tables,
    ownership,
)
from tenantry.models.secret_references import SecretReference
from tenantry.models.soft_delete import SoftDelete
from tenantry.models.stamping import stamp
from tenantry.models.subjects import subject_columns, subject_tables

__all__ = [
    "APPEND_ONLY",
    "SET_NULL_TRIGGER",
    "SHARED_SCHEMA",
    "TENANT_COLUMN",
    "AppendOnly",
    "CreatedAt",
    "JSONDocument",
    "JSONValue",
    "Lifecycle",
    "Ownership",
    "Platform",
    "SecretReference",
    "Shared",
    "SoftDelete",
    "TenantOwned",
    "TenantRecord",
    "Timestamps",
    "UTCDateTime",
    "Walled",
    "behaviour_table",
    "is_append_only",
    "is_walled",
    "lift",
    "lint",
    "naming_convention",
    "owned_tables",
    "ownership",
    "ownership_of",
    "references",
    "sqlite_triggers",
    "stamp",
    "subject_columns",
    "subject_tables",
    "tenant_table",
]
