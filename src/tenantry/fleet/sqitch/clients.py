"""What stands in for psql and sqlite3 in one home: runs its scripts, and keeps its lock, its walls and its registry."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from tenantry.errors import HomeBusy
from tenantry.fleet.failing import describe
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home
from tenantry.fleet.sqitch.registry import Registry
from tenantry.fleet.sqitch.statements import Script, Statement
from tenantry.types import Finding


class Refused(Exception):
    """A change that ran without an error of the database and is not good all the same."""


@dataclass
class Progress:
    """How far a script has come."""

    script: Script
    statement: Statement | None = None
    done: int = 0

    def describe(self, error: Exception) -> str:
        """Returns what the database said, and where in the script."""
        where = f"{self.script.name}, line {self.statement.line}: " if self.statement else ""
        return f"{where}{describe(error)}."

    @property
    def stands(self) -> bool:
        """Whether some of the script may have been committed, although it has not come to its end."""
        return bool(self.done) and not self.script.whole


def busy(home: Home, pace: Pace, reason: str) -> HomeBusy:
    """Returns the error for a home that others use; nothing was changed, and the same may succeed later."""
    return HomeBusy(home=home, reason=reason, seconds=f"{pace.lock_timeout:g}")


class Client(ABC):
    """The connection to one home, until it is closed."""

    # What the driver raises; whatever else comes up is no answer of the database.
    failures: tuple[type[Exception], ...]

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @property
    @abstractmethod
    def registry_name(self) -> str:
        """What ``sqitch --registry`` calls the registry."""

    @abstractmethod
    def joins(self, script: Script) -> bool:
        """Whether the record of a change can be part of its script's transaction."""

    @abstractmethod
    def run(self, script: Script, progress: Progress, finish: Callable[[], None] | None = None) -> int:
        """Runs a script and returns how many rows its data steps touched; *finish* goes before its last statement."""

    @abstractmethod
    def look(self) -> None:
        """Looks at what stands open before a change, which is then not its doing."""

    @abstractmethod
    def raise_walls(self) -> list[Finding]:
        """Puts up the walls that are missing, and returns what stands open all the same."""

    @abstractmethod
    def has_all_tables(self) -> bool:
        """Whether every table stands that the models have in such a home."""

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a script has left a transaction open."""

    @abstractmethod
    def shut(self) -> None:
        """Takes from everybody but the owner the rights on tables that stand without their wall."""

    @abstractmethod
    def recording(self) -> contextlib.AbstractContextManager[None]:
        """Opens a transaction of the registry; what was noted as unfinished is forgotten with it."""

    @abstractmethod
    def holding(self) -> contextlib.AbstractContextManager[None]:
        """Keeps others from the home for one step.

        Raises: HomeBusy.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Ends the transaction of a script that failed."""

    @abstractmethod
    def is_busy(self, error: Exception) -> bool:
        """Whether a lock was not to be had in time."""

    @abstractmethod
    def says_nothing(self, error: Exception) -> bool:
        """Whether an error is about the server, its locks or the time, and not about what stands in the home."""
