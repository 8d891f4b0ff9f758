"""Another library's session, in an environment of its own, asked to do the same work turn by turn."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_WORKER = _HERE / "fastapi_tenancy_worker.py"
PEER = "fastapi-tenancy==0.5.0"


def environment(directory: Path) -> Path:
    """Returns the Python of an environment with the peer in it, made once."""
    python = directory / "bin" / "python"
    if not python.exists():
        print(f"Installing {PEER} into {directory} ...", file=sys.stderr)
        venv.create(directory, with_pip=True)
        packages = [PEER, "psycopg[binary]", "sqlalchemy[asyncio]"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)  # our own list
    return python


class Peer:
    """The peer's process; ``run`` has it do some turns and returns how long each took, in seconds."""

    def __init__(self, python: Path, url: str, tenant: str) -> None:
        self._process = subprocess.Popen(  # our own script
            [python, _WORKER, url, tenant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def run(self, work: str, start: int, turns: int) -> list[float]:
        """Returns the seconds each of *turns* turns took."""
        request = {"work": work, "start": start, "turns": turns}
        answer: Any = json.loads(self._ask(json.dumps(request)))
        return list(answer)

    def _ask(self, line: str) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the peer has no pipes")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{PEER} ended; its message is above")
        return answer
