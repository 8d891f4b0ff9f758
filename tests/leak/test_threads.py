"""Threads: one session in two of them, sessions of two tenants side by side, context that stays behind."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, text

from .suite import Leak, refusal_of, route

SUBJECTS = text("SELECT subject FROM tickets")


def _subjects(world, side):
    with world.borrow(side) as own:
        return own.execute(SUBJECTS).scalars().all()


def _in_thread(work):
    """Runs *work* in a thread of its own; what it raised, or returned."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    if outcome and isinstance(outcome[0], Exception):
        return refusal_of(outcome[0])
    return outcome


@route(doors="sync")
def test_session_handed_to_a_thread(session, world):
    return _in_thread(lambda: session.execute(SUBJECTS).all())


@route(doors="sync")
def test_session_used_by_two_threads(session, world):
    session.execute(SUBJECTS).all()
    seen = _in_thread(lambda: session.scalars(select(world.Ticket)).all())
    return [seen, session.execute(SUBJECTS).all()]


@route(doors="sync")
def test_new_session_in_a_thread(session, world):
    return _in_thread(lambda: _subjects(world, world.a))


@route(doors="sync")
def test_thread_with_a_copied_context(session, world):
    session.execute(SUBJECTS).all()
    context = contextvars.copy_context()
    seen = _in_thread(lambda: context.run(_subjects, world, world.b))
    swapped = [Leak("B's thread sees A's row") for row in seen[0] if world.a.canary in row]
    return [swapped, session.execute(SUBJECTS).all()]


@route(doors="sync")
def test_threads_side_by_side(session, world):
    sides = [world.a, world.b] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda side: (side, _subjects(world, side)), sides))
    swapped = [
        Leak("B sees A's row") for side, rows in found for row in rows if side is world.b and world.a.canary in row
    ]
    return [swapped, [rows for side, rows in found if side is world.a]]


@route(doors="sync")
def test_threads_that_fail_in_between(session, world):
    def visit(number):
        side = (world.a, world.b)[number % 2]
        try:
            with world.borrow(side) as own:
                rows = own.execute(SUBJECTS).scalars().all()
                if number % 3 == 0:
                    own.execute(text("SELECT * FROM no_such_table"))
        except Exception as error:
            refusal_of(error)
        return rows if side is world.a else [Leak("swapped") for row in rows if world.a.canary in row]

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(visit, range(40)))


@route(doors="sync")
def test_lazy_load_in_a_thread(session, world):
    tickets = session.scalars(select(world.Ticket)).all()
    return _in_thread(lambda: [ticket.comments for ticket in tickets])


@route(doors="sync")
def test_executor_that_kept_its_thread(session, world):
    with ThreadPoolExecutor(1) as pool:
        seen = [pool.submit(_subjects, world, side).result() for side in (world.b, world.a, world.b, world.a)]
    return [seen[1], seen[3], [Leak("swapped") for row in [*seen[0], *seen[2]] if world.a.canary in row]]
