"""How a route and a use become tests: one function, every cell, every door, judged from outside."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from .sides import FOREIGN_NUMBER
from .worlds import PLACES, Place, World

REFUSING = {"tenantry", "sqlalchemy", "psycopg", "asyncpg", "sqlite3", "aiosqlite"}


class Leak(str):
    """Evidence that a route itself puts into words."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A function to run against the wall, and where it makes sense."""

    function: Callable[..., Any]
    kind: str
    dialect: str | None
    doors: str | None
    harmless: str | None

    @property
    def native(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def fits(self, place: Place) -> bool:
        if self.dialect not in (None, place.dialect):
            return False
        if self.native or self.doors == "async":
            return not place.synchronous
        if place.control and not self.native:
            return place.synchronous
        return self.doors is None or place.synchronous


def route(
    function: Callable[..., Any] | None = None,
    *,
    dialect: str | None = None,
    doors: str | None = None,
    harmless: str | None = None,
) -> Any:
    """Makes a test of a way to another tenant's rows: it must lead there in the control, and nowhere else.

    *harmless* says why the control does not leak by it either; such routes are few and are counted.
    """
    if function is None:
        return functools.partial(route, dialect=dialect, doors=doors, harmless=harmless)
    return _test_of(Trial(function, "route", dialect, doors, harmless), PLACES)


def use(function: Callable[..., Any] | None = None, *, dialect: str | None = None, doors: str | None = None) -> Any:
    """Makes a test of something ordinary that must work within a tenant's session, unbroken by the walls."""
    if function is None:
        return functools.partial(use, dialect=dialect, doors=doors)
    return _test_of(Trial(function, "use", dialect, doors, None), [place for place in PLACES if not place.control])


def _test_of(trial: Trial, places: list[Place]) -> Any:
    fitting = [place for place in places if trial.fits(place)]

    @pytest.mark.parametrize("place", fitting, ids=str)
    @_warnings(trial)
    def test(place: Place, worlds: Any, record_property: Any) -> None:
        record = {"kind": trial.kind, "cell": place.cell, "door": place.door, "result": "broken"}
        try:
            _judge(trial, worlds.at(place), record)
        finally:
            record_property("leak", json.dumps(record))

    test.trial = trial
    test.__doc__ = trial.function.__doc__
    test.__module__ = trial.function.__module__
    return test


def _warnings(trial: Trial) -> pytest.MarkDecorator:
    # A warning must not count as a refusal: an attacker does not run with warnings as errors.
    quiet = ("ignore::sqlalchemy.exc.SAWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
    return pytest.mark.filterwarnings(*(quiet if trial.kind == "route" else ["error"]))


def _judge(trial: Trial, world: World, record: dict[str, str]) -> None:
    outside = world.ground.outside
    try:
        attempt = run(trial, world)
        present = outside.state()
        leaks = [*attempt.leaks, *_changes(outside.remembered.foreign, present.foreign)]
        if present != outside.remembered:
            outside.repair()
        record |= {"result": "leak" if leaks else "held", "refusal": attempt.refusal, "leaks": "; ".join(leaks[:3])}
        _verdict(trial, world, attempt, leaks)
        if world.walled:
            check_next_borrowers(world)
    except BaseException:
        world.ground.discard()
        if outside.state() != outside.remembered:
            outside.repair()
        raise
    if not world.walled:
        world.ground.discard()


def _verdict(trial: Trial, world: World, attempt: Attempt, leaks: list[str]) -> None:
    if trial.kind == "use":
        assert not attempt.refusal, attempt.refusal
    if world.walled:
        assert not leaks, f"leaked: {leaks}"
    elif trial.harmless:
        assert not leaks, f"said to be harmless without a wall ({trial.harmless}), yet it leaked: {leaks}"
    else:
        assert leaks, f"does not leak without a wall either, so it proves nothing; refusal: {attempt.refusal}"


@dataclass(slots=True)
class Attempt:
    """What came of a route: the foreign things seen, and the refusal, if any."""

    leaks: list[str]
    refusal: str = ""


def run(trial: Trial, world: World) -> Attempt:
    """Runs a trial in a fresh session of tenant A, through the world's door."""
    if trial.native:
        return world.runner.run(_run_native(trial, world))
    if world.place.synchronous:
        with world.borrow(world.a, writes=True) as session:
            return _attempt(trial, session, world)
    return world.runner.run(_run_through_async_door(trial, world))


async def _run_through_async_door(trial: Trial, world: World) -> Attempt:
    async with world.aborrow(world.a, writes=True) as session:
        return await session.run_sync(lambda sync_session: _attempt(trial, sync_session, world))


async def _run_native(trial: Trial, world: World) -> Attempt:
    async with world.aborrow(world.a, writes=True) as session:
        attempt = Attempt([])
        try:
            async with asyncio.timeout(60):
                attempt.leaks = list(foreign(await trial.function(session, world), world))
        except Exception as error:
            attempt.refusal = refusal_of(error)
        attempt.leaks += await session.run_sync(lambda sync_session: _aftermath(sync_session, world))
        return attempt


def _attempt(trial: Trial, session: Session, world: World) -> Attempt:
    attempt = Attempt([])
    try:
        attempt.leaks = list(foreign(trial.function(session, world), world))
    except Exception as error:
        attempt.refusal = refusal_of(error)
    attempt.leaks += _aftermath(session, world)
    return attempt


def _aftermath(session: Session, world: World) -> list[str]:
    """Returns what of other tenants the same session still shows afterwards; being unusable is fine."""
    if not world.walled:
        return []
    try:
        session.rollback()
        return [f"afterwards: {leak}" for leak in foreign(world.read_all(session), world)]
    except Exception as error:
        refusal_of(error)
        return []


def check_next_borrowers(world: World) -> None:
    """Fails unless the next sessions of both tenants see all of their own rows and nothing else."""
    if world.place.synchronous:
        _check_borrowers(world)
    else:
        world.runner.run(_check_borrowers_async(world))


def _check_borrowers(world: World) -> None:
    for side in (world.b, world.a):
        with world.borrow(side, writes=True) as session:
            _check_own_view(session, world, side)


async def _check_borrowers_async(world: World) -> None:
    for side in (world.b, world.a):
        async with world.aborrow(side, writes=True) as session:
            await session.run_sync(_check_own_view, world, side)


def _check_own_view(session: Session, world: World, side: Any) -> None:
    seen = session.execute(text("SELECT subject FROM tickets")).scalars().all()
    assert len(seen) == side.counts["tickets"], f"the next session of {side.slug} sees {len(seen)} subjects"
    assert all(subject.startswith(side.canary) for subject in seen), f"the next session of {side.slug} sees {seen}"


def refusal_of(error: Exception) -> str:
    homes = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not homes & REFUSING or isinstance(error, Warning):
        raise error
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def _changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    names = sorted(before.keys() | after.keys())
    return [
        f"foreign rows of {name} changed from {before.get(name)} to {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def columns_of(instance: Any) -> dict[str, Any]:
    """Returns the loaded columns of a mapped object."""
    return {key: value for key, value in vars(instance).items() if key in instance.__mapper__.column_attrs}


def foreign(evidence: Any, world: World) -> Iterator[str]:
    """Yields every part of *evidence* that only another tenant's rows can have given."""
    if isinstance(evidence, Leak):
        yield evidence
    elif isinstance(evidence, str | bytes | bytearray | memoryview):
        readable = evidence if isinstance(evidence, str) else bytes(evidence).decode("utf-8", "replace")
        if world.b.canary in readable:
            yield readable[:120]
    elif isinstance(evidence, bool) or evidence is None:
        return
    elif isinstance(evidence, int | float | Decimal):
        if evidence >= FOREIGN_NUMBER:
            yield f"number {evidence}"
    elif isinstance(evidence, dict):
        yield from foreign(list(evidence.items()), world)
    elif isinstance(evidence, BaseException):
        yield from foreign(str(evidence), world)
    elif hasattr(evidence, "__mapper__"):
        yield from foreign(columns_of(evidence), world)
    elif hasattr(evidence, "__iter__"):
        for part in evidence:
            yield from foreign(part, world)
