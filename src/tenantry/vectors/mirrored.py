"""The rows of a class that is mirrored: found by their keys, which are their own ids as text."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, unquote

from sqlalchemy import Table, inspect, select, tuple_
from sqlalchemy.orm import Mapper, QueryableAttribute

from tenantry.errors import ConfigurationError
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.session.core import TenantSession

_PARSERS: Final[dict[type, Callable[[str], Any]]] = {uuid.UUID: uuid.UUID, int: int, str: str}
_SEPARATOR: Final = "/"


class Mirrored:
    """A class whose rows are mirrored.

    Raises: ConfigurationError for a class that is not the tenants', or whose ids are no UUIDs, numbers or texts.
    """

    def __init__(self, model: type[Any]) -> None:
        mapper: Mapper[Any] = inspect(model)
        table = mapper.local_table
        if not isinstance(table, Table) or not is_walled(table):
            raise ConfigurationError(
                what=f"{model.__name__} holds no rows of tenants, so it has no vectors among theirs.",
                fix="Mirror a TenantOwned class.",
            )
        self.model = model
        self.table = table
        own = [column for column in mapper.primary_key if column.name != TENANT_COLUMN]
        self._names = [mapper.get_property_by_column(column).key for column in own]
        kinds = [column.type.python_type for column in own]
        if unknown := [kind for kind in kinds if kind not in _PARSERS]:
            raise ConfigurationError(
                what=f"The ids of {model.__name__} are of the type {unknown[0].__name__}, which makes no key.",
                fix="Mirror a class whose id is a UUID, a whole number or a text.",
            )
        self._parsers = [_PARSERS[kind] for kind in kinds]

    @cached_property
    def tables(self) -> frozenset[str]:
        """The tables in which its rows stand, those of classes that inherit from it too."""
        mappers = inspect(self.model).self_and_descendants
        return frozenset(table.key for mapper in mappers for table in mapper.tables if isinstance(table, Table))

    @cached_property
    def sources(self) -> frozenset[str]:
        """The tables whose deleted rows take rows of this class along, by the database."""
        known = self.table.metadata.tables
        found, before = set(self.tables), 0
        while len(found) > before:
            before = len(found)
            keys = [key for name in found for key in known[name].foreign_key_constraints]
            found |= {key.referred_table.key for key in keys if key.ondelete}
        return frozenset(found - self.tables)

    def key_of(self, row: object) -> str:
        """Returns the key of a row."""
        return self._key([getattr(row, name) for name in self._names])

    def keys(self, session: TenantSession) -> Iterator[str]:
        """Yields the keys of all the tenant's rows."""
        for row in session.execute(select(*self._attributes)):
            yield self._key(row)

    def rows(self, session: TenantSession, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yields the tenant's rows that have one of these keys, each with its key."""
        ids = [found for key in keys if (found := self._id(key)) is not None]
        among = tuple_(*self._attributes).in_(ids)
        for row in session.scalars(select(self.model).where(among)) if ids else ():
            yield self.key_of(row), row

    @property
    def _attributes(self) -> list[QueryableAttribute[Any]]:
        return [getattr(self.model, name) for name in self._names]

    def _key(self, values: Sequence[Any]) -> str:
        if len(values) == 1:
            return str(values[0])
        return _SEPARATOR.join(quote(str(value), safe="") for value in values)

    def _id(self, key: str) -> tuple[Any, ...] | None:
        parts = [key] if len(self._parsers) == 1 else [unquote(part) for part in key.split(_SEPARATOR)]
        with contextlib.suppress(ValueError):
            return tuple(parse(part) for parse, part in zip(self._parsers, parts, strict=True))
        return None
