"""What the runner asks of a schema history, be it Alembic's revisions or a Sqitch plan."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tenantry.fleet.homes import Home


class Position(enum.StrEnum):
    """Where a home stands, seen from the target."""

    BEHIND = "behind"
    AT = "at"
    AHEAD = "ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much a migration may stand in the way; times are in seconds."""

    lock_timeout: float = 1.0
    statement_timeout: float | None = None
    attempts: int = 5
    one_by_one: bool = False  # every statement a message of its own: slower, easier to watch and to stop


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one home: from where to where, by which steps, and how many rows the data steps touched."""

    before: str | None
    after: str | None
    steps: Sequence[str] = ()
    touched: Mapping[str, int] = field(default_factory=dict)


class History(Protocol):
    """One kind of schema history over every home. Revisions are named by strings; None is before the first."""

    name: str

    def serves(self, home: Home) -> bool:
        """Whether the history is for that home; no run brings any other into it."""
        ...

    def resolve(self, target: str) -> str | None:
        """Returns the one revision that *target* names: head, base, a revision or its beginning, a tag.

        Raises: RevisionUnknown, SeveralHeads.
        """
        ...

    def position(self, current: str | None, target: str | None) -> Position:
        """Returns where a home at *current* stands, seen from *target*."""
        ...

    def steps(self, current: str | None, target: str | None) -> Sequence[str]:
        """Returns the revisions between, in the order in which they are applied or taken back."""
        ...

    def read(self, homes: Sequence[Home]) -> Mapping[Home, str | None]:
        """Returns at which revision each home stands, by one question per server (and none per tenant's schema).

        A home that the history is not for is left out.
        """
        ...

    def apply(self, home: Home, target: str | None, *, pace: Pace) -> Applied:
        """Brings one home to *target*, upwards or downwards, each step whole or not at all.

        Takes the home's lock, reads its revision again behind the lock, and does nothing where it stands there.

        Raises: HomeBusy after ``lock_timeout`` (the runner tries again), MigrationFailed with the database's error,
            Diverged.
        """
        ...

    def stamp(self, home: Home, target: str | None) -> Applied:
        """Records a revision without running anything."""
        ...

    def sql(self, home: Home, target: str | None) -> str:
        """Returns what ``apply`` would run, for people to read."""
        ...
