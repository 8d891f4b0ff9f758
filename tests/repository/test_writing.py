"""Writes: never committed, never across tenants, and the same result on both databases."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from cells import Place
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import (
    CrossTenant,
    RecordNotFound,
    SeveralFound,
    TenantImmutable,
    UnknownField,
    UpsertRefused,
)

from .doors import Door, Ground
from .models import Ticket, Tickets

KEY = ["queue", "number"]


def test_nothing_is_committed(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        door.tickets.create(number=50, subject="gone")
        door.tickets.bulk_create([{"number": 51, "subject": "gone"}])
        door.tickets.upsert({"queue": "desk", "number": 52, "subject": "gone"}, key=KEY)
        door.tickets.update(door.tickets.find(number=1), subject="gone")
        door.tickets.delete(door.tickets.find(number=2))
        assert door.tickets.count(subject="gone") == 4
    with ground.session(place) as door:
        assert [row.number for row in door.tickets.list()] == [1, 2, 3, 4, 5, 6, 7]
        assert not door.tickets.exists(subject="gone")


def test_a_row_of_another_tenant_is_like_a_missing_one(door: Door) -> None:
    far, missing = door.ground.far_ticket(door.place), uuid.uuid4()
    told = set()
    for key in (far, missing):
        for work in (door.tickets.get_one, door.tickets.delete, lambda key: door.tickets.update(key, status="mine")):
            with pytest.raises(RecordNotFound) as refused:
                work(key)
            told.add(str(refused.value))
    assert told == {
        "This tenant has no such Ticket. Check the key or the filters, or create the Ticket first.",
    }
    with door.neighbour() as neighbour:
        assert neighbour.tickets.count(status="mine") == 0
        assert neighbour.tickets.count() == 7


def test_an_object_of_another_tenant_is_like_a_missing_one(door: Door) -> None:
    with door.neighbour() as neighbour:
        foreign = neighbour.tickets.find(number=1)
        for work in (door.tickets.delete, lambda row: door.tickets.update(row, status="mine")):
            with pytest.raises(RecordNotFound):
                work(foreign)
        assert foreign.status == "open"
    with pytest.raises(CrossTenant):
        door.tickets.create(foreign)
    with pytest.raises(CrossTenant):
        door.tickets.bulk_create([foreign])
    assert door.tickets.count() == 7


def test_no_row_is_made_for_another_tenant(door: Door) -> None:
    with door.neighbour() as neighbour:
        other = neighbour.session.tenant.id
    values = {"queue": "desk", "number": 60, "subject": "theirs", "tenant_id": other}
    for work in (
        lambda: door.tickets.create(values),
        lambda: door.tickets.bulk_create([values]),
        lambda: door.tickets.upsert(values, key=KEY),
        lambda: door.tickets.upsert({**values, "tenant_id": str(other)}, key=KEY),
        lambda: door.tickets.upsert({"org_id": other, "number": 60, "queue": "desk", "subject": "theirs"}, key=KEY),
    ):
        with pytest.raises(CrossTenant):
            work()
    with pytest.raises(TenantImmutable):
        door.tickets.update(door.tickets.find(number=1), tenant_id=other)


def test_an_id_or_key_that_another_tenant_has_is_free(door: Door) -> None:
    far = door.ground.far_ticket(door.place)
    made = door.tickets.upsert({"id": far, "number": 61, "subject": "mine"}, key=["id"])
    assert (made.id, made.tenant_id, made.subject) == (far, door.session.tenant.id, "mine")
    with door.neighbour() as neighbour:
        assert neighbour.tickets.get_one(far).subject == "Cannot log in"


def test_an_object_of_elsewhere_stands_for_its_key(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        detached = door.tickets.find(number=1)
        detached.subject = "stale"
    with ground.session(place) as door:
        row = door.tickets.update(detached, status="closed")
        assert row is not detached
        assert (row.subject, row.status) == ("Cannot log in", "closed")
        door.tickets.delete(detached)
        assert not door.tickets.exists(number=1)
        for work in (door.tickets.update, door.tickets.delete):
            with pytest.raises(RecordNotFound):
                work(Ticket(number=1, subject="never saved"))


def test_unknown_names_change_nothing(door: Door) -> None:
    ticket = door.tickets.find(number=1)
    for work in (
        lambda: door.tickets.create(number=70, subject="x", nope=1),
        lambda: door.tickets.create({"number": 70, "subject": "x", "__dict__": {}}),
        lambda: door.tickets.create(Ticket(number=70, subject="x"), nope=1),
        lambda: door.tickets.bulk_create([{"number": 70, "subject": "x"}, {"nope": 1}]),
        lambda: door.tickets.update(ticket, subject="changed", nope=1),
        lambda: door.tickets.upsert({**dict.fromkeys(KEY, 1), "nope": 1}, key=KEY),
        lambda: door.tickets.upsert({"company": None, "number": 1, "queue": "desk"}, key=KEY),
        lambda: door.tickets.upsert({"number": 1, "subject": "desk"}, key=["nope"]),
    ):
        with pytest.raises(UnknownField):
            work()
    assert ticket.subject == "Cannot log in"
    assert door.tickets.count() == 7


def test_create_takes_an_object_a_mapping_or_values_and_nothing_else(door: Door) -> None:
    made = door.tickets.create(Ticket(number=71, subject="a"), subject="b")
    assert made.subject == "b"
    with pytest.raises(TypeError):
        door.tickets.create("number=72")


def test_relationships_are_set_by_name(door: Door) -> None:
    company = door.companies.get(door.session.tenant.id)
    made = door.tickets.create(number=73, subject="a", company=company)
    assert made.company_id == company.id
    door.tickets.update(made, company=None)
    assert (made.company_id, made.tenant_id) == (None, company.id)


def test_a_collection_loaded_by_a_join_does_not_repeat_its_owner(door: Door) -> None:
    (company,) = door.companies.list()
    assert len(company.tickets) == 7
    assert door.companies.page(1, 5).total == door.companies.count() == 1
    assert door.companies.one() is company


def test_one_means_one(door: Door) -> None:
    with pytest.raises(SeveralFound):
        door.tickets.one(status="open")
    with pytest.raises(RecordNotFound):
        door.tickets.one(status="lost")


def test_a_broken_rule_of_the_database_is_the_databases_error(door: Door) -> None:
    with pytest.raises(IntegrityError):
        door.tickets.create(number=1, subject="the number is taken")


def test_reference_rows_are_read(door: Door) -> None:
    assert [row.code for row in door.countries.list(order_by="name")] == ["de", "it"]
    assert door.countries.get("it").name == "Italy"
    assert door.countries.find(name__startswith="GER").code == "de"
    assert [row.code for row in door.countries.keyset(limit=1)] == ["de"]


def test_a_method_of_the_applications_own_uses_the_query(door: Door) -> None:
    assert [row.number for row in door.tickets.urgent()] == [1]


# --- upserts -------------------------------------------------------------------------------------------------------


def test_an_upsert_changes_what_it_names_and_keeps_the_rest(door: Door) -> None:
    before = door.tickets.find(number=1)
    created, updated, own = before.created_at, before.updated_at, before.id
    values = {"id": uuid.uuid4(), "queue": "desk", "number": 1, "subject": "again", "meta": {"a": [1]}}
    row = door.tickets.upsert(values, key=KEY)
    assert row is before
    assert (row.id, row.subject, row.status, row.priority, row.meta) == (own, "again", "open", 3, {"a": [1]})
    assert row.created_at == created
    assert row.updated_at != updated
    assert door.tickets.count() == 7


def test_an_upsert_without_changes_gives_the_row_back(door: Door) -> None:
    door.meters.create(name="north")
    row = door.meters.upsert({"name": "north"}, key=["name"])
    assert (row.name, row.tenant_id) == ("north", door.session.tenant.id)
    assert door.meters.count() == 1


def test_an_upsert_takes_an_id_as_text(door: Door) -> None:
    own = door.tickets.find(number=3)
    assert door.tickets.upsert({"id": str(own.id), "number": 3, "subject": "same"}, key=["id"]) is own


def test_an_upsert_sees_what_was_not_flushed_and_what_changed_behind_the_session(door: Door) -> None:
    row = door.tickets.find(number=1)

    def change(session: Session) -> None:
        session.autoflush = False
        session.execute(text("UPDATE tickets SET status = 'behind' WHERE number = 1"))
        row.queue = "moved"

    door.run(change)
    values = {"queue": "moved", "number": 1, "subject": "again"}
    assert door.tickets.upsert(values, key=KEY) is row
    assert (row.subject, row.status, row.queue) == ("again", "behind", "moved")


def test_an_upsert_of_numbered_and_inherited_rows(door: Door) -> None:
    meter = door.meters.upsert({"name": "north"}, key=["name"])
    assert door.meters.upsert({"name": "north"}, key=["name"]).id == meter.id
    assert door.meters.upsert({"id": meter.id, "name": "south"}, key=["id"]) is meter
    assert meter.name == "south"
    vehicle = door.vehicles.upsert({"name": "van", "wheels": 4}, key=["name"])
    assert door.vehicles.upsert({"name": "van", "wheels": 6}, key=["name"]) is vehicle
    assert (vehicle.wheels, vehicle.kind) == (6, "vehicle")
    assert door.assets.upsert({"name": "chair"}, key=["name"]).kind == "asset"
    assert (door.assets.count(), door.vehicles.count()) == (2, 1)


NO_UPSERTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"subject": "a", "number": 1}, ["subject"]),
    ({"queue": "desk", "number": 1, "subject": "a"}, ["number"]),
    ({"queue": "desk", "number": 1, "subject": "a"}, []),
    ({"number": 1, "subject": "a"}, KEY),
    ({"queue": None, "number": 1, "subject": "a"}, KEY),
    ({"number": 1, "subject": "a"}, ["id"]),
    ({"queue": "desk", "number": 1}, KEY),
]


def test_an_upsert_by_no_unique_key_or_of_half_a_row_is_refused(door: Door) -> None:
    for values, key in NO_UPSERTS:
        with pytest.raises(UpsertRefused, match="Keys that tell its rows apart: id; number, queue"):
            door.tickets.upsert(values, key=key)
    assert door.tickets.count() == 7


@pytest.mark.parametrize("place", [Place("postgresql-rows", "sync"), Place("sqlite-rows", "sync")], ids=str)
def test_upserts_at_once_make_one_row(ground: Ground, place: Place) -> None:
    tenancy, slug = ground.tenancy(place), f"near-{place.cell}"
    start, made = threading.Barrier(4), []

    def work(number: int) -> None:
        start.wait()
        with tenancy.transaction(slug) as session:
            row = Tickets(session).upsert({"queue": "race", "number": 1, "subject": f"by {number}"}, key=KEY)
            made.append(row.id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.transaction(slug) as session:
        found = Tickets(session).list(queue="race")
        for row in found:
            Tickets(session).delete(row)
    assert [row.id for row in found] == list(dict.fromkeys(made))
    assert len(made) == 4
