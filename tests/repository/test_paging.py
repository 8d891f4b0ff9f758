"""Orders and pages: the same order on both databases, cursors that hold nothing of the tenant and are read strictly."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import random
from typing import Any

import pytest
from sqlalchemy import func

from tenantry.errors import InvalidPage, UnknownField

from .doors import Door
from .models import Ticket, Vehicle

TAMPERINGS = 150


def numbers(rows: Any) -> list[int]:
    return [row.number for row in rows]


def walk(door: Door, order: Any, *, limit: int) -> list[int]:
    """Returns every row, read slice by slice."""
    found: list[int] = []
    after = None
    while True:
        part = door.tickets.keyset(order_by=order, after=after, limit=limit)
        assert len(part) <= limit
        found += numbers(part)
        after = part.next
        if after is None:
            return found


# --- orders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("priority", [3, 4, 6, 1, 2, 5, 7]),
        ("-priority", [7, 5, 2, 1, 6, 4, 3]),
        (("status", "-number"), [4, 3, 7, 2, 1, 6, 5]),
        (("-status", "priority"), [6, 5, 1, 2, 7, 3, 4]),
        (Ticket.number.desc(), [7, 6, 5, 4, 3, 2, 1]),
        (func.abs(Ticket.number - 4), [4, 3, 5, 2, 6, 1, 7]),
        ((func.abs(Ticket.number - 4), "-number"), [4, 5, 3, 6, 2, 7, 1]),
        ((), [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_an_order_is_the_same_everywhere(door: Door, order: Any, expected: list[int]) -> None:
    assert numbers(door.tickets.list(order_by=order)) == expected


NO_ORDERS = [
    "",
    "-",
    "--number",
    "+number",
    "number desc",
    "number; DROP TABLE tickets; --",
    "(SELECT 1)",
    "1",
    "company",
    "company.name",
    "meta",
    "tenant_id",
    "org_id",
    "api_token",
    "-api_token",
]


def test_an_order_by_no_field_is_refused(door: Door) -> None:
    for name in NO_ORDERS:
        with pytest.raises(UnknownField, match="that can be sorted by"):
            door.tickets.list(order_by=name)
    assert door.tickets.count() == 7


# --- numbered pages ------------------------------------------------------------------------------------------------


def test_pages_cover_the_list_once(door: Door) -> None:
    pages = [door.tickets.page(number, 3, order_by="status") for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(number for page in pages for number in numbers(page)) == [1, 2, 3, 4, 5, 6, 7]
    assert {(page.total, page.pages) for page in pages} == {(7, 3)}
    assert pages[0][0] is pages[0].items[0]
    assert numbers(pages[0][1:]) == numbers(pages[0])[1:]


def test_a_page_of_nothing_has_no_pages(door: Door) -> None:
    page = door.tickets.page(1, 10, status="lost")
    assert (list(page), page.total, page.pages) == ([], 0, 0)


def test_a_field_whose_name_is_taken_is_filtered_by_a_query(door: Door) -> None:
    assert numbers(door.tickets.query().filter_by(number=7).page(number=1)) == [7]


NO_PAGES: list[Any] = [(0, 10), (-1, 10), (1, 0), (1, 1001), (1, -5), ("1", 10), (1, "10"), (True, 10), (1 << 62, 10)]


def test_a_page_that_cannot_be_is_refused(door: Door) -> None:
    for number, size in NO_PAGES:
        with pytest.raises(InvalidPage):
            door.tickets.page(number, size)
    assert door.tickets.count() == 7


def test_bounds_are_whole_numbers(door: Door) -> None:
    for bad in (-1, "1; DROP TABLE tickets", 1.0, True, 1 << 63):
        with pytest.raises(InvalidPage):
            door.tickets.list(limit=bad)
        with pytest.raises(InvalidPage):
            door.tickets.query().offset(bad)
        with pytest.raises(InvalidPage):
            door.tickets.keyset(limit=bad)
    for bad in (0, -1, "2", True):
        with pytest.raises(InvalidPage):
            door.tickets.stream(batch=bad)
    assert door.tickets.count() == 7


def test_a_query_with_bounds_of_its_own_is_not_paged(door: Door) -> None:
    for query in (door.tickets.query().limit(3), door.tickets.query().offset(3)):
        with pytest.raises(InvalidPage, match="limit or an offset of its own"):
            query.page()
        with pytest.raises(InvalidPage, match="limit or an offset of its own"):
            query.keyset()


# --- cursors -------------------------------------------------------------------------------------------------------

ORDERS = [
    (),
    "number",
    "-number",
    "priority",
    "-priority",
    ("status", "-priority"),
    ("-status", "priority", "-number"),
    ("due", "-cost"),
    ("-due", "cost"),
    ("-created_at",),
    (Ticket.status.desc(), Ticket.number),
]


def test_slices_cover_the_list_once_and_in_order(door: Door) -> None:
    start = datetime.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=datetime.UTC)
    for ticket in door.tickets.list(number__lte=4):
        step = ticket.number % 2
        door.tickets.update(ticket, due=start + datetime.timedelta(microseconds=step), cost=decimal.Decimal(step) / 4)
    for order in ORDERS:
        expected = numbers(door.tickets.list(order_by=order))
        for limit in (1, 3, 7):
            assert walk(door, order, limit=limit) == expected


def test_slices_stay_in_step_while_rows_come_and_go(door: Door) -> None:
    first = door.tickets.keyset(order_by="number", limit=3)
    door.tickets.create(number=0, subject="earlier")
    door.tickets.delete(first[2])
    assert numbers(door.tickets.keyset(order_by="number", limit=3, after=first.next)) == [4, 5, 6]


def test_a_cursor_says_nothing_of_the_tenant(door: Door) -> None:
    for order in ORDERS:
        cursor = door.tickets.keyset(order_by=order, limit=2).next
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        own = door.session.tenant.id
        assert not {own.hex, str(own)} & {str(part) for part in parts}


def test_a_cursor_of_the_neighbour_is_a_place_in_the_own_list(door: Door) -> None:
    with door.neighbour() as neighbour:
        cursor = neighbour.tickets.keyset(order_by="number", limit=2).next
    following = door.tickets.keyset(order_by="number", after=cursor)
    assert numbers(following) == [3, 4, 5, 6, 7]
    assert {row.tenant_id for row in following} == {door.session.tenant.id}


def test_a_cursor_belongs_to_its_model_and_ordering(door: Door) -> None:
    cursor = door.tickets.keyset(order_by="number", limit=2).next
    for order in ("-number", "status", (), ("number", "status")):
        with pytest.raises(InvalidPage, match="another list or another ordering"):
            door.tickets.keyset(order_by=order, after=cursor)
    with pytest.raises(InvalidPage, match="another list or another ordering"):
        door.meters.keyset(after=door.tickets.keyset(limit=2).next)


def test_only_plain_fields_make_cursors(door: Door) -> None:
    with pytest.raises(InvalidPage, match="plain fields"):
        door.tickets.keyset(order_by=func.lower(Ticket.subject), limit=2)
    with pytest.raises(InvalidPage, match="plain fields"):
        door.tickets.keyset(order_by=Ticket.tenant_id, limit=2)


def packed(*parts: Any) -> str:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_cursor_nobody_handed_out_is_refused(door: Door) -> None:
    order = ("number", "-due", "-cost", "subject")
    good = door.tickets.keyset(order_by=order, limit=2).next
    mark, *values = json.loads(base64.urlsafe_b64decode(good + "=="))
    bad = ["", "a", good + "=", good + "A", good[:-1], " " + good, good + "\n", "é", "[" * 50_000, packed(), packed(1)]
    bad += [packed([[mark]]), packed(mark), packed(mark, *values, 1), packed("0" * 8, *values)]
    bad += [base64.urlsafe_b64encode(b"[" * 50_000).decode(), base64.urlsafe_b64encode(b"\xff\xfe").decode()]
    for place, junk in [
        (0, "1"),
        (0, None),
        (0, True),
        (0, 1 << 31),
        (0, 10**400),
        (0, 1.0),
        (1, "yesterday"),
        (1, "2026-01-01T00:00:00"),
        (1, 5),
        (2, "NaN"),
        (2, "1E+999999"),
        (2, "Infinity"),
        (2, 0.5),
        (3, "a\x00"),
        (3, None),
        (3, ["a"]),
        (3, {"a": 1}),
        (4, "not-a-uuid"),
        (4, None),
        (4, "{" + values[4] + "}"),
    ]:
        bad.append(packed(mark, *values[:place], junk, *values[place + 1 :]))
    for cursor in bad:
        with pytest.raises(InvalidPage):
            door.tickets.keyset(order_by=order, after=cursor)
    for nothing in (7, b"", object()):
        with pytest.raises(InvalidPage):
            door.tickets.keyset(order_by=order, after=nothing)
    assert numbers(door.tickets.keyset(order_by=order, after=good)) == [3, 4, 5, 6, 7]


def test_a_cursor_changed_at_random_is_refused_or_a_place_in_the_own_list(door: Door) -> None:
    chance = random.Random(20260301)
    order = ("-priority", "subject")
    good = door.tickets.keyset(order_by=order, limit=3).next
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    refused = 0
    for _ in range(TAMPERINGS):
        place = chance.randrange(len(good))
        cursor = good[:place] + chance.choice(alphabet) + good[place + chance.randrange(2) :]
        try:
            found = door.tickets.keyset(order_by=order, after=cursor)
        except InvalidPage:
            refused += 1
        else:
            assert {row.tenant_id for row in found} <= {door.session.tenant.id}
    assert refused > TAMPERINGS / 2
    assert door.tickets.count() == 7


def test_children_of_another_table_are_paged_by_their_own_fields(door: Door) -> None:
    door.vehicles.bulk_create([{"name": f"v{wheels}", "wheels": wheels} for wheels in (2, 4, 6)])
    first = door.vehicles.keyset(order_by="-wheels", limit=2)
    rest = door.vehicles.keyset(order_by=Vehicle.wheels.desc(), limit=2, after=first.next)
    assert [row.wheels for row in (*first, *rest)] == [6, 4, 2]


def test_numbered_rows_are_paged(door: Door) -> None:
    door.meters.bulk_create([{"name": name} for name in "abcde"])
    first = door.meters.keyset(limit=3)
    assert [row.name for row in (*first, *door.meters.keyset(limit=3, after=first.next))] == list("abcde")
