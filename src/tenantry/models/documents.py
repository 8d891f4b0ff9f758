"""JSON documents: JSONB on PostgreSQL, JSON on SQLite, and changes inside them are noticed at every depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, SupportsIndex

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.types import TypeDecorator, TypeEngine


class JSONDocument(TypeDecorator[Any]):
    """A JSON object or array; ``None`` is SQL NULL, and a change inside it marks the row as changed."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns JSONB on PostgreSQL, JSON elsewhere."""
        chosen: TypeEngine[Any] = JSONB(none_as_null=True) if dialect.name == "postgresql" else self.impl_instance
        return dialect.type_descriptor(chosen)


class JSONValue(TypeDecorator[Any]):
    """Any JSON value, a text or a number too; ``None`` is SQL NULL, and what changes inside it goes unnoticed."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns JSONB on PostgreSQL, JSON elsewhere."""
        chosen: TypeEngine[Any] = JSONB(none_as_null=True) if dialect.name == "postgresql" else self.impl_instance
        return dialect.type_descriptor(chosen)


class Tracked(Mutable):
    """A part of a document; it tells the whole when it changes."""

    _owner: Tracked | None = None

    @classmethod
    def coerce(cls, key: str, value: Any) -> Any:
        """Returns the document that tracks its changes.

        Raises: ValueError for anything but an object or an array.
        """
        tracked = track(value, None)
        if value is None or isinstance(tracked, Tracked):
            return tracked
        raise ValueError(f"{key} takes a dict or a list, not a {type(value).__name__}.")

    def changed(self) -> None:
        """Marks the row that holds the document as changed."""
        if self._owner is not None:
            self._owner.changed()
        else:
            super().changed()


class TrackedDict(Tracked, dict[str, Any]):
    """An object inside a document."""

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), *, owner: Tracked | None = None):
        self._owner = owner
        dict.__init__(self, {key: track(value, self) for key, value in dict(items).items()})

    def __reduce_ex__(self, _protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (plain(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        dict.__setitem__(self, key, track(value, self))
        self.changed()

    def __delitem__(self, key: str) -> None:
        dict.__delitem__(self, key)
        self.changed()

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]  # dict's overloads say the same in two ways
        self.update(other)
        return self

    def update(self, *others: Any, **more: Any) -> None:
        """Takes over the given items."""
        fresh = dict(*others, **more)
        dict.update(self, {key: track(value, self) for key, value in fresh.items()})
        self.changed()

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Returns the item, putting *default* there first if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Removes and returns the item.

        Raises: KeyError if there is none and no default is given.
        """
        found = dict.pop(self, key, *default)
        self.changed()
        return found

    def popitem(self) -> tuple[str, Any]:
        """Removes and returns the last item.

        Raises: KeyError if there is none.
        """
        found = dict.popitem(self)
        self.changed()
        return found

    def clear(self) -> None:
        """Removes every item."""
        dict.clear(self)
        self.changed()


class TrackedList(Tracked, list[Any]):
    """An array inside a document."""

    def __init__(self, items: Iterable[Any] = (), *, owner: Tracked | None = None):
        self._owner = owner
        list.__init__(self, [track(value, self) for value in items])

    def __reduce_ex__(self, _protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (plain(self),)

    def __setitem__(self, index: Any, value: Any) -> None:
        fresh = [track(item, self) for item in value] if isinstance(index, slice) else track(value, self)
        list.__setitem__(self, index, fresh)
        self.changed()

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        list.__delitem__(self, index)
        self.changed()

    def __iadd__(self, other: Iterable[Any]) -> Self:  # type: ignore[misc]  # list's overloads allow less
        self.extend(other)
        return self

    def __imul__(self, times: SupportsIndex) -> Self:
        self[:] = plain(self) * times.__index__()
        return self

    def append(self, value: Any) -> None:
        """Adds *value* at the end."""
        list.append(self, track(value, self))
        self.changed()

    def extend(self, values: Iterable[Any]) -> None:
        """Adds *values* at the end."""
        list.extend(self, [track(value, self) for value in values])
        self.changed()

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Adds *value* before *index*."""
        list.insert(self, index, track(value, self))
        self.changed()

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Removes and returns one item.

        Raises: IndexError if there is none.
        """
        found = list.pop(self, index)
        self.changed()
        return found

    def remove(self, value: Any) -> None:
        """Removes the first item that equals *value*.

        Raises: ValueError if there is none.
        """
        list.remove(self, value)
        self.changed()

    def clear(self) -> None:
        """Removes every item."""
        list.clear(self)
        self.changed()

    def sort(self, **options: Any) -> None:
        """Puts the items in order."""
        list.sort(self, **options)
        self.changed()

    def reverse(self) -> None:
        """Turns the order round."""
        list.reverse(self)
        self.changed()


def track(value: Any, owner: Tracked | None) -> Any:
    """Returns *value* so that its changes reach *owner*; dicts and lists are copied."""
    if isinstance(value, Mapping):
        return TrackedDict(value, owner=owner)
    if isinstance(value, list | tuple):
        return TrackedList(value, owner=owner)
    return value


def plain(value: Any) -> Any:
    """Returns a document as plain dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


Tracked.associate_with(JSONDocument)
