"""Several processes of clients, and the sum of what they were told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cells import Ground

SECONDS_TO_END = 60


class Crowd:
    """Processes that begin each storm together."""

    def __init__(self, members: list[subprocess.Popen[str]]) -> None:
        self._members = members

    def storm(self, **job: Any) -> Counter[str]:
        """Has every thread of every process ask, and returns what they were told."""
        for member in self._members:
            _say(member, job)
        return sum((Counter(_hear(member)) for member in self._members), Counter[str]())


def places_of(ground: Ground) -> dict[str, Any]:
    """Returns where the clients of other processes find the cells of both databases."""
    urls = {"postgresql": ground.urls["app_url"], "sqlite": ground.sqlite_url}
    return {name: {"url": url} for name, url in urls.items()}


@contextmanager
def crowd(places: dict[str, Any], *, processes: int) -> Iterator[Crowd]:
    """Lends a crowd that knows these places; its processes are gone afterwards."""
    with ExitStack() as ends:
        members = [_started(ends) for _ in range(processes)]
        for member in members:
            _say(member, places)
        for member in members:
            assert _hear(member) == "ready"
        yield Crowd(members)


def _started(ends: ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "limits.clients"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ends.callback(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    with process:
        process.stdin.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()


def _say(process: subprocess.Popen[str], what: Any) -> None:
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> Any:
    return json.loads(process.stdout.readline())
