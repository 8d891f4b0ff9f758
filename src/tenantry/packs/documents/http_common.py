"""What the documents' routes have in common: the bounds of what is asked, and how rows are shown."""

from typing import Annotated, Any

from tenantry.errors import ExtraMissing
from tenantry.packs.documents.graph import DEEPEST
from tenantry.repository import Query as Rows

try:
    from fastapi import Query
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.documents.http", extra="web") from error

from tenantry.web.routes import part

Number = Annotated[int, Query(ge=1, le=2**31 - 1)]
Depth = Annotated[int, Query(ge=1, le=DEEPEST, description="How many steps the walk goes.")]
Types = Annotated[list[str] | None, Query(max_length=50, description="The kinds of lines to follow; none: all.")]


def page(rows: Rows[Any], limit: int, offset: int) -> dict[str, Any]:
    """Returns a part of the rows as dictionaries, and how many there are in all."""
    return part(rows, limit, offset, shown=lambda row: row.to_dict())
