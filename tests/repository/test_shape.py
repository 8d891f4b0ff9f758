"""What holds without a database, and what only one door has: models found, streams left early, the generated file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
from cells import Place
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError
from tenantry.repository import Query, Repository, building

from .doors import Ground
from .models import AsyncTickets, Company, Ticket, Tickets

ROOT = Path(__file__).parents[2]
M = TypeVar("M")


class Common(Repository[M]):
    """An application's own base."""


class Inherited(Common[Ticket]):
    pass


class ByAttribute(Repository[Any]):
    model = Ticket


class Overridden(Tickets):
    pass


@pytest.mark.parametrize("kind", [Tickets, Inherited, ByAttribute, Overridden])
def test_a_repository_knows_its_model(kind: type[Repository[Any]]) -> None:
    assert kind(Session()).model is Ticket
    assert repr(kind(Session())) == f"<{kind.__name__} of Ticket>"


def test_a_repository_may_be_given_its_model() -> None:
    repository = Repository(Session(), model=Company)
    assert repository.model is Company
    assert repr(repository.query()) == "<Query of Company>"


@pytest.mark.parametrize("kind", [Repository, Common])
def test_a_repository_without_a_model_says_so(kind: type[Repository[Any]]) -> None:
    with pytest.raises(ConfigurationError, match="does not say which model"):
        kind(Session())


def test_each_step_of_a_query_leaves_the_one_before_as_it_was() -> None:
    session = Session()
    query = Query(session, building.Selection(Ticket))
    steps = [query.filter_by(number=1), query.order_by("number"), query.limit(1), query.offset(1), query.where(True)]
    assert query._selection == building.Selection(Ticket)
    assert len({id(step) for step in [query, *steps]}) == 6


def test_far_slices_start_where_the_index_does() -> None:
    terms = building.with_key(building.Selection(Ticket, order=building.order_terms(Ticket, ["-created_at"])))
    sql = str(building.beyond(terms, [None, None]).compile(dialect=postgresql.dialect()))
    assert sql.startswith("(tickets.created_at, tickets.id) < (")


@pytest.mark.parametrize("cell", ["postgresql-rows", "postgresql-database", "sqlite-file", "sqlite-rows"])
def test_a_stream_left_early_leaves_the_session_usable(ground: Ground, cell: str) -> None:
    with ground.session(Place(cell, "sync")) as door:
        tickets = Tickets(door.session)
        stream = tickets.stream(batch=2)
        assert next(stream).number == 1
        stream.close()
        assert tickets.count() == 7


@pytest.mark.parametrize(
    "place",
    [Place("postgresql-rows", "psycopg"), Place("postgresql-rows", "asyncpg"), Place("sqlite-rows", "aiosqlite")],
    ids=str,
)
def test_an_awaited_stream_left_early_leaves_the_session_usable(ground: Ground, place: Place) -> None:
    async def leave(tickets: AsyncTickets) -> int:
        stream = tickets.stream(batch=2)
        async for row in stream:
            assert row.number == 1
            break
        await stream.aclose()
        return await tickets.count()

    with ground.session(place) as door:
        assert ground.runner.run(leave(AsyncTickets(door.session))) == 7


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_aio", ROOT / "tools" / "write_aio.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_awaited_face_is_what_the_generator_writes() -> None:
    tool = generator()
    assert tool.TARGET.read_text() == tool.render(tool.SOURCE.read_text())
    assert tool.main(["--check"]) == 0


def test_a_change_of_the_synchronous_face_reaches_the_awaited_one() -> None:
    tool = generator()
    source = tool.SOURCE.read_text()
    for old, new in [
        ("def exists(self)", "def exists(self, soon: bool = False)"),
        ('"""Returns whether any row matches.', '"""Says whether any row matches.'),
        ("limit: int = 50,", "limit: int = 51,"),
    ]:
        assert old in source
        assert tool.render(source.replace(old, new)) != tool.TARGET.read_text()
