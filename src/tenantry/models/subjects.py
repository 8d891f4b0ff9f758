"""Whose personal data a row is: the columns that name a person, by which an export and an erase find the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, MetaData, Table, event
from sqlalchemy.orm import ClassManager, Mapper, class_mapper
from sqlalchemy.orm.base import opt_manager_of_class

from tenantry.errors import ConfigurationError
from tenantry.models.ownership import Ownership, ownership

# In Table.info: the names of the columns that name a person.
SUBJECT: Final = "tenantry_subject"
# What a class says of itself, by the names of its attributes.
DECLARED: Final = "__tenantry_subject__"


def subject_columns(table: Table) -> list[Column[Any]]:
    """Returns the columns of *table* that say whose personal data a row is, in the order of their declaration."""
    return [table.c[name] for name in table.info.get(SUBJECT, ())]


def subject_tables(metadata: MetaData) -> list[Table]:
    """Returns the tables whose rows may be a person's, by name."""
    found = [table for table in metadata.tables.values() if table.info.get(SUBJECT)]
    return sorted(found, key=lambda table: table.name)


def declare(model: type, subject: str | Iterable[str]) -> None:
    """Has a class say which of its attributes name a person; those of the classes it derives from are kept."""
    if subject:
        # A model's own metaclass would take it for a column or a field.
        type.__setattr__(model, DECLARED, _names(subject))
    manager: ClassManager[Any] | None = opt_manager_of_class(model)
    if manager is not None and manager.is_mapped:
        # Mapped before the mixin was asked, where the base stands before it.
        _note(class_mapper(model, configure=False), model)


def declare_columns(table: Table, subject: str | Iterable[str]) -> None:
    """Has a table without a class say which of its columns name a person.

    Raises: ConfigurationError for a name that is no column's.
    """
    for name in _names(subject):
        if name not in table.c:
            raise _unknown(table.name, name)
        _mark(table.c[name])


@event.listens_for(Mapper, "after_mapper_constructed")
def _note(mapper: Mapper[Any], model: type) -> None:
    for base in reversed(model.__mro__):
        for name in vars(base).get(DECLARED, ()):
            _mark(_column(mapper, name))


def _column(mapper: Mapper[Any], name: str) -> Column[Any]:
    found: Any = mapper.columns.get(name)
    if found is None:
        found = next((table.c[name] for table in mapper.tables if name in table.c), None)
    if not isinstance(found, Column):
        raise _unknown(mapper.class_.__name__, name)
    return found


def _mark(column: Column[Any]) -> None:
    table = column.table
    if ownership(table) is not Ownership.TENANT:
        raise ConfigurationError(
            what=f"{table.name} does not hold a tenant's rows, so none of it can be exported or erased as a person's.",
            fix="Leave subject= out, or make it TenantOwned.",
        )
    marked = tuple(table.info.get(SUBJECT, ()))
    if column.name not in marked:
        table.info[SUBJECT] = (*marked, column.name)


def _names(subject: str | Iterable[str]) -> tuple[str, ...]:
    return (subject,) if isinstance(subject, str) else tuple(subject)


def _unknown(where: str, name: str) -> ConfigurationError:
    return ConfigurationError(
        what=f"{where} has no column {name!r}, which subject= names.", fix="Name columns that its table has."
    )
