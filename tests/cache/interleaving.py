"""Random interleavings of readers and writers over two tenants, and what each reader may have been told.

One thread runs them, so that each is repeatable; what a reader or a commit is interrupted by happens in its midst.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from typing import Any

from sqlalchemy import Uuid, bindparam, event, select, text, update

from tenantry import Tenancy
from tenantry.cache import Cache

from .models import Board

SIDES = ("near", "far")
STEPS = 12


class Stale(AssertionError):
    """A reader was told what was no longer true, or was another tenant's."""


class World:
    """A row of each tenant, whose title is counted up; what was committed is remembered."""

    def __init__(self, tenancy: Tenancy, cell: str, cache: Cache) -> None:
        self.tenancy = tenancy
        self.cache = cache
        self.rng = random.Random(0)
        self.seen: Counter[str] = Counter()
        self._keys = {side: f"{side}-{cell}" for side in SIDES}
        self._snapshots = cell.startswith("sqlite")
        # Common tables in one file have one writer at a time.
        self._one_writer = cell == "sqlite-rows"
        self._rows: dict[str, uuid.UUID] = {}
        self._history: dict[str, list[str]] = {}
        self._writers: dict[str, tuple[Any, str]] = {}
        self._readers: dict[str, tuple[Any, int]] = {}
        # Nobody else's question, and the same for both tenants.
        self._name = f"title {uuid.uuid4()}"
        self._number = 0
        self._depth = 0
        for side in SIDES:
            self._rows[side], self._history[side] = uuid.uuid4(), [self._title(side)]
            with tenancy.transaction(self._keys[side]) as db:
                db.add(Board(id=self._rows[side], title=self._history[side][0]))

    def run(self, seed: int) -> None:
        """Runs one interleaving, to its end.

        Raises: Stale.
        """
        self.rng = random.Random(seed)
        try:
            for _ in range(STEPS):
                self.rng.choice(self._steps())(self.rng.choice(SIDES))
            for side in SIDES:
                self._end(side, self.rng.random() < 0.5)
                self._read_by_key(side)
        finally:
            for session, _ in [*self._writers.values(), *self._readers.values()]:
                session.close()
            self._writers, self._readers = {}, {}
            self._depth = 0
        self.seen["interleavings"] += 1

    def _steps(self) -> list[Any]:
        return [self._read_by_key, self._read_by_key, self._read_anew, self._read_on, self._write, self._read_own,
                lambda side: self._end(side, True), lambda side: self._end(side, False)]  # fmt: skip

    def _title(self, side: str) -> str:
        self._number += 1
        return f"{side} {self._number}"

    def _read_by_key(self, side: str) -> None:
        start = len(self._history[side]) - 1
        self._check(side, self._ask(self._keys[side], side), start)

    def _read_anew(self, side: str) -> None:
        start = len(self._history[side]) - 1
        with self.tenancy.session(self._keys[side], read_only=True) as db:
            if self.rng.random() < 0.5:
                db.execute(select(1))
            self._check(side, self._ask(db, side), start)

    def _read_on(self, side: str) -> None:
        """Reads in a transaction that may have begun long ago."""
        if side not in self._readers:
            session = self.tenancy.session(self._keys[side], read_only=True)
            self._readers[side] = session, len(self._history[side]) - 1
            session.scalar(select(Board.title))
        session, began = self._readers[side]
        start = began if self._snapshots else len(self._history[side]) - 1
        self._check(side, self._ask(session, side), start)

    def _write(self, side: str) -> None:
        if side in self._writers or (self._one_writer and self._writers):
            return
        session, title = self.tenancy.session(self._keys[side]), self._title(side)
        self._writers[side] = session, title
        own = Board.id == self._rows[side]
        match self.rng.randrange(3):
            case 0:
                session.get_one(Board, self._rows[side]).title = title
            case 1:
                session.execute(update(Board).where(own).values(title=title))
            case _:
                row = bindparam("row", self._rows[side], Uuid())
                raw = text("UPDATE boards SET title = :title WHERE id = :row").bindparams(row, title=title)
                session.execute(raw)

    def _read_own(self, side: str) -> None:
        if side in self._writers:
            session, title = self._writers[side]
            self._depth += 1
            told = self._ask(session, side)
            self._depth -= 1
            if told != title:
                raise Stale(f"{side} was told {told!r} and not its own {title!r}")

    def _end(self, side: str, commits: bool) -> None:
        if side not in self._writers:
            return
        session, title = self._writers[side]
        if commits and self._depth == 0 and self.rng.random() < 0.5:
            session.flush()
            event.listen(session.connection(), "commit", lambda _: self._amid_commit())
        del self._writers[side]
        if commits:
            # Others may be told from now on, and must be once it returns.
            self._history[side].append(title)
            session.commit()
            self.seen["commits"] += 1
        else:
            session.rollback()
        session.close()

    def _amid_commit(self) -> None:
        """Readers that come while a commit is on its way are told the old, and must not keep it."""
        self.seen["readers amid a commit"] += 1
        self._depth += 1
        for side in SIDES:
            start = max(0, len(self._history[side]) - 2)
            self._check(side, self._ask(self._keys[side], side), start)
        self._depth -= 1

    def _ask(self, at: Any, side: str) -> str:
        self.seen["reads"] += 1

        def load(session: Any) -> str:
            self._interrupt()
            found = session.scalar(select(Board.title).where(Board.id == self._rows[side]))
            self._interrupt()
            return found

        reads = [Board] if self.rng.random() < 0.8 else None
        return self.cache.get(at, self._name, load, by=[str(reads is None)], reads=reads)

    def _interrupt(self) -> None:
        if self._depth == 0 and self.rng.random() < 0.4:
            self.seen["interrupted reads"] += 1
            self._depth += 1
            side = self.rng.choice(SIDES)
            self._write(side)
            self._end(side, self.rng.random() < 0.8)
            self._depth -= 1

    def _check(self, side: str, told: str, start: int) -> None:
        if told not in self._history[side][start:]:
            raise Stale(f"{side} was told {told!r}, but {self._history[side][start:]} was true")
