"""The programs of the room, held by a test: one that moves and is killed, and a crew that writes meanwhile."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections import Counter as Tally
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import Program
from sqlalchemy import select

from .grounds import Ground
from .models import Counter, Ticket
from .writing import KEPT

HERE = Path(__file__).parent
SECONDS = 60


def started(script: str) -> Program:
    """Returns one of the room's programs, begun."""
    return Program(HERE / script)


class Mover:
    """Moves tenants, and is killed at it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._program = started("moving.py")

    def run(self, verb: str, slug: str, **job: Any) -> dict[str, Any]:
        """Returns how the child ended, and the steps it came to."""
        found: dict[str, Any] = self._program.ask({"verb": verb, "slug": slug, "urls": self._ground.urls, **job})
        return found

    def close(self) -> None:
        self._program.close()


@dataclass(frozen=True, slots=True)
class Write:
    """One write that was acknowledged."""

    writer: int
    number: int
    epoch: int
    begun: float
    sent: float
    acknowledged: float


class Crew:
    """Writers of one tenant, each a process of its own, half of them through asyncio."""

    def __init__(
        self, ground: Ground, program: Program, slug: str, directory: Path, *, writers: int, sqlite: bool
    ) -> None:
        self._program = program
        with ground.tenancy.transaction(slug) as session:
            session.add_all(Counter(name=f"writer {number}", n=0) for number in range(writers))
        journal = directory / slug
        self._journals = [directory / f"{slug}-{number}" for number in range(writers)]
        job = {"urls": ground.urls, "slug": slug, "journal": str(journal), "writers": writers, "sqlite": sqlite}
        assert program.tell(json.dumps(job)) == "begun\n"
        self._ended = False

    def write_on(self, writes: int = 1) -> None:
        """Waits until every writer has so many more writes acknowledged."""
        wanted = [count + writes for count in self._counts()]
        deadline = time.monotonic() + SECONDS
        while any(count < least for count, least in zip(self._counts(), wanted, strict=True)):
            assert time.monotonic() < deadline, "the writers came to a stop"
            time.sleep(0.01)

    def end(self) -> list[Write]:
        """Ends the writers and returns what they were told is written.

        Raises: AssertionError when one ended by itself.
        """
        assert set(self._end()) == {0}
        return [write for number, journal in enumerate(self._journals) for write in _read(number, journal)]

    def kill(self) -> None:
        """Ends what still runs, after a failure."""
        if not self._ended:
            self._end()

    def _end(self) -> list[int]:
        self._ended = True
        found: list[int] = json.loads(self._program.tell(""))
        return found

    def _counts(self) -> list[int]:
        return [journal.read_bytes().count(b"\n") if journal.exists() else 0 for journal in self._journals]


def _read(writer: int, journal: Path) -> list[Write]:
    lines = journal.read_text().splitlines()
    return [Write(writer, int(n), int(epoch), *map(float, rest)) for n, epoch, *rest in map(str.split, lines)]


def check_all_there(ground: Ground, slug: str, writes: list[Write]) -> None:
    """What was acknowledged is there, once; what was deleted stays so; counters stand where they were left."""
    last = {write.writer: write.number for write in sorted(writes, key=lambda write: write.number)}
    own = {f"writer {writer}": number for writer, number in last.items()}
    with ground.tenancy.session(slug) as session:
        marks = Tally(session.scalars(select(Ticket.mark).where(Ticket.mark.is_not(None))))
        counters = {name: n for name, n in session.execute(select(Counter.name, Counter.n)) if name in own}
    expected = {f"{writer}-{number}": 1 for writer, n in last.items() for number in range(max(1, n - KEPT + 1), n + 1)}
    lost, doubled = set(expected) - set(marks), [mark for mark, times in marks.items() if times > 1]
    assert (lost, doubled, set(marks) - set(expected)) == (set(), [], set())
    assert counters == own


def check_never_two(writes: list[Write]) -> None:
    """No write was sent to an older place after one in a newer place had been acknowledged."""
    epochs = sorted({write.epoch for write in writes})
    for older, newer in itertools.pairwise(epochs):
        first = min(write.acknowledged for write in writes if write.epoch >= newer)
        late = [write for write in writes if write.epoch <= older and write.sent > first]
        assert late == []


def longest(writes: list[Write], since: float, until: float) -> list[float]:
    """Returns how long each writer waited at most for one write, in seconds, of those begun between two moments."""
    waits: dict[int, float] = {}
    for write in writes:
        if since <= write.acknowledged and write.begun <= until:
            waits[write.writer] = max(waits.get(write.writer, 0.0), write.acknowledged - write.begun)
    return list(waits.values())


def in_words(waits: list[float]) -> str:
    """Returns the median and the greatest of some waits."""
    return f"median {statistics.median(waits) * 1000:.0f} ms, max {max(waits) * 1000:.0f} ms"
