"""Stamping: an object gets its tenant once, and keeps it."""

from __future__ import annotations

import uuid
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, Mapper, class_mapper
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.orm.util import object_state

from tenantry.errors import TenantImmutable
from tenantry.ids import uuid7
from tenantry.models.keys import OWN_ID
from tenantry.models.mixins import TenantRecord, Walled, ownership_of
from tenantry.models.ownership import TENANT_COLUMN, Ownership
from tenantry.models.sqlmodels import is_sqlmodel


def stamp(row: object, tenant: uuid.UUID) -> bool:
    """Gives *row* to the tenant if it has none yet, and returns whether it is the tenant's; sends no statement.

    A tenant's own record gets the tenant's id as its ``id`` too.
    """
    names = ("id", TENANT_COLUMN) if ownership_of(type(row)) is Ownership.RECORD else (TENANT_COLUMN,)
    return all(_hold(row, name, tenant) for name in names)


def _hold(row: object, name: str, tenant: uuid.UUID) -> bool:
    held = vars(row).get(name)
    if held is None:
        state = object_state(row)
        held = _identity(state, name)
        if held is None and not state.mapper.has_property(name):
            # The platform's, or everybody's: no tenant's at all.
            return False
    if held is None:
        set_attribute(row, name, tenant)
        return True
    return bool(held == tenant)


def _identity(state: InstanceState[Any], name: str) -> Any:
    """Returns a key column's value of a row that has expired."""
    if state.identity is None:
        return None
    keys = [state.mapper.get_property_by_column(column).key for column in state.mapper.primary_key]
    return dict(zip(keys, state.identity, strict=True)).get(name)


@event.listens_for(Mapper, "after_mapper_constructed")
def _guard_tenant(mapper: Mapper[Any], model: type) -> None:
    if issubclass(model, Walled) and mapper.has_property(TENANT_COLUMN):
        event.listen(getattr(model, TENANT_COLUMN), "set", _refuse_other_tenant)


def _refuse_other_tenant(row: object, value: Any, held: Any, _initiator: object) -> None:
    if not isinstance(held, uuid.UUID) or value == held:
        return
    if value is not None or inspect(row, raiseerr=True).has_identity:
        raise TenantImmutable(model=type(row).__name__)


@event.listens_for(Walled, "init", propagate=True)
def _fill_id(row: Any, _args: object, _kwargs: object) -> None:
    # An id at construction: child.parent_id = parent.id works before the flush.
    model = type(row)
    if model not in _filled:
        _filled[model] = _needs_id(model)
    if _filled[model]:
        row.id = uuid7()


_filled: Final[WeakKeyDictionary[type, bool]] = WeakKeyDictionary()


def _needs_id(model: type) -> bool:
    # SQLModel's fields fill themselves, and a record's id is its tenant's.
    if is_sqlmodel(model) or issubclass(model, TenantRecord):
        return False
    column = class_mapper(model).base_mapper.columns.get("id")
    return column is not None and OWN_ID in column.info
