"""A tenant goes from every place to every other and back: nothing of it changes, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import delete, select, update

from .grounds import PLACES, Ground, everywhere
from .models import Counter, Line, Page, Ticket

# Every place is left for another kind of place and come back to; a soak takes every road there is.
_QUICK = ("rows", "schema", "file", "other rows", "database", "common file", "other schema")


def tour(places: Sequence[str]) -> Iterator[str]:
    """Yields places such that each is followed by every other exactly once, ending where it began."""
    roads = {here: [there for there in places if there != here] for here in places}
    path, done = [places[0]], list[str]()
    while path:
        if roads[path[-1]]:
            path.append(roads[path[-1]].pop())
        else:
            done.append(path.pop())
    yield from reversed(done)


def check_lives(ground: Ground, slug: str, place: str) -> None:
    """The catalog leads to the place; rows are numbered on from where they were, and append-only ones stay so."""
    tenant = ground.tenancy.tenants.get(slug)
    assert (tenant.server, tenant.isolation.value) == PLACES[place]
    with ground.tenancy.session(slug) as session:
        highest = max(session.scalars(select(Ticket.id)))
        session.add(Ticket(subject="one more"))
        session.flush()
        assert max(session.scalars(select(Ticket.id))) > highest
        assert session.scalars(select(Line)).all()
    assert ground.behaviours.audit.verify(slug) == []


def go(ground: Ground, slug: str, place: str) -> None:
    """Moves there and drops what was left behind."""
    server, isolation = PLACES[place]
    before = ground.content(slug)
    status = ground.move.start(slug, server=server, isolation=isolation)
    assert status.state == "resting"
    assert ground.content(slug) == before
    ended = ground.move.finalize(slug)
    assert ended.state == "done"
    assert ground.content(slug) == before
    check_lives(ground, slug, place)


def walk(ground: Ground, slug: str, places: Sequence[str]) -> int:
    """Takes a tenant through places, the first of which it lives in, and returns how many moves that was."""
    around = ground.around()
    for place in places[1:]:
        go(ground, slug, place)
    assert ground.around() == around
    return len(places) - 1


def test_a_tenant_goes_through_every_kind_of_place_and_home(ground: Ground) -> None:
    slug = ground.settle("traveller", _QUICK[0])
    assert walk(ground, slug, [*_QUICK, _QUICK[0]]) == len(PLACES)


@pytest.mark.soak
def test_a_tenant_takes_every_road_between_any_two_places(ground: Ground) -> None:
    slug = ground.settle("wanderer", "rows", rows=200)
    moves = walk(ground, slug, list(tour(list(PLACES))))
    print(f"\n{moves} moves between {len(PLACES)} places, each with equal rows; neighbours unchanged")
    assert moves == len(PLACES) * (len(PLACES) - 1)


@everywhere()
def test_the_way_back_brings_what_was_written_since(ground: Ground, place: str) -> None:
    other = "schema" if place != "schema" else "rows"
    slug = ground.settle(f"returns-from-{place.replace(' ', '-')}", other)
    home = ground.tenancy.tenants.get(slug)
    server, isolation = PLACES[place]
    ground.move.start(slug, server=server, isolation=isolation)
    with ground.tenancy.transaction(slug) as session:
        session.add(Ticket(subject="written in the new place"))
        session.execute(update(Counter).values(n=Counter.n + 1))
        session.execute(delete(Page).where(Page.title == "here"))
    before, around = ground.content(slug), ground.around()
    assert ground.move.rollback(slug).state == "undone"
    now = ground.tenancy.tenants.get(slug)
    assert (now.server, now.isolation, now.physical) == (home.server, home.isolation, home.physical)
    assert now.epoch == home.epoch + 2
    assert ground.content(slug) == before
    assert ground.around() == around
    check_lives(ground, slug, other)
