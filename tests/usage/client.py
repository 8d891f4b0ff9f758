"""One process of several that spend at once: threads that record or reserve until the budget stops them.

Reads its orders as JSON, says "ready", begins at the next line, and writes what its threads were granted.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from sqlalchemy import MetaData

from tenantry import Tenancy
from tenantry.errors import BudgetExceeded
from tenantry.usage import Price, Usage

PRICES = {"openai": Price(Decimal(1), Decimal(2))}
CALL = {"provider": "openai", "model": "gpt-4o", "prompt_tokens": 7, "completion_tokens": 3}


def spend(tenancy: Tenancy, usage: Usage, key: str, number: int) -> int:
    """Makes calls until one is refused, every third by way of a reservation; returns how many were granted."""
    granted = 0
    while True:
        try:
            with tenancy.transaction(key) as db:
                held = None if (granted + number) % 3 else usage.reserve(db, **CALL)
                if held is None:
                    usage.record(db, **CALL)
        except BudgetExceeded:
            return granted
        if held is not None:
            with tenancy.transaction(key) as db:
                usage.settle(db, held, prompt_tokens=7, completion_tokens=3)
        granted += 1


def main() -> None:
    orders: dict[str, Any] = json.loads(sys.stdin.readline())
    tenancy = Tenancy(orders["url"], models=MetaData())
    usage = Usage(tenancy, prices=PRICES)
    with tenancy.session(orders["key"]) as db:
        usage.total(db)
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(orders["threads"]) as pool:
        granted = list(pool.map(lambda number: spend(tenancy, usage, orders["key"], number), range(orders["threads"])))
    tenancy.close()
    print(json.dumps(granted), flush=True)


main()
