"""Kept values come back equal, of the same types, and as copies; everything else is refused."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections import OrderedDict, namedtuple
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.cache.stores import Entry, names_person
from tenantry.cache.values import decode, encode
from tenantry.errors import CacheRefused
from tenantry.types import Isolation, Tenant, TenantStatus

ZONE = datetime.timezone(datetime.timedelta(hours=2))
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary(max_size=20)
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.datetimes(timezones=st.just(ZONE))
    | st.dates()
    | st.times()
    | st.timedeltas()
)
KEYS = st.text(max_size=5) | st.integers() | st.just("$") | st.uuids() | st.tuples(st.integers(), st.text(max_size=2))
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(st.integers() | st.text(max_size=3), max_size=4)
        | st.frozensets(st.uuids(), max_size=4)
    ),
    max_leaves=20,
)


def shape(value: Any) -> Any:
    """Returns the types of a value and of all that is in it."""
    if isinstance(value, dict):
        return dict, tuple((shape(key), shape(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(shape(item) for item in value)
    return type(value)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_what_is_kept_comes_back(value: Any) -> None:
    back = decode(encode(value, what="it"))
    assert back == value
    assert repr(shape(back)) == repr(shape(value))


class Colour(enum.StrEnum):
    RED = "red"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Colour.RED,
        Point(1, 2),
        OrderedDict(),
        {"a": [object()]},
        {Colour.RED: 1},
        len,
        range(3),
        bytearray(),
        datetime.time(9, tzinfo=ZoneInfo("Europe/Berlin")),
    ],
    ids=[
        "object",
        "enum",
        "namedtuple",
        "OrderedDict",
        "object inside",
        "enum as key",
        "function",
        "range",
        "bytearray",
        "time of a zone",
    ],
)
def test_what_would_come_back_as_something_else_is_refused(value: Any) -> None:
    with pytest.raises(CacheRefused, match="'by priority'"):
        encode(value, what="by priority")


def test_a_list_in_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CacheRefused, match="nesting"):
        encode(endless, what="it")


def tenant(**changes: Any) -> Tenant:
    fields = {
        "id": uuid.UUID(int=1),
        "slug": "acme",
        "name": "Acme",
        "status": TenantStatus.ACTIVE,
        "isolation": Isolation.ROWS,
        "server": "main",
        "physical": "t_1",
        "epoch": 1,
    }
    return Tenant(**{**fields, **changes})


def test_tenants_places_epochs_and_questions_have_entries_of_their_own() -> None:
    def entry(name: str = "open", by: Any = None, **changes: Any) -> Entry:
        return Entry.of(tenant(**changes), name, by=by, tags=["any"])

    others = [
        entry(id=uuid.UUID(int=2)),
        entry(isolation=Isolation.SCHEMA),
        entry(server="eu"),
        entry(epoch=2),
        entry("closed"),
        entry(by=1),
        entry(by=True),
        entry(by="1"),
        entry(by=decimal.Decimal(1)),
    ]
    places = {(found.tenant, found.place) for found in [entry(), *others]}
    assert len(places) == len(others) + 1
    assert (entry().tenant, entry().place) == (entry(slug="renamed").tenant, entry(slug="renamed").place)


@pytest.mark.parametrize(
    ("value", "names", "named"),
    [
        ("mail to ann@example.com!", {"ann@example.com"}, True),
        ("MAIL TO ANN@EXAMPLE.COM", {"Ann@example.com"}, True),
        ("joann@example.com", {"ann@example.com"}, False),
        ({"ann@example.com": 1}, {"ann@example.com"}, True),
        ([{"deep": (uuid.UUID(int=7),)}], {str(uuid.UUID(int=7))}, True),
        ("ticket 12 of 1200", {"12"}, False),
        ([12], {"12"}, True),
        (b"ann@example.com", {"ann@example.com"}, True),
        (None, {"None"}, False),
        ("nobody", None, True),
    ],
    ids=repr,
)
def test_whom_a_value_names(value: Any, names: set[str] | None, named: bool) -> None:
    assert names_person(encode(value, what="it"), names) is named
