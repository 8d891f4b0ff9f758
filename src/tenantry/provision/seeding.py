"""Rows that every new tenant begins with: each seed runs once for a tenant, and the journal says which have run."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from tenantry.catalog import seeds as recorded
from tenantry.errors import ConfigurationError
from tenantry.events import announce
from tenantry.isolation.control import Control
from tenantry.types import Tenant

# Called with a session of the tenant, in a transaction of its own.
Seed = Callable[[Any], object]

_ACTION: Final = "Seeding a tenant"


class Seeding:
    """The seeds of one installation, in their order; *run* opens a session of the tenant and commits."""

    def __init__(self, control: Control, seeds: Sequence[Seed], *, run: Callable[[Tenant, Seed], None]) -> None:
        self._control = control
        self._run = run
        self.seeds = {name_of(seed): seed for seed in seeds}
        twice = [name for name, count in Counter(map(name_of, seeds)).items() if count > 1]
        if twice:
            raise ConfigurationError(
                what=f"Two seeds are called {twice[0]}, so the journal could not tell them apart.",
                fix="Make each a function with a name of its own.",
            )

    def sow(self, tenant: Tenant, name: str) -> None:
        """Runs one seed and notes that it has run.

        A crash in between has it run again: when a tenant is being created, on the emptied placement.
        """
        announce("seed", name, tenant=tenant.id)
        self._run(tenant, self.seeds[name])
        with self._control.app(_ACTION) as connection:
            recorded.note(connection, tenant.id, name)

    def missing(self, tenant: uuid.UUID) -> list[str]:
        """Returns the names of the seeds that have not run for a tenant."""
        with self._control.app(_ACTION) as connection:
            done = recorded.noted(connection, tenant)
        return [name for name in self.seeds if name not in done]


def name_of(seed: Seed) -> str:
    """Returns the name under which the journal knows a seed: its module and its name in it."""
    kind = seed if hasattr(seed, "__qualname__") else type(seed)
    return f"{kind.__module__}.{kind.__qualname__}"
