"""What every isolation can do: the small Protocol between a tenant's placement and the session above it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.engine import Engine

from tenantry.isolation.binding import Binding
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tenantry.isolation.purging import Purge


class Strategy(Protocol):
    """One isolation on one server. A seam of the library, not an interface for others to implement."""

    isolation: Isolation

    @property
    def walled(self) -> bool:
        """Whether a wall inside the database holds raw SQL; where none does, sessions refuse what has no predicate."""
        ...

    def place(self, tenant: uuid.UUID) -> str:
        """Returns the physical name; pure, injective, and free of user text."""
        ...

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        """Makes the placement, at revision *head*; doing it again after a crash finishes what was begun."""
        ...

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        """Removes the placement and returns how many rows went, by table; *force* takes what is not ours too.

        Raises: SurprisingErase for what is not ours, and then nothing was removed.
        """
        ...

    def purging(self, tenant: uuid.UUID) -> AbstractContextManager[Purge]:
        """Opens a transaction in which the tenant's rows may be deleted, those of append-only tables too.

        Raises: LoginRequired without the operator's login or the owner's.
        """
        ...

    def exists(self, tenant: uuid.UUID) -> bool:
        """Whether the placement stands, whole or not."""
        ...

    def enter(self, tenant: uuid.UUID) -> Binding:
        """Returns what each of the tenant's transactions is bound to."""
        ...

    def engine(self, tenant: uuid.UUID) -> Engine:
        """Returns the synchronous engine that reaches the placement."""
        ...

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        """Returns the engine of the running event loop that reaches the placement."""
        ...

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        """Returns what is wrong with the placement; an empty list means that it looked and found nothing."""
        ...
