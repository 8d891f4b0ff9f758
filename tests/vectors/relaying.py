"""A program: has a relay embed tickets, and dies by SIGKILL at the embedding or the writing of that number."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from vectors.toys import Base, Room

from tenantry import Tenancy
from tenantry.outbox import Relay


def main() -> None:
    url, moment, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    room = Room(Tenancy(url, models=Base))
    counted = 0

    def die(*_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "embedding":
        room.words.before = die
    else:
        put = room.tickets.keep
        room.tickets.keep = lambda session, records: (put(session, records), die())  # type: ignore[method-assign,func-returns-value]  # dies between the writing and its commit
    Relay(room.outbox, lease=0.2).deliver("acme")


main()
