"""The revisions of an application's Alembic scripts, and where a home stands among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Final

from alembic.runtime.migration import RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from tenantry.errors import RevisionUnknown, SeveralHeads
from tenantry.fleet.environment import script_directory
from tenantry.fleet.history import Position
from tenantry.tenancy import Tenancy

BASE: Final = "base"
HEAD: Final = "head"

# Alembic keeps '-' and '+' out of revisions' names.
_RELATIVE: Final = re.compile(r"(?P<start>[^+-]*)(?P<sign>[+-])(?P<count>\d+)")
# A home between the branches of a merge stands at several revisions at once.
_JOINT: Final = ","
_Way = tuple[str | None, str | None]


def heads_of(current: str | None) -> tuple[str, ...]:
    """Returns the rows of the version table that *current* stands for."""
    return tuple(current.split(_JOINT)) if current else ()


def current_of(heads: Collection[str]) -> str | None:
    """Returns the rows of a version table as one string, or None for none."""
    return _JOINT.join(sorted(heads)) or None


class Lineage:
    """The graph of an application's scripts directory, read once."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.directory = tenancy.config.migrations or ""
        self._tenancy = tenancy
        # A thousand homes ask the same two questions; threads that ask at once come to the same answers.
        self._positions: dict[_Way, Position] = {}
        self._steps: dict[_Way, Sequence[str]] = {}

    def __repr__(self) -> str:
        return f"Lineage({self.directory!r})"

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """Alembic's own view of the directory.

        Raises: MigrationsMissing.
        """
        return script_directory(self._tenancy)

    @cached_property
    def revisions(self) -> dict[str, Script]:
        """Every revision by its name, the newest first."""
        return {script.revision: script for script in self.scripts.walk_revisions()}

    def knows(self, current: str | None) -> bool:
        """Whether the scripts hold every revision that a home stands at."""
        return all(head in self.revisions for head in heads_of(current))

    def head(self) -> str | None:
        """Returns the one head, or None where there is no revision yet.

        Raises: SeveralHeads.
        """
        heads = sorted(self.scripts.get_heads())
        if len(heads) > 1:
            raise SeveralHeads(scripts=self.directory, count=len(heads), heads=", ".join(heads))
        return heads[0] if heads else None

    def resolve(self, target: str, *, standing: Callable[[], str | None]) -> str | None:
        """Returns the revision that *target* names; *standing* tells what a bare ``+1`` or ``-1`` starts from.

        Raises: RevisionUnknown, SeveralHeads.
        """
        relative = _RELATIVE.fullmatch(target)
        if relative is None:
            return self._named(target)
        start = self._named(relative["start"]) if relative["start"] else standing()
        step = self._above if relative["sign"] == "+" else self._below
        for _ in range(int(relative["count"])):
            start = step(start, target)
        return start

    def position(self, current: str | None, target: str | None) -> Position:
        """Returns where a home at *current* stands, seen from *target*."""
        found = self._positions.get((current, target))
        if found is None:
            found = self._positions[current, target] = self._position(current, target)
        return found

    def _position(self, current: str | None, target: str | None) -> Position:
        if current == target:
            return Position.AT
        if not self.knows(current):
            return Position.DIVERGED
        applied, wanted = self._upto(heads_of(current)), self._upto(heads_of(target))
        if applied < wanted:
            return Position.BEHIND
        return Position.AHEAD if applied > wanted else Position.DIVERGED

    def upgrades(self, current: str | None, target: str | None) -> list[RevisionStep]:
        """Returns Alembic's steps upwards."""
        return self.scripts._upgrade_revs(target or BASE, heads_of(current))  # type: ignore[arg-type]  # takes a tuple

    def downgrades(self, current: str | None, target: str | None) -> list[RevisionStep]:
        """Returns Alembic's steps downwards."""
        return self.scripts._downgrade_revs(target or BASE, heads_of(current))  # type: ignore[arg-type]  # as above

    def plan(self, current: str | None, target: str | None) -> list[RevisionStep]:
        """Returns Alembic's steps from one revision to another that lies above or below it."""
        if self.position(current, target) is Position.BEHIND:
            return self.upgrades(current, target)
        return self.downgrades(current, target)

    def steps(self, current: str | None, target: str | None) -> Sequence[str]:
        """Returns the revisions between, in the order in which they are applied or taken back."""
        found = self._steps.get((current, target))
        if found is None:
            found = self._steps[current, target] = self._steps_between(current, target)
        return found

    def _steps_between(self, current: str | None, target: str | None) -> Sequence[str]:
        if self.position(current, target) in (Position.AT, Position.DIVERGED):
            return ()
        return [revision_of(step) for step in self.plan(current, target)]

    def _named(self, name: str) -> str | None:
        if name == BASE:
            return None
        if name in (HEAD, "heads"):
            return self.head()
        try:
            found = self.scripts.get_revision(name)
        except CommandError:
            found = None
        if found is None:
            raise RevisionUnknown(revision=name, scripts=self.directory)
        return found.revision

    def _above(self, start: str | None, target: str) -> str:
        nexts = self.revisions[start].nextrev if start else self.scripts.get_bases()
        return self._only(nexts, target)

    def _below(self, start: str | None, target: str) -> str | None:
        if start is None:
            raise RevisionUnknown(revision=target, scripts=self.directory)
        below = self.revisions[start].down_revision
        if not below:
            return None
        return below if isinstance(below, str) else self._only(below, target)

    def _only(self, found: Collection[str], target: str) -> str:
        if len(found) != 1:
            raise RevisionUnknown(revision=target, scripts=self.directory)
        return next(iter(found))

    def _upto(self, heads: Collection[str]) -> frozenset[str]:
        """Returns the revisions that stand applied where the version table holds *heads*."""
        found: set[str] = set()
        waiting = list(heads)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.revisions[name]._all_down_revisions
        return frozenset(found)


def revision_of(step: RevisionStep) -> str:
    """Returns the revision that a step applies or takes back."""
    return step.revision.revision
