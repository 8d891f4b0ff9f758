"""One process of several: its threads do what each line of orders says, and it answers with what they got.

Started as a program: the first line says where, then each line is a name and its arguments, as JSON.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stage import Base, effect, make  # type: ignore[import-not-found]  # beside this program

from tenantry import Tenancy
from tenantry.errors import KillSwitchActive
from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import Permit


class Client:
    """What one thread does."""

    def __init__(self, guards: Any, key: str) -> None:
        self._switches = guards.switches
        self._breakers: Breakers = guards.breakers
        self._key = key
        self._permit: Permit | None = None

    def work(self, workflow: str) -> int:
        """Makes effects until a switch stops it; returns how many were committed."""
        done = 0
        while True:
            try:
                with self._switches.transaction(self._key, workflow=workflow) as db:
                    db.add(effect(workflow))
            except KillSwitchActive:
                return done
            done += 1

    def fail(self, name: str) -> int:
        """Fails until it is held back; returns how many calls it made."""
        made = 0
        while permit := self._breakers.allow(self._key, name):
            made += 1
            self._breakers.record_failure(permit)
        return made

    def ask(self, name: str) -> int:
        """Asks once, and keeps the permit."""
        self._permit = self._breakers.allow(self._key, name)
        return int(bool(self._permit))

    def succeed(self, _: str) -> int:
        """Reports success of the call that was permitted."""
        if self._permit:
            self._breakers.record_success(self._permit)
        return int(bool(self._permit))


def main() -> None:
    where = json.loads(sys.stdin.readline())
    tenancy = Tenancy(where["url"], models=Base)
    guards = make(tenancy)
    clients = [Client(guards, where["key"]) for _ in range(where["threads"])]
    with tenancy.session(where["key"]) as db:
        guards.switches.active(db)
    with ThreadPoolExecutor(len(clients)) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(list(pool.map(lambda client: getattr(client, name)(*arguments), clients))), flush=True)  # noqa: B023
    tenancy.close()


main()
