"""Models of as many tables as a test asks for, each with an index, each but the first with a foreign key."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import TenantOwned


def models(tables: int) -> Any:
    """Returns a declarative base of so many tables."""

    class Wide(DeclarativeBase):
        pass

    for number in range(tables):
        kinds: dict[str, Any] = {"subject": Mapped[str], "n": Mapped[int]}
        columns: dict[str, Any] = {"n": mapped_column(index=True)}
        if number:
            kinds["parent_id"] = Mapped[uuid.UUID | None]
            columns["parent_id"] = mapped_column(ForeignKey(f"table_{number - 1:03}.id"))
        body = {"__tablename__": f"table_{number:03}", "__module__": __name__, "__annotations__": kinds, **columns}
        type(f"Table{number:03}", (TenantOwned, Wide), body)
    return Wide
