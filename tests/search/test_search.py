"""A search finds a tenant's rows by their words and by how they are written, in every cell and through every door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cells import PLACES, Door, Ground, Place

from tenantry.errors import InvalidPage, SearchTextRefused

from .library import Paper, Remark, Room

# Every cell by one door, and every door by one cell; the other pairs run the same code.
SHORT = {"postgresql-rows-asyncpg", "postgresql-schema-psycopg", "postgresql-database-sync", "sqlite-rows-sync"}
SHORT |= {"sqlite-file-aiosqlite"}
CHOSEN = [pytest.param(found, marks=[] if str(found) in SHORT else pytest.mark.soak, id=str(found)) for found in PLACES]


@pytest.fixture(params=CHOSEN)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.param
    return found


@pytest.fixture
def room(ground: Ground, place: Place) -> Room:
    found: Room = ground.made(place)
    return found


@pytest.fixture
def door(ground: Ground, place: Place) -> Iterator[Door]:
    with ground.session(place) as near:
        yield near
        near.rollback()


def titles(found: list) -> list[str]:
    return [hit.row.title for hit in found]


def test_words_are_found_in_the_tenant_alone(door: Door, room: Room) -> None:
    assert titles(door.call(room.papers.query, "invoice")) == ["The invoice is wrong"]
    assert sorted(titles(door.call(room.papers.query, "paper"))) == ["A paper on owls", "Printer out of paper"]
    assert titles(door.call(room.papers.query, "paper printer")) == ["Printer out of paper"]
    assert titles(door.call(room.papers.query, '"paper on"')) == ["A paper on owls"]
    assert titles(door.call(room.papers.query, "paper -owls")) == ["Printer out of paper"]
    assert sorted(titles(door.call(room.papers.query, "owls or log"))) == ["A paper on owls", "Nobody can log in"]
    assert titles(door.call(room.papers.query, "-paper -invoice")) == ["Nobody can log in"]
    assert sorted(titles(door.call(room.papers.query, "-paper -invoice or owls"))) == [
        "A paper on owls",
        "Nobody can log in",
    ]
    assert door.call(room.papers.query, "far") == []


def test_no_text_is_more_than_a_text(door: Door, room: Room) -> None:
    for text in ("", "   ", "%", "' or 1=1 --", "-", '"', "a & | ! (", "\\"):
        for method in (room.papers.query, room.papers.similar):
            assert not any(title.startswith("far") for title in titles(door.call(method, text)))


def test_what_is_written_alike_is_found_nearest_first(door: Door, room: Room) -> None:
    found = door.call(room.papers.similar, "the invoise is wrong")
    assert titles(found) == ["The invoice is wrong"]
    assert found[0].rank == pytest.approx(0.739, abs=0.001)
    assert titles(door.call(room.papers.similar, "prnter out of paper", limit=1)) == ["Printer out of paper"]


def test_pages_and_conditions_narrow_what_is_found(door: Door, room: Room) -> None:
    both = titles(door.call(room.papers.query, "paper"))
    pages = [titles(door.call(room.papers.query, "paper", limit=1, offset=offset)) for offset in range(3)]
    assert pages == [[both[0]], [both[1]], []]
    assert titles(door.call(room.papers.query, "paper", limit=1, where=[Paper.stars == 2])) == ["A paper on owls"]
    assert titles(door.call(room.papers.query, "paper", limit=1, where=[Paper.stars == 1])) == ["Printer out of paper"]
    assert titles(door.call(room.papers.similar, "paper on owls", where=[Paper.stars == 1])) == []


def test_many_keys_that_are_not_wanted_hide_none_that_is(door: Door, room: Room) -> None:
    rows = [Paper(title="gnu gnu gnu", stars=9) for _ in range(60)] + [Paper(title="a gnu", stars=1)]
    door.run(lambda session: (session.add_all(rows), session.flush()))
    assert titles(door.call(room.papers.query, "gnu", limit=3, where=[Paper.stars == 1])) == ["a gnu"]


def test_a_key_that_is_a_number_and_names_that_are_words_of_sql(door: Door, room: Room) -> None:
    row = Remark(text="printers were jammed")
    door.run(lambda session: (session.add(row), session.flush()))
    word = "printer" if door.place.postgresql else "printers"
    assert [hit.row.id for hit in door.call(room.remarks.query, word)] == [row.id]
    assert [hit.row.id for hit in door.call(room.remarks.similar, "printers were jamed")] == [row.id]


def test_what_cannot_be_asked_is_refused(door: Door, room: Room) -> None:
    for text in ("a\0b", "a" * 2001):
        with pytest.raises(SearchTextRefused):
            door.call(room.papers.query, text)
    for page in ({"limit": -1}, {"limit": 10_001}, {"offset": -1}):
        with pytest.raises(InvalidPage):
            door.call(room.papers.similar, "a", **page)


@pytest.mark.parametrize("place", [PLACES[0]], ids=str, indirect=True)
def test_a_long_text_is_kept_and_its_beginning_found(door: Door, room: Room) -> None:
    words = " ".join(f"{number:x}" for number in range(400_000))
    row = Paper(title="long", content=words)
    door.run(lambda session: (session.add(row), session.flush()))
    assert titles(door.call(room.papers.query, "1ff0 1ff1")) == ["long"]
