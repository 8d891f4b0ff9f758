"""SQLModel classes: their columns are pydantic fields, so the key columns are added as such."""

from __future__ import annotations

import functools
import sys
import uuid
from collections.abc import Iterable
from typing import Any

from tenantry.ids import uuid7
from tenantry.models import subjects
from tenantry.models.keys import tenant_of_row
from tenantry.models.ownership import TENANT_COLUMN, Ownership


def is_sqlmodel(cls: type) -> bool:
    """Returns whether *cls* is an SQLModel class; SQLModel itself is never imported for it."""
    module = sys.modules.get("sqlmodel")
    return module is not None and issubclass(cls, module.SQLModel)


def add_key_fields(cls: type) -> None:
    """Gives an SQLModel class the fields ``tenant_id`` and ``id`` that it does not declare itself."""
    if not is_sqlmodel(cls):
        return
    inherited: dict[str, Any] = {}
    for base in cls.__mro__[1:]:
        inherited.update(getattr(base, "__pydantic_fields__", {}))
    own = dict(vars(cls).get("__annotations__", {}))
    fields = {name: field for name, field in _key_fields(cls).items() if name not in own and name not in inherited}
    if _declares_key(cls, inherited):
        fields.pop("id", None)
    for name, field in fields.items():
        setattr(cls, name, field)
    cls.__annotations__ = {**dict.fromkeys(fields, uuid.UUID | None), **own}


def take_subject(cls: type) -> None:
    """Gives an SQLModel class a metaclass that knows ``subject=``; SQLModel's own drops keywords without a word."""
    if is_sqlmodel(cls) and not hasattr(type(cls), subjects.DECLARED):
        cls.__class__ = _knowing_subjects(type(cls))


@functools.cache
def _knowing_subjects(metaclass: Any) -> type:
    def begin(
        cls: type, name: str, bases: Any, names: Any, *, subject: str | Iterable[str] = (), **options: Any
    ) -> None:
        subjects.declare(cls, subject)
        metaclass.__init__(cls, name, bases, names, **options)

    return type(metaclass.__name__, (metaclass,), {"__init__": begin, subjects.DECLARED: ()})


def _key_fields(cls: type) -> dict[str, Any]:
    field = sys.modules["sqlmodel"].Field
    own: dict[str, Any] = {"default_factory": uuid7}
    if getattr(cls, "__tenantry_ownership__", None) is Ownership.RECORD:
        own = {"default": None, "sa_column_kwargs": {"default": tenant_of_row}}
    return {
        TENANT_COLUMN: field(default=None, primary_key=True, nullable=False),
        "id": field(primary_key=True, nullable=False, **own),
    }


def _declares_key(cls: type, inherited: dict[str, Any]) -> bool:
    fields = {**inherited, **vars(cls)}
    return any(_is_key(field) for name, field in fields.items() if name != TENANT_COLUMN)


def _is_key(field: Any) -> bool:
    # SQLModel keeps what concerns the column in the field, in a later version in the field's metadata.
    metadata = getattr(field, "metadata", None)
    places = [field, *(metadata if isinstance(metadata, list) else [])]
    columns = [*places, *(getattr(place, "sa_column", None) for place in places)]
    return any(getattr(place, "primary_key", None) is True for place in columns)
