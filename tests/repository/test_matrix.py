"""Every public method of repositories and queries, in every cell, through every door; the run prints the table."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable

import pytest

from tenantry.errors import ConfigurationError, RecordNotFound
from tenantry.repository import AsyncQuery, AsyncReadRepository, AsyncRepository, Query, ReadRepository, Repository

from .doors import Door
from .models import Ticket
from .table import RECORD

Exercise = Callable[[Door], None]
EXERCISES: dict[str, Exercise] = {}


def exercise(method: str) -> Callable[[Exercise], Exercise]:
    """Registers what proves a method to work."""

    def register(function: Exercise) -> Exercise:
        EXERCISES[method] = function
        return function

    return register


def numbers(rows: list[Ticket]) -> list[int]:
    return [row.number for row in rows]


def test_each_method_proves_itself_at_each_place(
    door: Door, method: str, record_property: Callable[[str, object], None]
) -> None:
    record_property(RECORD, f"{method}|{door.place}")
    EXERCISES[method](door)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "method" in metafunc.fixturenames:
        metafunc.parametrize("method", list(EXERCISES))


def test_no_public_method_is_left_out() -> None:
    public = {f"Repository.{name}" for name in methods(Repository)} | {f"Query.{name}" for name in methods(Query)}
    assert set(EXERCISES) == public


@pytest.mark.parametrize(
    ("sync", "awaited"),
    [(Query, AsyncQuery), (ReadRepository, AsyncReadRepository), (Repository, AsyncRepository)],
)
def test_both_doors_have_the_same_methods_with_the_same_parameters(sync: type, awaited: type) -> None:
    assert methods(sync) == methods(awaited)
    for name in methods(sync):
        given, expected = (inspect.signature(getattr(kind, name)).parameters for kind in (awaited, sync))
        assert list(given.items()) == list(expected.items()), name


def methods(kind: type) -> list[str]:
    return sorted(name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_"))


# --- repositories --------------------------------------------------------------------------------------------------


@exercise("Repository.get")
def _get(door: Door) -> None:
    first = door.tickets.find(number=1)
    assert door.tickets.get(first.id) is first
    assert door.tickets.get(str(first.id)) is first
    assert door.tickets.get(door.ground.far_ticket(door.place)) is None


@exercise("Repository.get_one")
def _get_one(door: Door) -> None:
    first = door.tickets.find(number=1)
    assert door.tickets.get_one(first.id) is first
    with pytest.raises(RecordNotFound):
        door.tickets.get_one(door.ground.far_ticket(door.place))


@exercise("Repository.find")
def _find(door: Door) -> None:
    assert door.tickets.find(status="closed").number == 3
    assert door.tickets.find(Ticket.number > 5, status="open").number == 7
    assert door.tickets.find(status="lost") is None


@exercise("Repository.one")
def _one(door: Door) -> None:
    assert door.tickets.one(Ticket.status == "open", priority=3).number == 1


@exercise("Repository.list")
def _list(door: Door) -> None:
    assert numbers(door.tickets.list(status=["open", "pending"], order_by="-number", limit=3, offset=1)) == [6, 5, 2]


@exercise("Repository.exists")
def _exists(door: Door) -> None:
    assert door.tickets.exists(status="closed")
    assert not door.tickets.exists(Ticket.number > 7)


@exercise("Repository.count")
def _count(door: Door) -> None:
    assert door.tickets.count() == 7
    assert door.tickets.count(Ticket.number > 2, status="open") == 1


@exercise("Repository.page")
def _page(door: Door) -> None:
    page = door.tickets.page(2, 3, order_by="number")
    assert (numbers(page), page.total, page.number, page.size, page.pages) == ([4, 5, 6], 7, 2, 3, 3)


@exercise("Repository.keyset")
def _keyset(door: Door) -> None:
    first = door.tickets.keyset(limit=4, order_by="-number")
    rest = door.tickets.keyset(limit=4, order_by="-number", after=first.next)
    assert (numbers(first), numbers(rest), rest.next) == ([7, 6, 5, 4], [3, 2, 1], None)


@exercise("Repository.stream")
def _stream(door: Door) -> None:
    assert numbers(door.tickets.stream(status="open", order_by="-number", batch=2)) == [7, 2, 1]


@exercise("Repository.query")
def _query(door: Door) -> None:
    assert numbers(door.tickets.query().all()) == [1, 2, 3, 4, 5, 6, 7]


@exercise("Repository.create")
def _create(door: Door) -> None:
    made = [
        door.tickets.create(number=21, subject="by name"),
        door.tickets.create({"number": 22, "subject": "by mapping"}, priority=2),
        door.tickets.create(Ticket(number=23, subject="by object")),
    ]
    assert numbers(door.tickets.list(number=[21, 22, 23], order_by="number")) == [21, 22, 23]
    assert {row.tenant_id for row in made} == {door.session.tenant.id}
    assert made[1].priority == 2
    assert made[0].status == "open"
    assert made[0].created_at == made[0].updated_at


@exercise("Repository.bulk_create")
def _bulk_create(door: Door) -> None:
    items = [{"number": number, "subject": "many"} for number in range(100, 160)]
    made = door.tickets.bulk_create([*items, Ticket(number=160, subject="many")])
    assert len(made) == door.tickets.count(subject="many") == 61


@exercise("Repository.update")
def _update(door: Door) -> None:
    ticket = door.tickets.find(number=1)
    before = ticket.updated_at
    assert door.tickets.update(ticket.id, status="closed") is ticket
    assert door.tickets.update(ticket, priority=None) is ticket
    assert door.tickets.count(number=1, status="closed", priority=None) == 1
    assert ticket.updated_at != before


@exercise("Repository.delete")
def _delete(door: Door) -> None:
    door.tickets.delete(door.tickets.find(number=1))
    door.tickets.delete(door.tickets.find(number=2).id)
    assert numbers(door.tickets.list()) == [3, 4, 5, 6, 7]


@exercise("Repository.upsert")
def _upsert(door: Door) -> None:
    key = ["queue", "number"]
    made = door.tickets.upsert({"queue": "desk", "number": 30, "subject": "new"}, key=key)
    assert (made.subject, made.status, made.tenant_id) == ("new", "open", door.session.tenant.id)
    again = door.tickets.upsert({"queue": "desk", "number": 30, "subject": "changed"}, key=key)
    assert (again.id, again.subject) == (made.id, "changed")
    assert door.tickets.count(number=30) == 1


@exercise("Repository.restore")
def _restore(door: Door) -> None:
    made = door.labels.create(name="gone")
    door.labels.delete(made.id)
    assert door.labels.get(made.id) is None
    assert door.labels.restore(made.id) is made
    assert door.labels.get(made.id) is made
    with pytest.raises(RecordNotFound):
        door.labels.restore(door.ground.far_ticket(door.place))
    with pytest.raises(ConfigurationError, match="Ticket has no SoftDelete"):
        door.tickets.restore(door.tickets.find(number=1))


@exercise("Repository.purge")
def _purge(door: Door) -> None:
    kept, gone = door.labels.create(name="kept"), door.labels.create(name="gone")
    door.labels.delete(gone)
    assert door.labels.purge(older_than=datetime.timedelta(days=1)) == 0
    assert door.labels.purge(older_than=datetime.timedelta(seconds=-1)) == 1
    assert door.labels.query().include_deleted().all() == [kept]


# --- queries -------------------------------------------------------------------------------------------------------


@exercise("Query.where")
def _where(door: Door) -> None:
    assert numbers(door.tickets.query().where(Ticket.number > 2, Ticket.number < 5).all()) == [3, 4]


@exercise("Query.filter")
def _filter(door: Door) -> None:
    assert numbers(door.tickets.query().filter(Ticket.number > 2).filter(Ticket.number < 5).all()) == [3, 4]


@exercise("Query.filter_by")
def _filter_by(door: Door) -> None:
    assert numbers(door.tickets.query().filter_by(status="pending", priority=None).all()) == [5]


@exercise("Query.search")
def _search(door: Door) -> None:
    assert numbers(door.tickets.query().search("LOGIN", ["subject", "status"]).all()) == [2]


@exercise("Query.include_deleted")
def _include_deleted(door: Door) -> None:
    for name in ("one", "two"):
        door.labels.delete(door.labels.create(name=name))
    asked = door.labels.query().include_deleted().order_by("name")
    assert [label.name for label in asked.all()] == ["one", "two"]
    assert (asked.count(), asked.limit(1).count(), asked.exists(), asked.page(1, 1).total) == (2, 1, True, 2)
    hiding = door.labels.query()
    assert (hiding.all(), hiding.count(), hiding.exists(), hiding.limit(1).count()) == ([], 0, False, 0)


@exercise("Query.order_by")
def _order_by(door: Door) -> None:
    query = door.tickets.query().filter_by(number__lte=3)
    assert numbers(query.order_by("-status", Ticket.number.desc()).all()) == [2, 1, 3]


@exercise("Query.limit")
def _limit(door: Door) -> None:
    assert numbers(door.tickets.query().limit(2).all()) == [1, 2]
    assert door.tickets.query().limit(2).count() == 2


@exercise("Query.offset")
def _offset(door: Door) -> None:
    assert numbers(door.tickets.query().offset(5).all()) == [6, 7]
    assert door.tickets.query().offset(5).count() == 2


@exercise("Query.all")
def _all(door: Door) -> None:
    assert len(door.tickets.query().all()) == 7


@exercise("Query.first")
def _first(door: Door) -> None:
    assert door.tickets.query().order_by("-number").first().number == 7
    assert door.tickets.query().limit(0).first() is None


@exercise("Query.one")
def _query_one(door: Door) -> None:
    assert door.tickets.query().filter_by(number=4).one().number == 4


@exercise("Query.count")
def _query_count(door: Door) -> None:
    assert door.tickets.query().filter_by(priority=1).count() == 2


@exercise("Query.exists")
def _query_exists(door: Door) -> None:
    assert door.tickets.query().filter_by(priority=1).offset(1).exists()
    assert not door.tickets.query().filter_by(priority=1).offset(2).exists()


@exercise("Query.page")
def _query_page(door: Door) -> None:
    page = door.tickets.query().filter_by(number=[7, 8, 9]).page(1, 2)
    assert (numbers(page), page.total, page.pages) == ([7], 1, 1)


@exercise("Query.keyset")
def _query_keyset(door: Door) -> None:
    assert numbers(door.tickets.query().filter_by(status="open").keyset(limit=2)) == [1, 2]


@exercise("Query.stream")
def _query_stream(door: Door) -> None:
    assert numbers(door.tickets.query().stream(batch=3)) == [1, 2, 3, 4, 5, 6, 7]
