"""What an adoption asks of a database that it takes over, be it PostgreSQL or a SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.stages import Stage
from tenantry.types import Finding


class Look(Protocol):
    """One database, open to be read."""

    @property
    def expressions(self) -> Expressions:
        """The questions that its tables allow."""
        ...

    def rows(self, question: str) -> Sequence[tuple[Any, ...]]:
        """Returns the answer to a question."""
        ...

    @property
    def mapping(self) -> str:
        """The table that leads from what rows say (``value``) to tenants (``tenant``); empty before stage fill."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Returns what stands in the way in this kind of database alone."""
        ...

    def notes(self) -> Sequence[Finding]:
        """Returns what is worth knowing of this kind of database alone."""
        ...


class Ground(Protocol):
    """One database that is being adopted. Every stage may be begun again after a crash in the middle of it."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def bears(self) -> frozenset[str]:
        """The codes of what rows may be at fault in before stage enforce."""
        ...

    @property
    def is_enforced(self) -> bool:
        """Whether keys and wall are up, whatever was noted of it."""
        ...

    def look(self) -> AbstractContextManager[Look]:
        """Opens the database to be read; nothing is left behind."""
        ...

    def fill(self) -> None:
        """Gives every row its tenant, and sees to it that new rows get theirs."""
        ...

    def refill(self) -> None:
        """Does so again for what has changed since."""
        ...

    def filter(self) -> None:
        """Lets tenants' sessions in beside the old application."""
        ...

    def enforce(self) -> None:
        """Puts up keys and wall for everybody."""
        ...

    def undo(self, stage: Stage) -> None:
        """Takes back what *stage* did, whole or half."""
        ...
