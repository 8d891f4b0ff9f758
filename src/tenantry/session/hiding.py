"""Sessions of models with SoftDelete: rows that are stamped as deleted are hidden unless they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import (
    InstanceState,
    RelationshipProperty,
    UserDefinedOption,
    object_mapper,
    with_loader_criteria,
    with_parent,
)
from sqlalchemy.orm.attributes import instance_dict, set_committed_value
from sqlalchemy.orm.collections import collection_adapter
from sqlalchemy.orm.interfaces import ORMOption, RelationshipDirection
from sqlalchemy.sql.visitors import iterate

from tenantry.models import soft_delete
from tenantry.models.soft_delete import DELETED_AT, INCLUDE_DELETED, SoftDelete
from tenantry.session.core import TenantSession
from tenantry.session.criteria import takes_criteria
from tenantry.session.exists import NEEDED, among_live

E = TypeVar("E")


class _WithDeleted(UserDefinedOption):
    """What was asked for with its deleted rows shows those of its relationships too."""

    propagate_to_loaders = True


def _is_live(entity: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = entity.deleted_at.is_(None)
    return found


LIVE: Final = with_loader_criteria(SoftDelete, _is_live, include_aliases=True)
WITH_DELETED: Final = _WithDeleted()


def session_kind() -> type[TenantSession]:
    """Returns the class of sessions for the models of this process; those without SoftDelete pay nothing for it."""
    return HidingSession if soft_delete.mapped else TenantSession


class HidingSession(TenantSession):
    """A session whose ORM statements find no row that is stamped as deleted, unless they say ``include_deleted``."""

    def _execute_internal(self, statement: Any, params: Any = None, **options: Any) -> Any:
        statement = _of_classes(statement)
        if takes_criteria(statement, params):
            statement = _seen(statement, options.get("execution_options"))
        return super()._execute_internal(statement, params, **options)

    def _identity_lookup(self, *args: Any, **options: Any) -> Any:
        found = super()._identity_lookup(*args, **options)
        if not isinstance(found, SoftDelete) or _asked(options.get("execution_options")):
            return found
        # Nor is it found in the database then, whatever of the row is in this session.
        return found if instance_dict(found).get(DELETED_AT) is None else None

    def merge(self, instance: E, *, load: bool = True, options: Sequence[ORMOption] | None = None) -> E:
        """Copies the state of *instance* onto the row of its key in this session, a deleted one too."""
        return super().merge(instance, load=load, options=[*(options or ()), WITH_DELETED])

    def _delete_impl(self, state: InstanceState[Any], obj: object, head: bool) -> None:
        if head and state.key is not None:
            self._uncover(obj, set())
        super()._delete_impl(state, obj, head)

    def _uncover(self, row: Any, seen: set[int]) -> None:
        """Loads the deleted rows that the delete of *row* has to take along or let go, which reads would not find."""
        if id(row) in seen:
            return
        seen.add(id(row))
        for relationship in object_mapper(row).relationships:
            if _by_the_unit_of_work(relationship):
                if issubclass(relationship.mapper.class_, SoftDelete):
                    self._fill(row, relationship)
                held = getattr(row, relationship.key) if relationship.cascade.delete else None
                for child in (held or ()) if relationship.uselist else filter(None, [held]):
                    self._uncover(child, seen)

    def _fill(self, row: Any, relationship: RelationshipProperty[Any]) -> None:
        model = relationship.mapper.class_
        of_row = with_parent(row, getattr(type(row), relationship.key))
        hidden = select(model).where(of_row, model.deleted_at.is_not(None)).options(WITH_DELETED)
        found = self.scalars(hidden).unique().all()
        held = getattr(row, relationship.key)
        if relationship.uselist:
            adapter = collection_adapter(held)
            for child in found:
                if child not in held:
                    adapter.append_without_event(child)
        elif held is None and found:
            set_committed_value(row, relationship.key, found[0])


def _of_classes(statement: Any) -> Any:
    """Returns a SELECT that is made of others, ``select(exists(...))``, as one on the classes that those are on."""
    if not isinstance(statement, Select) or statement._propagate_attrs:
        return statement
    inner = next((found for found in iterate(statement) if isinstance(found, Select) and found._propagate_attrs), None)
    if inner is None:
        return statement
    made = statement._generate()
    made._propagate_attrs = inner._propagate_attrs
    return made


def _seen(statement: Any, given: Any) -> Any:
    if _asked(given) or _asked(statement.get_execution_options()):
        return statement.options(WITH_DELETED)
    # What a loader adds to a statement is there already.
    if any(option is LIVE or isinstance(option, _WithDeleted) for option in statement._with_options):
        return statement
    return (among_live(statement) if NEEDED else statement).options(LIVE)


def _asked(options: Any) -> bool:
    return bool(options and options.get(INCLUDE_DELETED))


def _by_the_unit_of_work(relationship: RelationshipProperty[Any]) -> bool:
    """Returns whether a delete changes rows across *relationship* by itself, not the database by the key's action."""
    down = relationship.direction is not RelationshipDirection.MANYTOONE
    return down and not relationship.viewonly and not relationship.passive_deletes
