"""The test's hand on the program that works and is killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from children import Program

from tenantry import Tenant
from tenantry.archive import Archive


class Killer:
    """The program that works and is killed."""

    def __init__(self, installation: dict[str, Any]) -> None:
        self._installation = installation
        self._program = Program(Path(__file__).with_name("working.py"))
        self.close = self._program.close

    def run(self, archive: Archive, tenant: Tenant, what: str, *, step: int = -1, **job: Any) -> list[str]:
        """Does one job; returns the steps that were told, having made sure that it died where it should."""
        place = {"house": self._installation, "store": str(archive.store.path), "tenant": str(tenant.id)}
        ended = self._program.ask({**place, "what": what, "step": step, **job})
        steps: list[str] = ended.get("steps", [])
        assert ended["status"] == (0 if step < 0 else -signal.SIGKILL), steps
        return steps
