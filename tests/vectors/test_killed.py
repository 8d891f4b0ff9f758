"""A relay killed while it embeds, or between the writing and its commit, loses no row and doubles none."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.outbox import Relay

from .toys import Base, Room, Ticket

PROGRAM = Path(__file__).with_name("relaying.py")
ROWS = 5


@pytest.mark.parametrize("moment", ["embedding", "writing"])
@pytest.mark.soak
def test_every_row_is_found_once_whenever_a_relay_was_killed(moment: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data"
    room = Room(Tenancy(url, models=Base))
    room.tenancy.install(create_tables=True)
    room.tenancy.tenants.create("acme")
    for number in range(ROWS):
        with room.tenancy.transaction("acme") as session:
            session.add(Ticket(subject=f"paper {number}"))

    for number in (1, 3):
        killed = subprocess.run(
            [sys.executable, str(PROGRAM), url, moment, str(number)], timeout=60, capture_output=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        # Its lease ends by itself.
        time.sleep(0.25)

    with room.tenancy.session("acme") as session:
        before = room.tickets.known(session)
        assert 0 < len(before) < ROWS
    assert Relay(room.outbox).deliver("acme").delivered == ROWS - len(before)
    with room.tenancy.session("acme") as session:
        assert len(room.tickets.known(session)) == session.scalar(select(func.count()).select_from(Ticket)) == ROWS
    assert sorted(room.words.seen) == sorted(set(room.words.seen))
    room.tenancy.close()
