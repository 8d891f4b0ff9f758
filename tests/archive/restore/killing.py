"""The test's hand on the program that works and is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tenantry import Tenant
from tenantry.archive import Archive


class Killer:
    """The program that works and is killed."""

    def __init__(self, installation: dict[str, Any]) -> None:
        self._installation = installation
        script = Path(__file__).with_name("working.py")
        self._process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, archive: Archive, tenant: Tenant, what: str, *, step: int = -1, **job: Any) -> list[str]:
        """Does one job; returns the steps that were told, having made sure that it died where it should."""
        assert self._process.stdin
        assert self._process.stdout
        place = {"house": self._installation, "store": str(archive.store.path), "tenant": str(tenant.id)}
        self._process.stdin.write(json.dumps({**place, "what": what, "step": step, **job}) + "\n")
        self._process.stdin.flush()
        status, steps = json.loads(self._process.stdout.readline())
        assert status == (0 if step < 0 else -signal.SIGKILL), steps
        return list(steps)

    def close(self) -> None:
        self._process.communicate(timeout=60)
