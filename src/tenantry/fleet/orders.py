"""What is asked of the fleet, and the run that would do it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tenantry.fleet import journal
from tenantry.fleet.history import History, Pace
from tenantry.fleet.outcomes import Options, Run, Verb
from tenantry.fleet.planning import Where
from tenantry.fleet.rings import Canary, written
from tenantry.fleet.running import Hooks

# Enough for a handful of tenants with a fault of their own, too few for a revision with a fault of its own.
MAX_FAILURES: Final = 10
BASE: Final = "base"
HEAD: Final = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked of the fleet."""

    verb: Verb
    target: str
    canary: Canary | None = None
    hooks: Hooks = field(default_factory=Hooks)
    max_failures: int | None = MAX_FAILURES
    where: Where | None = None
    pace: Pace | None = None

    def draft(self, history: History) -> Run:
        """Returns the run that would do it.

        Raises: RevisionUnknown, SeveralHeads, CanaryRefused.
        """
        health = self.hooks.health
        options = Options(
            pace=self.pace or Pace(),
            max_failures=self.max_failures,
            canary=written(self.canary),
            health=health if isinstance(health, str) else None,
            needs=self.hooks.names(),
            whole=self.where is None,
        )
        target = history.resolve(self.target)
        return journal.draft(verb=self.verb, history=history.name, target=target, options=options)
