"""One tenant carried between two places: what each step of a move does. Doing any of them again is safe."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.archive.places import reading, writing
from tenantry.archive.places_base import Reader, Writer
from tenantry.catalog import moving
from tenantry.catalog.operations import Course
from tenantry.errors import CopyDiffers, MoveRefused, RowRefused
from tenantry.ids import physical_name
from tenantry.isolation import fencing
from tenantry.isolation.fencing import Changes, Fenced
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.move.comparing import compare, compare_changed
from tenantry.move.stages import Step, Trip
from tenantry.move.throttling import Throttle
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant

_ACTION: Final = "Moving a tenant"
# With fewer changed rows than these the fence is put up; who writes faster than we read is caught up with behind it.
_FEW: Final = 100
_ROUNDS: Final = 10
# How often a copy is begun anew: where a row was given what was unique to another, the two cannot be written in turn.
_ATTEMPTS: Final = 3
# Up to so many bytes all is compared once more behind the fence; beyond, only what was written since it was compared.
_COMPARED: Final = 32_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a move may stand in the way: bytes a second, and seconds for which writers may be held."""

    rate: float | None = None
    patience: float = 30.0

    @classmethod
    def of(cls, rate: float | None, patience: float | None) -> Pace:
        """Returns the pace that was asked for."""
        return cls(rate) if patience is None else cls(rate, patience)


class Carriage:
    """The work of one move between two places, whichever way it goes."""

    def __init__(self, tenancy: Tenancy, course: Course, trip: Trip, *, pace: Pace, force: bool) -> None:
        self._tenancy = tenancy
        self._course = course
        self._source = trip.source
        self._target = trip.target
        self._returns = trip.returns
        self._pace = pace
        self._force = force
        self._compared: int | None = None
        self._held_since: float | None = None
        self._work = {
            Step.PREPARE: self._prepare,
            Step.PLACE: self._place,
            Step.COPY: self._copy,
            Step.CATCH_UP: self._catch_up,
            Step.FENCE: self._fence,
            Step.OPEN: self._open,
            Step.SWITCH: self._switch,
            Step.KEEP: self._keep,
            Step.DROP: self._drop,
            Step.UNDO: self._undo,
        }

    def do(self, step: Step) -> None:
        """Does one step."""
        self._work[step]()

    def _prepare(self) -> None:
        self._put_fence_on(self._source)

    def _place(self) -> None:
        """Makes the new place and shuts it: a router that remembers it from an earlier time finds it left."""
        if self._target.isolation is not Isolation.ROWS and not self._returns:
            strategy = self._tenancy.servers.strategy_of(self._target)
            strategy.create(self._target.id, head=self._tenancy.scripts.head())
        self._put_fence_on(self._target)
        with self._shut(self._target):
            pass

    def _copy(self) -> None:
        # A place that was kept lacks only what was written since, and that was noted.
        if not self._returns:
            self._copy_all()

    def _copy_all(self) -> None:
        throttle = Throttle(self._pace.rate)
        with reading(self._tenancy, self._source) as reader, self._writing() as writer:
            writer.clear()
            for number, table in enumerate(reader.tables):
                self._tell("copy", number, len(reader.tables), table=table.name)
                writer.fill(table, throttle.through(reader.rows(table)))

    def _catch_up(self) -> None:
        """Brings the copy up to date in rounds until little is left to do; in each, the two are compared."""
        for number in range(_ROUNDS):
            if self._again(self._go_round) < _FEW:
                return
            self._tell("catch up", number, _ROUNDS)

    def _go_round(self) -> int:
        """Does what was noted, and returns how much that was."""
        with fencing.catching(self._server(self._source), self._source) as caught:
            changes = caught.changes()
            with reading(self._tenancy, self._source, within=caught.connection) as reader, self._writing() as writer:
                named = writer.apply(changes, reader.rows_of)
                # In SQLite who takes notes out holds the writers: there all is compared behind the fence.
                if not isinstance(self._server(self._source), SqliteServer):
                    self._compare(reader, writer)
        return named

    def _fence(self) -> None:
        """Has the old place refuse for good, once the new one holds the same."""
        if not has_departed(self._tenancy, self._source):
            self._again(self._cross)

    def _cross(self) -> int:
        # The new place is opened first, as nobody waits for that yet, and committed before the old one is left.
        with contextlib.ExitStack() as there:
            writer = there.enter_context(self._writing())
            begun = time.monotonic()
            with self._shut(self._source) as behind:
                changes = behind.changes()
                with reading(self._tenancy, self._source, within=behind.connection) as reader:
                    named = self._finish(reader, writer, changes)
                self._tell("depart", 2, 3)
                there.close()
        self._held_since = begun
        return named

    def _finish(self, reader: Reader, writer: Writer, changes: Changes) -> int:
        self._tell("delta", 0, 3)
        named = writer.apply(changes, reader.rows_of)
        writer.settle()
        self._tell("compare", 1, 3)
        if self._compared is None or self._compared <= _COMPARED:
            self._compare(reader, writer)
        else:
            compare_changed(reader, writer, changes)
        return named

    def _open(self) -> None:
        server = self._server(self._target)
        if isinstance(server, SqliteServer) and has_departed(self._tenancy, self._target):
            with self._shut(self._target) as shut:
                # There the copying itself was noted, which nobody has to carry back.
                shut.changes()
        fencing.reopen(server, self._target)

    def _switch(self) -> None:
        with self._tenancy.catalog(_ACTION) as connection:
            if not moving.switch(connection, self._target):
                raise MoveRefused(
                    tenant=self._target.id, reason="the catalog has it elsewhere. Look at its placements."
                )
        self._tenancy.router.forget(self._target)
        self._course.detail["switched_at"] = time.time()
        if self._held_since is not None:
            self._course.detail["held"] = time.monotonic() - self._held_since

    def _keep(self) -> None:
        """Does nothing: the old place stands as it was left, and what is written in the new one is noted."""

    def _drop(self) -> None:
        """Empties the place that was left, which nobody can come back to any more."""
        if self._source.isolation is not Isolation.ROWS:
            self._wait_for_routers()
        self._empty(self._source, force=self._force, buried=True)
        # Notes were taken for the way back.
        fencing.lift(self._server(self._target), self._target)
        with self._tenancy.catalog(_ACTION) as connection:
            moving.leave(connection, self._source)

    def _wait_for_routers(self) -> None:
        """Waits until no router remembers the place: who meets its tombstone is told more than who finds nothing."""
        ttl = self._tenancy.config.route_ttl
        time.sleep(min(ttl, max(0.0, self._course.detail["switched_at"] + ttl - time.time())))

    def _undo(self) -> None:
        self._empty(self._target, force=True, buried=self._course.detail["buried"])
        fencing.lift(self._server(self._source), self._source)

    def _empty(self, place: Tenant, *, force: bool, buried: bool) -> None:
        """Removes a tenant's rows from a place, or the place; where common tables are *buried* it stays shut."""
        server = self._server(place)
        if place.isolation is not Isolation.ROWS:
            self._tenancy.servers.strategy_of(place).drop(place.id, force=force)
            if place.isolation is Isolation.SCHEMA:
                fencing.lift(server, place)
            return
        self._put_fence_on(place)
        with self._shut(place) as shut, writing(self._tenancy, place, within=shut.connection) as writer:
            writer.clear()
        end = fencing.take_down if buried else fencing.lift
        end(server, place)

    def _again(self, work: Callable[[], int]) -> int:
        """Returns what *work* does; where two copies differ or cannot be made alike, all is copied anew."""
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(RowRefused, CopyDiffers):
                return work()
            self._copy_all()
        return work()

    def _compare(self, reader: Reader, writer: Writer) -> None:
        found = compare(reader, writer)
        self._compared = sum(digest.size for digest in found.values())
        self._course.detail["rows"] = {name: digest.rows for name, digest in found.items()}

    def _put_fence_on(self, place: Tenant) -> None:
        fencing.prepare(self._server(place), place, patience=self._pace.patience, wait=self._pace.patience)

    def _shut(self, place: Tenant) -> contextlib.AbstractContextManager[Fenced]:
        return fencing.closed(self._server(place), place, patience=self._pace.patience, departing=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Writer]:
        """Opens a transaction at the new place, which stays shut to all others."""
        with (
            self._shut(self._target) as shut,
            writing(self._tenancy, self._target, within=shut.connection) as writer,
        ):
            yield writer

    def _server(self, place: Tenant) -> Server:
        return self._tenancy.servers.get(place.server)

    def _tell(self, name: str, done: int, total: int, **facts: object) -> None:
        self._course.tell(name, done=done, total=total, **facts)


def has_departed(tenancy: Tenancy, place: Tenant) -> bool:
    """Whether a tenant has left a place, so that its sessions are refused there."""
    own = place.isolation is Isolation.SCHEMA
    found = fencing.tombstones(tenancy.servers.get(place.server), place)
    # Of two places in one database one is a schema, which bears the tenant's own name.
    return any(fence.tenant == place.id and (fence.place == physical_name(place.id)) == own for fence in found)
