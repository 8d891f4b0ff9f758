"""Filters by name: what they mean on both databases, and what they refuse before any statement is sent."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
from sqlalchemy.exc import ArgumentError

from tenantry.errors import InvalidFilter, RecordNotFound, UnknownField

from .doors import Door
from .models import Company, Ticket


def numbers(rows: list[Ticket]) -> list[int]:
    return [row.number for row in rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "closed"}, [3, 4]),
        ({"status": ["closed", "pending"]}, [3, 4, 5, 6]),
        ({"status": ("closed",), "number": {3, 5}}, [3]),
        ({"priority": None}, [2, 5, 7]),
        ({"priority": [None, 3]}, [1, 2, 5, 7]),
        ({"priority": []}, []),
        ({"priority__ne": 1}, [1, 2, 5, 6, 7]),
        ({"priority__ne": None}, [1, 3, 4, 6]),
        ({"priority__ne": [1, 2]}, [1, 2, 5, 7]),
        ({"priority__ne": [1, None]}, [1, 6]),
        ({"priority__ne": []}, [1, 2, 3, 4, 5, 6, 7]),
        ({"priority__gt": 1, "priority__lt": 3}, [6]),
        ({"number__gte": 3, "number__lte": 4}, [3, 4]),
        ({"subject__contains": "INVOICE"}, [3, 4]),
        ({"subject__startswith": "LOGIN"}, [2]),
        ({"cost__lt": decimal.Decimal("1.50")}, []),
        ({"due__gte": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)}, []),
        ({"api_token": "guess"}, []),
    ],
    ids=str,
)
def test_a_filter_means_the_same_everywhere(door: Door, filters: dict[str, Any], expected: list[int]) -> None:
    assert numbers(door.tickets.list(order_by="number", **filters)) == expected
    assert door.tickets.count(**filters) == len(expected)
    assert door.tickets.exists(**filters) is bool(expected)


SEARCHES = {
    "%": [3],
    "_": [5],
    "e_c": [5],
    "0% W": [3],
    "\\": [7],
    "/": [],
    "' OR '1'='1": [],
    "'; DROP TABLE tickets; --": [],
    "  ": [1, 2, 3, 4, 5, 6, 7],
    "Ca": [1, 5, 6],
}


def test_search_takes_text_as_it_stands(door: Door) -> None:
    query = door.tickets.query().order_by("number")
    assert {text: numbers(query.search(text, ["subject"]).all()) for text in SEARCHES} == SEARCHES
    assert {text: numbers(query.search(text, [Ticket.subject, "queue"]).all()) for text in SEARCHES} == SEARCHES


def test_search_in_no_field_finds_nothing(door: Door) -> None:
    assert door.tickets.query().search("login", []).all() == []


def test_a_filter_takes_sql_expressions_as_values(door: Door) -> None:
    assert numbers(door.tickets.list(number=Ticket.priority + 2)) == [3]


def test_text_that_spells_a_uuid_is_one(door: Door) -> None:
    company = door.session.tenant.id
    assert door.tickets.count(company_id=str(company)) == door.tickets.count(company_id=company) == 7
    assert door.tickets.count(company_id=[company.hex]) == 7


def test_a_filter_for_another_tenant_finds_nothing(door: Door) -> None:
    with door.neighbour() as neighbour:
        other = neighbour.session.tenant.id
        assert neighbour.tickets.count(tenant_id=other) == 7
    assert door.tickets.list(tenant_id=other) == []
    assert door.tickets.list(org_id=[other]) == []
    assert door.tickets.list(Ticket.tenant_id == other) == []
    assert door.tickets.count(tenant_id__ne=door.session.tenant.id) == 0
    assert door.tickets.count(org_id=door.session.tenant.id) == 7
    assert door.companies.list(id=other) == []


NO_FIELDS = [
    "nope",
    "company",
    "meta",
    "metadata",
    "__class__",
    "to_dict",
    "",
    "__ne",
    "number__",
    "number__like",
    "company__ne",
    "company__name",
    "api_token__startswith",
    "api_token__gt",
    "number__contains",
    "subject; DROP TABLE tickets; --",
]


def test_a_name_that_is_no_field_is_refused(door: Door) -> None:
    for name in NO_FIELDS:
        with pytest.raises(UnknownField, match=r"Ticket has no field '.*Known fields: .*subject"):
            door.tickets.list(**{name: 1})
    assert door.tickets.count() == 7


def test_only_text_fields_are_searched(door: Door) -> None:
    for name in ("number", "company_id", "meta", "company", "api_token", "nope"):
        with pytest.raises(UnknownField, match=f"no field '{name}' that can be searched"):
            door.tickets.query().search("a", [name])


MISFITS = [
    {"number": "1 OR 1=1"},
    {"number": True},
    {"number": 1 << 31},
    {"number__gt": -(1 << 70)},
    {"number": 1.5},
    {"number": [1, "2"]},
    {"company_id": "' OR '1'='1"},
    {"company_id": 7},
    {"subject": "a\x00b"},
    {"subject": "\ud800"},
    {"subject": 5},
    {"subject": {"$ne": ""}},
    {"subject__contains": None},
    {"subject__startswith": ["a"]},
    {"subject__contains": "\x00"},
    {"priority__gte": None},
    {"priority__lt": [1]},
    {"due": datetime.datetime(2026, 1, 1)},
    {"due__lt": datetime.date(2026, 1, 1)},
    {"due": "2026-01-01"},
    {"cost": "1"},
    {"tenant_id": "all"},
]


def test_a_value_that_no_row_can_hold_is_refused_before_any_statement(door: Door) -> None:
    for filters in MISFITS:
        with pytest.raises(InvalidFilter, match="cannot be compared with that value"):
            door.tickets.list(**filters)
    # A statement that fails would have ended the transaction on PostgreSQL.
    assert door.tickets.count() == 7


NO_KEYS: list[Any] = ["x", "", "' OR '1'='1", 1 << 70, True, b"", None, (), (1, "a"), ("a", 2), (1, 2, 3), {}, 1.0]


def test_a_key_that_no_row_can_have_is_like_a_missing_row(door: Door) -> None:
    for key in NO_KEYS:
        assert door.tickets.get(key) is None
        assert door.meters.get(key) is None
        with pytest.raises(RecordNotFound):
            door.tickets.get_one(key)
    assert door.tickets.count() == 7


def test_a_whole_primary_key_finds_own_rows_alone(door: Door) -> None:
    own = door.tickets.find(number=1)
    assert door.tickets.get((door.session.tenant.id, own.id)) is own
    with door.neighbour() as neighbour:
        other = neighbour.session.tenant.id
    assert door.tickets.get((other, door.ground.far_ticket(door.place))) is None
    assert door.tickets.get((other, own.id)) is None
    assert door.companies.get(other) is None
    assert isinstance(door.companies.get(door.session.tenant.id), Company)


def test_conditions_are_sql_and_never_text(door: Door) -> None:
    with pytest.raises(ArgumentError):
        door.tickets.list("1=1")
    assert door.tickets.get(uuid.UUID(int=0)) is None
