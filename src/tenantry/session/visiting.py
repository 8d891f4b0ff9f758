"""One piece of work for each of many tenants, several at a time, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tenantry.errors import OutcomeUnknown
from tenantry.types import Outcomes, Tenant


def visit(tenants: Iterable[Tenant], work: Callable[[Tenant], Any], *, jobs: int) -> Outcomes:
    """Runs ``work(tenant)`` for each, *jobs* at a time; one tenant's error does not stop the others."""
    tally = _Tally()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for tenant in tenants:
            pool.submit(tally.run, tenant, work)
    return tally.outcomes()


class _Tally:
    """Collects what became of each tenant; threads add to it."""

    def __init__(self) -> None:
        self._done: dict[Any, Any] = {}
        self._failed: dict[Any, BaseException] = {}
        self._unknown: dict[Any, BaseException] = {}

    def run(self, tenant: Tenant, work: Callable[[Tenant], Any]) -> None:
        try:
            self._done[tenant.id] = work(tenant)
        except OutcomeUnknown as error:
            self._unknown[tenant.id] = error
        except Exception as error:  # whatever one tenant's work raises is that tenant's outcome
            self._failed[tenant.id] = error

    def outcomes(self) -> Outcomes:
        return Outcomes(self._done, self._failed, self._unknown)
