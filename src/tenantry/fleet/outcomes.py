"""What the fleet plans, does and reports: a run, the work on each home, and what became of it."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tenantry.fleet.history import Pace, Position
from tenantry.fleet.homes import Home


class Verb(enum.StrEnum):
    """Which way a run goes."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    ROLLBACK = "rollback"


class Ring(enum.StrEnum):
    """Who goes first, and who follows once they are well."""

    CANARY = "canary"
    REST = "rest"


class WorkState(enum.StrEnum):
    """What became of the work on one home; ``unknown`` until somebody has looked at the home."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class RunState(enum.StrEnum):
    """Where a run stands; a stopped one met a failing canary, a failing health check or the end of its budget."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"
    ROLLED_BACK = "rolled_back"


RESUMABLE = (RunState.RUNNING, RunState.PAUSED, RunState.STOPPED, RunState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was begun with, as every process that works on it needs it."""

    pace: Pace = field(default_factory=Pace)
    max_failures: int | None = None
    canary: Sequence[str] = ()
    health: str | None = None
    needs: Sequence[str] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One passage over the fleet, towards one revision."""

    id: uuid.UUID
    verb: Verb
    history: str
    target: str | None
    state: RunState
    reason: str
    stage: int
    options: Options
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run does to one home, and what became of it."""

    home: Home
    ring: Ring
    stage: int
    target: str | None
    state: WorkState = WorkState.PENDING
    attempt: int = 0
    claimed: int = 0
    seconds: float = 0.0
    before: str | None = None
    after: str | None = None
    touched: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run, home by home."""

    run: Run
    works: Sequence[Work]

    def of(self, *states: WorkState) -> list[Work]:
        """Returns the works in one of *states*, in the order in which they were planned."""
        return [work for work in self.works if work.state in states]

    @property
    def done(self) -> list[Work]:
        """The homes that stand at their target."""
        return self.of(WorkState.DONE)

    @property
    def failed(self) -> list[Work]:
        """The homes that stayed behind, each with its error."""
        return self.of(WorkState.FAILED)

    @property
    def unknown(self) -> list[Work]:
        """The homes at which nobody could look afterwards."""
        return self.of(WorkState.UNKNOWN)

    @property
    def left(self) -> list[Work]:
        """The homes whose turn has not come."""
        return self.of(WorkState.PENDING, WorkState.RUNNING)

    @property
    def ok(self) -> bool:
        """Whether the run came to its end and every home with it."""
        return self.run.state is RunState.DONE


@dataclass(frozen=True, slots=True)
class Standing:
    """At which revision one home stands, and how that looks from the target."""

    home: Home
    current: str | None
    position: Position


@dataclass(frozen=True, slots=True)
class Status:
    """Where the fleet stands, seen from *target*, and its newest run."""

    target: str | None
    homes: Sequence[Standing]
    run: Outcome | None

    def at(self, position: Position) -> list[Standing]:
        """Returns the homes that stand in that position."""
        return [standing for standing in self.homes if standing.position is position]
