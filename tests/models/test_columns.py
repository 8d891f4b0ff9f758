"""Times and documents mean the same on both databases."""

from __future__ import annotations

import copy
import datetime
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateTable

from tenantry.models import JSONDocument, TenantOwned, Timestamps, UTCDateTime
from tenantry.models.documents import TrackedDict, TrackedList, plain

from .conftest import created

UTC = datetime.UTC
KATHMANDU = datetime.timezone(datetime.timedelta(hours=5, minutes=45))


class Base(DeclarativeBase):
    pass


class Event(Timestamps, TenantOwned, Base):
    __tablename__ = "events"
    name: Mapped[str] = mapped_column(default="x")
    at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    document: Mapped[Any] = mapped_column(JSONDocument, nullable=True)


@pytest.fixture
def session(engine: Engine) -> Session:
    created(Base.metadata, engine)
    return Session(engine)


def save(session: Session, **values: Any) -> Event:
    event = Event(tenant_id=uuid.uuid4(), **values)
    session.add(event)
    session.commit()
    return event


def test_a_time_comes_back_aware_and_in_utc(session: Session) -> None:
    with session:
        given = datetime.datetime(2024, 2, 29, 3, 4, 5, 678901, tzinfo=KATHMANDU)
        event = save(session, at=given)
        assert event.at == given
        assert event.at.tzinfo is UTC
        assert event.at.isoformat() == "2024-02-28T21:19:05.678901+00:00"
        assert session.scalars(select(Event.id).where(Event.at == given)).all() == [event.id]
        assert session.scalar(select(literal(given, UTCDateTime))) == given


def test_times_are_compared_as_times(session: Session) -> None:
    with session:
        for hour in (1, 2, 3):
            save(session, name=str(hour), at=datetime.datetime(2024, 1, 1, hour, tzinfo=UTC))
        border = datetime.datetime(2024, 1, 1, 7, 44, tzinfo=KATHMANDU)  # 01:59 UTC
        later = select(Event.name).where(Event.at > border).order_by(Event.at)
        assert session.scalars(later).all() == ["2", "3"]


def test_a_naive_time_is_refused(session: Session) -> None:
    with session, pytest.raises(StatementError, match="says no time zone"):
        save(session, at=datetime.datetime(2024, 1, 1))


def test_both_times_are_set_at_insert_and_equal(session: Session) -> None:
    with session:
        before = datetime.datetime.now(UTC)
        event = save(session)
        assert before <= event.created_at <= datetime.datetime.now(UTC)
        assert event.updated_at == event.created_at
        session.execute(Event.__table__.insert(), [{"tenant_id": uuid.uuid4()}, {"tenant_id": uuid.uuid4()}])
        assert all(row.created_at == row.updated_at for row in session.scalars(select(Event)))


def test_only_the_second_time_follows_an_update(session: Session) -> None:
    with session:
        event = save(session)
        first = event.created_at
        event.name = "y"
        session.commit()
        assert event.created_at == first
        assert event.updated_at > first
        second = event.updated_at
        session.execute(update(Event).values(name="z"))
        session.commit()
        assert event.updated_at > second


def test_a_given_creation_time_is_taken_for_both(session: Session) -> None:
    with session:
        given = datetime.datetime(2001, 1, 1, tzinfo=UTC)
        event = save(session, created_at=given)
        assert event.updated_at == given


def test_a_document_is_jsonb_on_postgresql_and_json_on_sqlite() -> None:
    table = Event.__table__
    assert "document JSONB" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert "document JSON" in str(CreateTable(table).compile(dialect=sqlite.dialect()))
    assert "JSONB" not in str(CreateTable(table).compile(dialect=sqlite.dialect()))


@pytest.mark.parametrize("value", [None, {}, [], {"a": [1, {"b": None}]}, [1, "zwei", 3.5, True, None, {"x": []}]])
def test_a_document_comes_back_as_it_was(session: Session, value: Any) -> None:
    with session:
        event = save(session, document=value)
        assert event.document == value
        nulls = session.scalar(select(Event.id).where(Event.document.is_(None)))
        assert (nulls == event.id) is (value is None)


CHANGES: list[Callable[[Any], Any]] = [
    lambda document: document.update(k=2),
    lambda document: document.__setitem__("k", [1]),
    lambda document: document.__delitem__("k"),
    lambda document: document.pop("k"),
    lambda document: document["d"].popitem(),
    lambda document: document.clear(),
    lambda document: document.setdefault("new", {}).update(x=1),
    lambda document: document.__ior__({"k": 3}),
    lambda document: document["d"].update(k=2),
    lambda document: document["d"]["deep"].__setitem__("x", 1),
    lambda document: document["l"].append({"x": 1}),
    lambda document: document["l"].extend([1, 2]),
    lambda document: document["l"].insert(0, 1),
    lambda document: document["l"].pop(),
    lambda document: document["l"].remove(3),
    lambda document: document["l"].sort(),
    lambda document: document["l"].reverse(),
    lambda document: document["l"].clear(),
    lambda document: document["l"].__setitem__(0, "x"),
    lambda document: document["l"].__setitem__(slice(0, 2), ["x", {}]),
    lambda document: document["l"].__delitem__(0),
    lambda document: document["l"].__iadd__([7]),
    lambda document: document["l"].__imul__(2),
    lambda document: document["m"][0]["x"].append(1),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_change_in_place_is_noticed_at_every_depth(number: int, session: Session) -> None:
    start = {"d": {"deep": {}}, "l": [3, 1, 2], "m": [{"x": []}], "k": 1}
    expected = copy.deepcopy(start)
    CHANGES[number](expected)
    with session:
        event = save(session, document=start)
        assert not session.is_modified(event)
        CHANGES[number](event.document)
        assert session.is_modified(event)
        session.commit()
        assert event.document == expected
        assert event.document != start


def test_what_is_put_into_a_document_is_followed_too(session: Session) -> None:
    with session:
        event = save(session, document={})
        event.document["list"] = []
        session.commit()
        event.document["list"].append({"a": 1})
        session.commit()
        event.document["list"][0]["a"] = 2
        session.commit()
        assert event.document == {"list": [{"a": 2}]}


def test_a_document_survives_pickling_copying_and_merging(session: Session) -> None:
    with session:
        event = save(session, document={"a": {"b": [1]}})
        session.refresh(event)
        thawed = pickle.loads(pickle.dumps(event))
        thawed.document["a"]["b"].append(2)
        assert inspect(thawed).modified
        merged = session.merge(thawed)
        session.commit()
        assert merged.document == {"a": {"b": [1, 2]}}
        copied = copy.deepcopy(merged.document)
        copied["a"]["b"].append(3)
        assert not session.is_modified(merged)
        assert type(plain(merged.document)["a"]["b"]) is list


def test_a_scalar_is_no_document() -> None:
    with pytest.raises(ValueError, match="document takes a dict or a list, not a str"):
        Event(document="text")


def test_parts_of_a_document_are_dicts_and_lists() -> None:
    event = Event(document={"a": [1]})
    assert isinstance(event.document, TrackedDict)
    assert isinstance(event.document["a"], TrackedList)
    assert isinstance(event.document["a"], list)
    assert repr(event.document) == "{'a': [1]}"


def test_postgresql_reads_inside_a_document(session: Session) -> None:
    with session:
        save(session, document={"kind": "big", "size": 3})
        found = select(Event.id).where(Event.document["kind"].as_string() == "big")
        assert len(session.scalars(found).all()) == 1
        assert session.scalar(text("SELECT count(*) FROM events WHERE document IS NOT NULL")) == 1
