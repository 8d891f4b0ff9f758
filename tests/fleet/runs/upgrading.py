"""A program: works on a fleet in children of its own, each killed at one announced step or at one statement.

Reads one job a line, answers with the child's process number, and on ``wait`` with its exit status, what it reported,
and how many steps and statements it had come to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from fleet.runs.histories import HISTORIES
from fleet.runs.worlds import open_tenancy

from tenantry.events import listen
from tenantry.fleet import Fleet, Pace

STATEMENTS = ("execute", "executemany", "commit", "rollback")


class Deaths:
    """Counts what happens in this process, and ends it at the *last* one."""

    def __init__(self, last: int | None, note: Callable[[int], None]) -> None:
        self._last = last
        self._note = note
        self._lock = threading.Lock()
        self._count = 0

    def count(self) -> None:
        with self._lock:
            self._count += 1
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)
            self._note(self._count)


class Statements:
    """Hears of every statement before it is sent and at its end: of psycopg's as Python calls, of SQLite's as C's."""

    def __init__(self, deaths: Deaths) -> None:
        self._deaths = deaths
        threading.setprofile(self.hear)
        sys.setprofile(self.hear)

    def hear(self, frame: FrameType, event: str, function: Any) -> None:
        if event in ("call", "return"):
            if frame.f_code.co_name in STATEMENTS and frame.f_globals.get("__name__", "").startswith("psycopg."):
                self._deaths.count()
        elif getattr(function, "__name__", "") in STATEMENTS and "sqlite3" in repr(function):
            self._deaths.count()


def work(job: dict[str, Any], told: int) -> None:
    steps = Deaths(job.get("step"), lambda number: os.pwrite(told, f"{number:8}".encode(), 0))
    statements = Deaths(job.get("statement"), lambda number: os.pwrite(told, f"{number:8}".encode(), 8))
    listen(lambda step: steps.count() if step.operation == "fleet" else None)
    tenancy = open_tenancy(job)
    fleet = Fleet(tenancy, HISTORIES[job["history"]](tenancy, **job.get("options", {})))
    if "statement" in job:
        Statements(statements)
    outcome = getattr(fleet, job["verb"])(jobs=job.get("jobs", 2), **arguments(job))
    outcomes = outcome if isinstance(outcome, list) else [outcome]
    report = [str(each.run.state) for each in outcomes]
    os.pwrite(told, json.dumps(report).encode(), 16)
    tenancy.close()


def arguments(job: dict[str, Any]) -> dict[str, Any]:
    given = dict(job.get("arguments", {}))
    if "pace" in given:
        given["pace"] = Pace(**given["pace"])
    return given


def start(job: dict[str, Any], told: int) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(job, told)
            status = 0
        finally:
            os._exit(status)
    return child


def main() -> None:
    children: dict[int, int] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" not in job:
            told = os.memfd_create("told")
            child = start(job, told)
            children[child] = told
            answer: Any = child
        else:
            _, status = os.waitpid(job["wait"], 0)
            text = os.pread(told := children.pop(job["wait"]), 65536, 0).decode()
            os.close(told)
            counts = [int(text[place : place + 8].strip("\0 ") or 0) for place in (0, 8)]
            answer = [os.waitstatus_to_exitcode(status), text[16:], *counts]
        print(json.dumps(answer), flush=True)


main()
