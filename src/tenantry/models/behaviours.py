"""Tables that a behaviour adds to an application's models: walled or the platform's, migrated like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.schema import SchemaItem

from tenantry.errors import ConfigurationError
from tenantry.models.keys import tenant_column
from tenantry.models.ownership import MARK, Ownership

# In Table.info: the behaviour whose table it is.
BEHAVIOUR: Final = "tenantry_behaviour"


class Declares(Protocol):
    """Whatever a behaviour's table may be added to: a tenancy, or ``OnMetadata`` before there is one."""

    def table(self, name: str, *items: SchemaItem, behaviour: str, **info: Any) -> Table:
        """Returns the table of a behaviour, declared once."""


@dataclass(frozen=True, slots=True)
class OnMetadata:
    """Adds the tables of behaviours to models that classes are to be mapped to, before any tenancy is made."""

    metadata: MetaData

    def table(self, name: str, *items: SchemaItem, behaviour: str, **info: Any) -> Table:
        """Returns the table of a behaviour, declared once.

        Raises: as ``behaviour_table``.
        """
        return behaviour_table(self.metadata, name, *items, behaviour=behaviour, **info)


def behaviour_table(
    metadata: MetaData,
    name: str,
    *items: SchemaItem,
    behaviour: str,
    owner: Ownership = Ownership.TENANT,
    **info: Any,
) -> Table:
    """Returns the table *name* of a behaviour, declared once: walled, and *items* are its columns beside ``tenant_id``.

    Where *owner* is the platform it is the platform's own, and *items* are all its columns.

    Raises: ConfigurationError for a table of that name which is another's.
    """
    found = metadata.tables.get(name)
    if found is None:
        marks = {MARK: owner, BEHAVIOUR: behaviour, **info}
        key = (tenant_column(),) if owner.walled else ()
        return Table(name, metadata, *key, *items, info=marks)
    wanted = {item.name for item in items if isinstance(item, Column)}
    if found.info.get(BEHAVIOUR) != behaviour or not wanted <= set(found.c.keys()):
        raise ConfigurationError(
            what=f"The models have a table {name!r} that is not the one {behaviour} keeps its rows in.",
            fix="Give the behaviour another table name, or rename yours.",
        )
    return found
