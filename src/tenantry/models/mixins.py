"""The four mixins by which a class says whose its table is."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import CheckConstraint, Column, MetaData, PrimaryKeyConstraint, Table, and_
from sqlalchemy.orm import Mapped, declared_attr
from sqlalchemy.orm.base import opt_manager_of_class
from sqlalchemy.schema import conv

from tenantry.models import keys, sqlmodels, subjects
from tenantry.models.naming import shortened
from tenantry.models.ownership import MARK, SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_walled
from tenantry.models.serialisation import to_dict


class KeyAttribute(declared_attr[Any]):
    """A column that a class gets when it is mapped; a class that is not mapped does not have it.

    Pydantic asks the mixins for attributes of its fields' names, and would warn of a field that shadows one.
    """

    def __get__(self, instance: object | None, owner: Any) -> Any:
        if opt_manager_of_class(owner) is None:
            raise AttributeError(f"{owner.__name__} is not mapped, so it has no {self.fget.__name__}.")
        return super().__get__(instance, owner)


class Owned:
    """What the four mixins have in common: a mark on the table, and ``to_dict()``."""

    __tenantry_ownership__: ClassVar[Ownership]

    def __init_subclass__(cls, *, subject: str | Iterable[str] = (), **options: Any) -> None:
        sqlmodels.take_subject(cls)
        subjects.declare(cls, subject)
        super().__init_subclass__(**options)

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        options["info"] = {**options.get("info", {}), MARK: cls.__tenantry_ownership__}
        build = getattr(super(), "__table_cls__", Table)
        table: Table = build(name, metadata, *items, **options)
        return table

    def to_dict(self, *, exclude: Collection[str] = (), reveal: Collection[str] = ()) -> dict[str, Any]:
        """Returns the row's own columns as JSON-safe values, without secrets unless *reveal* names them."""
        return to_dict(self, exclude=exclude, reveal=reveal)


class Walled(Owned):
    """What tenant-owned tables and tenants' records have in common: the tenant column, first in the key."""

    def __init_subclass__(cls, **options: Any) -> None:
        sqlmodels.add_key_fields(cls)
        super().__init_subclass__(**options)

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        return super().__table_cls__(name, metadata, *_with_key(cls, items), **options)

    if TYPE_CHECKING:
        tenant_id: Mapped[uuid.UUID]
        id: Mapped[uuid.UUID]
    else:

        @KeyAttribute
        @classmethod
        def tenant_id(cls):
            # A class that brings its own Table brings the key columns with it.
            return None if "__table__" in vars(cls) else keys.mapped_tenant_column()


class TenantOwned(Walled):
    """A tenant's rows: the class gets ``tenant_id``, and an ``id`` unless it declares its own key.

    ``subject="requester_email"`` says which attribute, or attributes, name the person whose data a row is.
    """

    __tenantry_ownership__ = Ownership.TENANT


class TenantRecord(Walled):
    """The tenant itself, one row per tenant, whose ``id`` is the tenant's id."""

    __tenantry_ownership__ = Ownership.RECORD

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        check = CheckConstraint(f"{TENANT_COLUMN} = id", name=conv(shortened(f"ck_{name}_is_tenant")))
        return super().__table_cls__(name, metadata, *items, check, **options)


class Platform(Owned):
    """The platform's own rows, which no tenant's session reaches."""

    __tenantry_ownership__ = Ownership.PLATFORM


class Shared(Owned):
    """Reference rows that every tenant reads and the platform writes, in a schema of their own."""

    __tenantry_ownership__ = Ownership.SHARED

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        options.setdefault("schema", SHARED_SCHEMA)
        return super().__table_cls__(name, metadata, *items, **options)


def ownership_of(model: type) -> Ownership | None:
    """Returns whose rows a class holds, or None if it has none of the four mixins."""
    return getattr(model, "__tenantry_ownership__", None)


def _with_key(cls: type[Walled], items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Adds the key columns that the class does not declare; the mapper gives each the attribute of its name."""
    declared = [item for item in items if isinstance(item, Column)]
    tenant = next((column for column in declared if column.name == TENANT_COLUMN), None)
    rest = [item for item in items if item is not tenant]
    parent = _walled_parent(cls)
    if parent is not None and tenant is None:
        # A joined-inheritance child declares no tenant column, since its parent's attribute is mapped already.
        tenant = keys.tenant_column()
        _compare_tenants(cls, parent, tenant)
    if any(isinstance(item, PrimaryKeyConstraint) for item in items):
        _leave_to_constraint(tenant)
    elif not any(column.primary_key for column in declared if column is not tenant):
        rest = [*_own_key(cls, parent), *rest]
    return tuple(rest) if tenant is None else (tenant, *rest)


def _leave_to_constraint(tenant: Column[Any] | None) -> None:
    # SQLAlchemy warns where columns say one thing of the key and a constraint another.
    if tenant is not None:
        tenant.primary_key = False


def _own_key(cls: type[Walled], parent: Table | None) -> list[Column[Any]]:
    if parent is not None:
        return keys.inherited_key_columns(parent)
    return [keys.record_id_column() if cls.__tenantry_ownership__ is Ownership.RECORD else keys.id_column()]


def _walled_parent(cls: type) -> Table | None:
    tables = (vars(base).get("__table__") for base in cls.__mro__[1:])
    return next((table for table in tables if isinstance(table, Table) and is_walled(table)), None)


def _compare_tenants(cls: Any, parent: Table, tenant: Column[Any]) -> None:
    """Completes an ``inherit_condition`` that the application gives, where two keys lead to the parent."""
    arguments = dict(getattr(cls, "__mapper_args__", {}))
    if arguments.get("inherit_condition") is not None:
        own = arguments["inherit_condition"]
        cls.__mapper_args__ = {**arguments, "inherit_condition": and_(parent.c[TENANT_COLUMN] == tenant, own)}
