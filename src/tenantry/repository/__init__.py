"""Repositories: a model's rows by name, checked before they become SQL; they never commit."""

from typing import TYPE_CHECKING, Any

from tenantry.repository.core import Query, ReadRepository, Repository
from tenantry.repository.pages import Page, Slice

if TYPE_CHECKING:
    from tenantry.repository.aio import AsyncQuery, AsyncReadRepository, AsyncRepository

__all__ = [
    "AsyncQuery",
    "AsyncReadRepository",
    "AsyncRepository",
    "Page",
    "Query",
    "ReadRepository",
    "Repository",
    "Slice",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tenantry.repository' has no attribute {name!r}")
    # Needs greenlet, which not every installation has.
    from tenantry.repository import aio  # noqa: PLC0415

    return getattr(aio, name)
