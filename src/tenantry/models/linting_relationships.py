"""What the linter says of mapped classes: two owners, no owner, joins that forget the tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Mapper, RelationshipProperty

from tenantry.models.joins import mentioned
from tenantry.models.mixins import Platform, Shared, TenantOwned, TenantRecord, ownership_of
from tenantry.models.ownership import TENANT_COLUMN, is_walled
from tenantry.models.relationships import own_relationships
from tenantry.types import Finding


def judge(mapper: Mapper[Any]) -> Iterator[Finding]:
    """Yields what is wrong with a configured class and the relationships that it declares."""
    model = mapper.class_
    owners = [kind.__name__ for kind in (TenantOwned, TenantRecord, Platform, Shared) if issubclass(model, kind)]
    if len(owners) > 1:
        message = f"The class is {' and '.join(owners)} at once."
        yield Finding("M002", model.__name__, message, "Keep the one that says whose its rows are.")
    if not owners and any(isinstance(table, Table) and is_walled(table) for table in mapper.tables):
        message = f"The class is mapped to {mapper.local_table}, a tenant's table, without saying so."
        yield Finding("M021", model.__name__, message, "Give it TenantOwned.")
    if _is_walled_model(model) and mapper.primary_key[0].name != TENANT_COLUMN:
        message = "The class was mapped to a key that does not begin with tenant_id."
        yield Finding("M003", model.__name__, message, "Declare tenant_id before the other columns of its own Table.")
    for relationship in own_relationships(mapper):
        yield from _judge_relationship(model, relationship)


def _judge_relationship(model: type, relationship: RelationshipProperty[Any]) -> Iterator[Finding]:
    target = relationship.mapper.class_
    if not all(_is_walled_model(kind) for kind in (model, target)):
        return
    joins = [join for join in (relationship.primaryjoin, relationship.secondaryjoin) if join is not None]
    if any(TENANT_COLUMN not in {column for _, column in mentioned(join)} for join in joins):
        message = f"Its join to {target.__name__} does not compare the tenants."
        fix = f"Drop primaryjoin=, or add {target.__name__}.{TENANT_COLUMN} == {model.__name__}.{TENANT_COLUMN} to it."
        yield Finding("M017", f"{model.__name__}.{relationship.key}", message, fix)
    elif relationship.secondary is None and _writes_tenant(relationship):
        message = "It writes tenant_id when it is set, and nulls it when it is emptied."
        fix = "Annotate only the own column as foreign(), or drop primaryjoin=."
        yield Finding("M017", f"{model.__name__}.{relationship.key}", message, fix)


def _writes_tenant(relationship: RelationshipProperty[Any]) -> bool:
    pairs = [(read.name, written.name) for read, written in relationship.synchronize_pairs]
    ends = (relationship.parent.class_, relationship.mapper.class_)
    if relationship.viewonly or (_to_record(pairs) and any(issubclass(end, TenantRecord) for end in ends)):
        return False
    return any(written == TENANT_COLUMN for _, written in pairs)


def _to_record(pairs: list[tuple[str, str]]) -> bool:
    # Nothing but the tenant is compared: it is the same on both sides, and in a key, so it is never nulled.
    return pairs == [(TENANT_COLUMN, TENANT_COLUMN)]


def _is_walled_model(model: type) -> bool:
    kind = ownership_of(model)
    return kind is not None and kind.walled
