"""Which models' changes are recorded by themselves, and what one change says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Select, Table, select, tuple_
from sqlalchemy.orm import ColumnProperty, Mapper, QueryableAttribute
from sqlalchemy.orm.base import instance_state

from tenantry.audit.redacting import REDACTED
from tenantry.models import TENANT_COLUMN
from tenantry.models.serialisation import is_secret, json_safe
from tenantry.models.soft_delete import INCLUDE_DELETED

Image = Mapping[str, Any]
Key = tuple[Any, ...]

CREATED: Final = "created"
UPDATED: Final = "updated"
DELETED: Final = "deleted"


@dataclass(frozen=True, slots=True)
class Captured:
    """A model whose changes are recorded: which columns, which of them masked, and under what category."""

    mapper: Mapper[Any]
    names: tuple[str, ...]
    masked: frozenset[str]
    category: str

    @property
    def table(self) -> Table:
        """The table the model is mapped to."""
        table = self.mapper.local_table
        assert isinstance(table, Table)  # noqa: S101  # only a Table can be walled
        return table

    def of(self, mapper: Mapper[Any]) -> Captured:
        """Returns the same for a class that inherits from the model, with the columns it adds."""
        if mapper is self.mapper:
            return self
        more = [name for name in column_names(mapper) if name not in column_names(self.mapper)]
        masked = {*self.masked, *secret_names(mapper)}
        return Captured(mapper, (*self.names, *more), frozenset(masked), self.category)

    def key(self, image: Mapping[Any, Any]) -> Key:
        """Returns the whole primary key of a row."""
        return tuple(image[name] for name in self.key_names)

    @property
    def key_names(self) -> list[str]:
        """The attributes that make the primary key."""
        return [self.mapper.get_property_by_column(column).key for column in self.mapper.primary_key]

    def select(self, extra: Iterable[str] = ()) -> Select[Any]:
        """Returns what reads the recorded columns, and the key, of the model's rows."""
        names = dict.fromkeys([*self.key_names, *self.names, *extra])
        return select(*(self._attribute(name).label(name) for name in names))

    def select_keys(self, keys: Sequence[Key]) -> Select[Any]:
        """Returns what reads the rows with these keys, hidden ones too, and holds them until the transaction ends."""
        columns = [self._attribute(name) for name in self.key_names]
        found = self.select().where(tuple_(*columns).in_(keys)).with_for_update(of=self.mapper.class_)
        return found.execution_options(**{INCLUDE_DELETED: True})

    def change(
        self, kind: str, before: Image | None, after: Image | None, names: Iterable[str]
    ) -> dict[str, Any] | None:
        """Returns the values of an entry on one changed row, or None if no recorded column did change."""
        changes = {
            name: self._shown(name, before, after)
            for name in names
            if before is None or after is None or json_safe(before[name]) != json_safe(after[name])
        }
        row = after or before
        if row is None or (kind == UPDATED and not changes):
            return None
        own = [str(row[name]) for name in self.key_names if name != TENANT_COLUMN]
        return {
            "event_type": f"{self.table.name}.{kind}",
            "category": self.category,
            "description": f"{self.mapper.class_.__name__} {kind}",
            "resource": (self.table.name, ",".join(own)),
            "changes": changes,
        }

    def _shown(self, name: str, before: Image | None, after: Image | None) -> dict[str, Any]:
        images = {"before": before, "after": after}
        return {side: self._mask(name, image[name]) for side, image in images.items() if image is not None}

    def _mask(self, name: str, value: Any) -> Any:
        return REDACTED if name in self.masked and value is not None else value

    def _attribute(self, name: str) -> QueryableAttribute[Any]:
        found: QueryableAttribute[Any] = getattr(self.mapper.class_, name)
        return found


def captured(mapper: Mapper[Any], *, redact: Collection[str], exclude: Collection[str], category: str) -> Captured:
    """Returns what is recorded of a model; likely secrets are masked without being named."""
    names = tuple(name for name in column_names(mapper) if name not in exclude and name != TENANT_COLUMN)
    return Captured(mapper, names, frozenset({*redact, *secret_names(mapper)}), category)


def column_names(mapper: Mapper[Any]) -> list[str]:
    """Returns the attributes of a class that are columns of its tables."""
    return [attribute.key for attribute in mapper.column_attrs if isinstance(attribute.columns[0], Column)]


def secret_names(mapper: Mapper[Any]) -> set[str]:
    """Returns the attributes that hold secrets, by their mark or their name."""
    return {attribute.key for attribute in mapper.column_attrs if is_secret(attribute)}


def renewed_names(mapper: Mapper[Any]) -> set[str]:
    """Returns the attributes that an update changes by itself."""
    return {attribute.key for attribute in mapper.column_attrs if _is_renewed(mapper, attribute)}


def modified_names(row: object) -> set[str]:
    """Returns the attributes of a mapped object that were set since it was read."""
    return set(instance_state(row).committed_state)


def _is_renewed(mapper: Mapper[Any], attribute: ColumnProperty[Any]) -> bool:
    column = attribute.columns[0]
    if not isinstance(column, Column):
        return False
    return column.onupdate is not None or column.server_onupdate is not None or column is mapper.version_id_col
