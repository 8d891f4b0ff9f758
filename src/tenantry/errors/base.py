"""The one base of all errors: a docstring that is the message, the facts in fields.

A message says what happened, to whom, and what to do next. HTTP status codes are mapped in ``web``, not here.
"""

from __future__ import annotations

import inspect
from typing import Any


class TenantryError(Exception):
    """Tenantry could not do what was asked."""

    def __init__(self, **fields: Any) -> None:
        template = inspect.cleandoc(type(self).__doc__ or type(self).__name__)
        super().__init__(" ".join(template.format_map(fields).split()))
        self.fields = fields
        # Last, and one by one: AttributeError and ImportError hold a name of their own and clear it.
        for name, value in fields.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)


def _rebuild(kind: type[TenantryError], fields: dict[str, Any]) -> TenantryError:
    return kind(**fields)
