"""What applying a revision has in common on both databases: what is counted, announced, and told of an error."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic.util import CommandError

from tenantry.errors import Diverged, HomeBusy, MigrationFailed
from tenantry.events import announce
from tenantry.fleet.failing import describe
from tenantry.fleet.history import Applied, Pace, Position
from tenantry.fleet.homes import Home
from tenantry.fleet.lineage import Lineage

# A step's name where it is none of the revisions: the home could not even be entered.
ENTERING: Final = "entering the home"
FENCED: Final = "the move or the restore of a tenant there did not end"
_GLANCE: Final = 0.02


class Tally:
    """The revision that is running in one home, and how many rows each table's data steps touched."""

    def __init__(self) -> None:
        self.revision = ENTERING
        self._touched: Counter[str] = Counter()

    def count(self, table: str | None, rows: int) -> None:
        """Adds the rows of one statement, if it is a data step."""
        if table is not None and rows >= 0:
            self._touched[table] += rows

    def report(self, lineage: Lineage, before: str | None, target: str | None) -> Applied:
        """Returns the report of a home that has arrived."""
        return Applied(before, target, lineage.steps(before, target), dict(self._touched))


def must_move(lineage: Lineage, home: Home, before: str | None, target: str | None) -> bool:
    """Returns whether a home has to go anywhere.

    Raises: Diverged where the scripts know no way.
    """
    position = lineage.position(before, target)
    if position is Position.DIVERGED or not lineage.knows(before):
        raise Diverged(home=home, current=before, target=target)
    return position is not Position.AT


def tell(home: Home, step: str, **facts: object) -> None:
    """Announces what is about to be done to a home."""
    announce("fleet", step, home=str(home), tenant=home.tenant, **facts)


def failed(home: Home, before: str | None, tally: Tally, error: BaseException) -> MigrationFailed:
    """Returns the error of a home that stays where it was."""
    state = getattr(error, "sqlstate", None)
    before = before or ("its revision" if tally.revision == ENTERING else "the beginning")
    return MigrationFailed(home=home, before=before, step=tally.revision, error=told(error), sqlstate=state)


def busy(home: Home, pace: Pace, reason: str = "a lock that it needs was not free") -> HomeBusy:
    """Returns the error of a home that somebody else is using."""
    return HomeBusy(home=home, reason=reason, seconds=f"{pace.lock_timeout:g}")


def patiently(attempt: Callable[[], bool], pace: Pace) -> bool:
    """Returns whether *attempt* succeeded within ``lock_timeout``, tried again and again."""
    deadline = time.monotonic() + pace.lock_timeout
    while not attempt():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_GLANCE)
    return True


def told(error: BaseException) -> str:
    """Returns what may be told of an error: nothing that stands in rows."""
    text = str(error) if isinstance(error, CommandError) else describe(error)
    if text == type(error).__name__:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{text} in {Path(frame.filename).name}, line {frame.lineno}"
    return text if text.endswith(".") else f"{text}."
