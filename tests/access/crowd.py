"""Many who do the same at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tenantry.errors import TenantryError


def at_once(work: Callable[[], Any], count: int) -> list[Any]:
    """Returns what each of so many threads got from *work*, or the error of ours that it met."""
    barrier, outcomes = threading.Barrier(count, timeout=30), []

    def run() -> None:
        barrier.wait()
        try:
            outcomes.append(work())
        except TenantryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == count
    return outcomes
