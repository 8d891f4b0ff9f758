"""Repositories that ask who may: a mixin that puts a permission before each of their methods."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from tenantry.access.actors import require
from tenantry.access.permissions import exactly
from tenantry.errors import ConfigurationError

READ: Final = "read"
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    READ: ("get", "get_one", "find", "one", "list", "exists", "count", "page", "keyset", "stream", "query"),
    "create": ("create", "bulk_create"),
    "update": ("update", "restore"),
    "delete": ("delete", "purge"),
}
# An upsert is both.
_KINDS_OF: Final[dict[str, tuple[str, ...]]] = {
    **{method: (kind,) for kind, methods in _KINDS.items() for method in methods},
    "upsert": ("create", "update"),
}


class Permitted:
    """Puts permissions before a repository's methods: ``class Documents(Permitted, Repository[Document])``.

    *permissions* names the one that each of read, create, update and delete takes, and those of methods of its own, or
    is the resource. A method that it does not name cannot be called.

    Raises: ConfigurationError where a class declares none, or one that is none.
    """

    permissions: ClassVar[str | Mapping[str, str]]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        declared = _declared(cls)
        for name in _public_methods(cls):
            setattr(cls, name, _guarded(getattr(cls, name), name, _wanted(declared, name)))


def _declared(cls: type[Permitted]) -> Mapping[str, str]:
    said = getattr(cls, "permissions", None)
    if not said:
        raise ConfigurationError(
            what=f"{cls.__name__} is Permitted and declares no permissions.",
            fix="Write permissions = 'documents', or a dict of read, create, update and delete.",
        )
    given = {kind: f"{said}:{kind}" for kind in _KINDS} if isinstance(said, str) else said
    return {name: exactly(permission) for name, permission in given.items()}


def _public_methods(cls: type) -> list[str]:
    found = {name for base in cls.__mro__ for name, value in vars(base).items() if inspect.isfunction(value)}
    return sorted(name for name in found if not name.startswith("_"))


def _wanted(declared: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """Returns the permissions that a method takes, its own before those of its kind, or None for one that has none."""
    if name in declared:
        return (declared[name],)
    kinds = _KINDS_OF.get(name, ())
    return tuple(declared[kind] for kind in kinds) if kinds and all(kind in declared for kind in kinds) else None


def _guarded(method: Callable[..., Any], name: str, wanted: tuple[str, ...] | None) -> Callable[..., Any]:
    # The method as its class wrote it: that of a parent which is Permitted too asks for the parent's permission.
    inner = getattr(method, "__permitted__", method)

    def check(owner: Any) -> None:
        if wanted is None:
            raise ConfigurationError(
                what=f"{type(owner).__name__}.permissions does not say who may call {name}().",
                fix=f"Add {name!r}, or its kind, to permissions.",
            )
        for permission in wanted:
            require(owner, permission)

    guard = _guard_async if inspect.iscoroutinefunction(inner) else _guard
    made = guard(inner, check)
    made.__permitted__ = inner  # type: ignore[attr-defined]  # a function takes attributes
    return made


def _guard(inner: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def run(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check(self)
        return inner(self, *args, **kwargs)

    return run


def _guard_async(inner: Callable[..., Any], check: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(inner)
    async def run(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check(self)
        return await inner(self, *args, **kwargs)

    return run
