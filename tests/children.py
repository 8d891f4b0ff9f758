"""Programs whose children do one job each and may be killed at it, and those who ask them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 60


class Program:
    """A program that reads a job a line and answers each with a line."""

    def __init__(self, script: Path) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True)

    def tell(self, line: str) -> str:
        """Returns the line that the program answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def ask(self, job: Any) -> Any:
        """Returns what the program answers to a job."""
        return json.loads(self.tell(json.dumps(job)))

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate(timeout=SECONDS)


class Report:
    """What is read of a child, however it ended."""

    def __init__(self) -> None:
        self._file = os.memfd_create("report")
        self._facts: dict[str, Any] = {}

    def write(self, **facts: Any) -> None:
        """Adds facts to those that were written, in the place of those of the same name."""
        self._facts |= facts
        text = json.dumps(self._facts).encode()
        os.ftruncate(self._file, len(text))
        os.pwrite(self._file, text, 0)

    def read(self) -> dict[str, Any]:
        """Returns the facts, once."""
        text = os.pread(self._file, 1 << 20, 0)
        os.close(self._file)
        return json.loads(text or "{}")


class Count:
    """Counts something, and kills this process at the *last* one."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.made = 0

    def one(self) -> None:
        self.made += 1
        if self.made == self.last:
            die()

    def hear_calls(self) -> None:
        """Counts the calls of the library's functions from now on."""
        sys.setprofile(self._hear)

    def _hear(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("tenantry."):
            self.one()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def answer(work: Callable[[dict[str, Any], Report], None]) -> None:
    """Does each job in a child, and answers with its exit status and what it reported."""
    for line in sys.stdin:
        report = Report()
        child = os.fork()
        if child == 0:
            work(json.loads(line), report)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), **report.read()}), flush=True)
