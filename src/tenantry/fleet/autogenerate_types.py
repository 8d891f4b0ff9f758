"""Types in generated revisions: each with the import that makes the file run as it is."""

from __future__ import annotations

from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeEngine

from tenantry import models


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Returns how a type that is not SQLAlchemy's is written, and has its module imported; False for the rest."""
    if kind != "type" or not isinstance(item, TypeEngine):
        return False
    name, module = type(item).__name__, type(item).__module__
    if getattr(models, name, None) is type(item):
        context.imports.add(f"import {models.__name__}")
        # Ours are made without arguments; repr() would name those of the type inside.
        return f"{models.__name__}.{name}()"
    if module.partition(".")[0] == "sqlalchemy":
        return False
    context.imports.add(f"import {module}")
    return f"{module}.{item!r}"
