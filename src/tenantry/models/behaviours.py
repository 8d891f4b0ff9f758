"""Tables that a behaviour adds to an application's models: walled, lifted and migrated like any other."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.schema import SchemaItem

from tenantry.errors import ConfigurationError
from tenantry.models.keys import tenant_column
from tenantry.models.ownership import MARK, Ownership

# In Table.info: the behaviour whose table it is.
BEHAVIOUR: Final = "tenantry_behaviour"


def behaviour_table(metadata: MetaData, name: str, *items: SchemaItem, behaviour: str, **info: Any) -> Table:
    """Returns the walled table *name* of a behaviour, declared once; *items* are its columns beside ``tenant_id``.

    Raises: ConfigurationError for a table of that name which is another's.
    """
    found = metadata.tables.get(name)
    if found is None:
        marks = {MARK: Ownership.TENANT, BEHAVIOUR: behaviour, **info}
        return Table(name, metadata, tenant_column(), *items, info=marks)
    wanted = {item.name for item in items if isinstance(item, Column)}
    if found.info.get(BEHAVIOUR) != behaviour or not wanted <= set(found.c.keys()):
        raise ConfigurationError(
            what=f"The models have a table {name!r} that is not the one {behaviour} keeps its rows in.",
            fix="Give the behaviour another table name, or rename yours.",
        )
    return found
