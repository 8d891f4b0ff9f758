"""The tasks of these tests, declared alike in those who send and in the workers."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tenantry import TenantSession
from tenantry.errors import TenantMoving
from tenantry.jobs import Jobs, async_job_transaction, current_job, job_transaction
from tenantry.jobs.context import bound_here

from .models import Note, Ran


class Bodies:
    """Tasks that write down for whom they ran; *marks* is a directory for what happens only at the first delivery."""

    def __init__(self, jobs: Jobs, marks: Path, **options: Any) -> None:
        self.jobs, self.marks = jobs, marks

        def named(name: str, **more: Any) -> dict[str, Any]:
            return {"name": f"bodies.{name}", **options, **more}

        self.note = jobs.task(self._note, **named("note"))
        self.note_async = jobs.task(self._note_async, **named("note_async"))
        self.once = jobs.task(self._once, once=True, **named("once"))
        self.keep = jobs.task(self._keep, records={"note_id": Note}, **named("keep"))
        self.fan_out = jobs.platform_task(self._fan_out, **named("fan_out"))

    def first(self, name: str) -> bool:
        """Whether this is the first call with that name, in any process."""
        try:
            os.close(os.open(self.marks / name, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def _note(self, number: int, meant: str, trouble: str = "", tenant: str = "") -> list[Any]:
        with job_transaction() as session:
            write(session, number, meant)
            self._meet(trouble, number)
        return [number]

    async def _note_async(self, number: int, meant: str) -> list[Any]:
        async with async_job_transaction() as session:
            await session.run_sync(write, number, meant)
        return [number]

    def _once(self, session: TenantSession, number: int, meant: str, trouble: str = "", pause: float = 0.0) -> int:
        # In a file as well: what is killed commits nothing.
        with (self.marks / "attempts").open("a") as attempts:
            attempts.write(f"{number} {meant} {current_job().tenant}\n")
        write(session, number, meant)
        time.sleep(pause)
        self._meet(trouble, number)
        return number

    def _keep(self, note_id: str, number: int, meant: str) -> None:
        with job_transaction() as session:
            write(session, number, meant)

    def attempts(self) -> list[tuple[str, str]]:
        """Returns of every attempt of ``once``, killed ones too, whom it was meant for and whom it was bound to."""
        lines = (self.marks / "attempts").read_text().splitlines()
        return [(meant, bound) for _, meant, bound in map(str.split, lines)]

    def attempts_of(self) -> Counter[int]:
        """Returns how often each number was attempted."""
        return Counter(int(line.split()[0]) for line in (self.marks / "attempts").read_text().splitlines())

    def _fan_out(self, number: int) -> int:
        outcomes = self.jobs.each(self.send_one, number)
        assert not outcomes.failed, outcomes.failed
        return len(outcomes.done)

    def send_one(self, number: int) -> None:
        """Sends a note for the tenant bound here, to whom it is meant."""
        here = bound_here()
        assert here is not None
        send = self.note.delay if hasattr(self.note, "delay") else self.note.defer
        send(number=number, meant=str(here.envelope.tenant))

    def _meet(self, trouble: str, number: int) -> None:
        if not trouble or not self.first(f"{trouble}-{number}"):
            return
        if trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "moving":
            raise TenantMoving(tenant=current_job().tenant, retry_after=0.1)
        raise ConnectionError("the first attempt fails")


def write(session: TenantSession, number: int, meant: str) -> None:
    """Notes for whom a body ran, as everybody who knows says it, and flushes it."""
    wall = session.scalar(text("select current_setting('tenantry.tenant')"))
    session.add(
        Ran(
            number=number,
            meant=uuid.UUID(meant),
            bound=current_job().tenant,
            wall=uuid.UUID(wall),
            actor=session.info.get("actor"),
            correlation_id=session.info.get("correlation_id"),
        )
    )
    session.flush()
