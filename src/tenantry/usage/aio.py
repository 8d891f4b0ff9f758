"""The asynchronous door of usage: the same methods, awaited."""

from __future__ import annotations

from tenantry.session.aio import Face, through
from tenantry.usage.core import Usage


class AsyncUsage(Face[Usage]):
    """The awaited face of a ``Usage``; make it through ``usage.aio``."""

    budgets = through(Usage.budgets)
    cancel = through(Usage.cancel)
    drop_budget = through(Usage.drop_budget)
    record = through(Usage.record)
    recount = through(Usage.recount)
    release_expired = through(Usage.release_expired)
    reserve = through(Usage.reserve)
    set_budget = through(Usage.set_budget)
    settle = through(Usage.settle)
    total = through(Usage.total)
    totals = through(Usage.totals)
