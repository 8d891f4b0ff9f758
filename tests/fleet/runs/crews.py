"""Processes that work on a fleet, and are killed."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import Program

from .worlds import World


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: its status, what it reported, and how many steps and statements it came to."""

    status: int
    report: list[str]
    steps: int
    statements: int

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Crew:
    """Starts processes that work on fleets."""

    def __init__(self) -> None:
        self._program = Program(Path(__file__).with_name("upgrading.py"))
        self._ask = self._program.ask
        self.close = self._program.close

    def start(self, world: World, verb: str = "upgrade", **job: Any) -> int:
        """Starts a process and returns its number."""
        return int(self._ask({**world.job, "history": world.history, "verb": verb, **job}))

    def wait(self, process: int) -> End:
        """Waits for a process to end."""
        status, report, steps, statements = self._ask({"wait": process})
        return End(status, json.loads(report) if report else [], steps, statements)

    def run(self, world: World, verb: str = "upgrade", **job: Any) -> End:
        """Starts a process and waits for its end."""
        return self.wait(self.start(world, verb, **job))

    def kill(self, process: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Kills a process that was started here, or interrupts it as Ctrl-C would."""
        os.kill(process, how)
