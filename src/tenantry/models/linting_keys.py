"""What the linter says of keys: foreign, unique, excluding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from tenantry.models.foreign_keys import is_lifted, own_elements, target_table
from tenantry.models.indexes import begins_with_tenant, holds_tenant
from tenantry.models.ownership import TENANT_COLUMN, Ownership, ownership
from tenantry.types import Finding

TOUCHES_TENANT: Final = re.compile(r"SET\s+(?:NULL|DEFAULT)\s*", re.IGNORECASE)


def judge_foreign_keys(table: Table) -> Iterator[Finding]:
    """Yields what is wrong with the foreign keys of *table*."""
    for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
        name = f"{table.fullname}({', '.join(key.column_keys)})"
        target = target_table(key)
        finding = _unknown(key, name) if target is None else _judge_ends(key, name, table, target)
        if finding is not None:
            yield finding
        elif is_lifted(key):
            yield from _judge_actions(key, name)


def judge_uniqueness(table: Table) -> Iterator[Finding]:
    """Yields the constraints and indexes of *table* that compare rows of different tenants."""
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, UniqueConstraint) and not begins_with_tenant(constraint):
            yield _across_tenants(table, constraint.name, "M009", "unique constraint")
        if isinstance(constraint, ExcludeConstraint) and constraint.operators.get(TENANT_COLUMN) != "=":
            yield _across_tenants(table, constraint.name, "M018", "exclusion constraint")
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique and not holds_tenant(index):
            yield _across_tenants(table, index.name, "M009", "unique index")


def _across_tenants(table: Table, name: object, code: str, what: str) -> Finding:
    message = f"The {what} compares rows of different tenants, so its violation tells of another's row."
    return Finding(code, f"{table.fullname}.{name}", message, f"Put {TENANT_COLUMN} first in it.")


def _unknown(key: ForeignKeyConstraint, name: str) -> Finding:
    target = key.elements[0].target_fullname
    return Finding(
        "M008", name, f"The key refers to {target!r}, which no table has.", "Import the module of its model."
    )


def _judge_ends(key: ForeignKeyConstraint, name: str, table: Table, target: Table) -> Finding | None:
    source, aim = ownership(table), ownership(target)
    if source is None or aim is None:
        return None
    if source.walled and aim.walled and not is_lifted(key):
        message = f"The key to {target.name} does not compare the tenant, so a row could refer to another tenant's."
        return Finding("M005", name, message, f"Declare it plainly, ForeignKey('{target.name}.id'), and it is lifted.")
    if source is not Ownership.PLATFORM and aim is Ownership.PLATFORM:
        message = f"The key leads to {target.name}, which is the platform's: tenants cannot read it."
        return Finding("M006", name, message, "Keep the id in an ordinary column without a foreign key.")
    if not source.walled and aim.walled:
        message = f"The key leads from a {source} table to the tenants' {target.name}, so it crosses the wall."
        return Finding("M007", name, message, "Make the table TenantOwned, or turn the reference round.")
    return None


def _judge_actions(key: ForeignKeyConstraint, name: str) -> Iterator[Finding]:
    deletes, updates = key.ondelete or "", key.onupdate or ""
    if TOUCHES_TENANT.match(updates) or re.match(r"SET\s+DEFAULT", deletes, re.IGNORECASE):
        message = "SET NULL on update and SET DEFAULT would change the tenant too."
        yield Finding("M019", name, message, "Use ON DELETE SET NULL, CASCADE, RESTRICT or NO ACTION.")
    required = [element.parent.name for element in own_elements(key) if not element.parent.nullable]
    if TOUCHES_TENANT.match(deletes) and required:
        message = f"ON DELETE SET NULL meets {', '.join(required)}, which cannot be null."
        yield Finding("M019", name, message, "Make the column nullable, or use another action.")
