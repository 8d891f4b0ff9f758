"""A person erased: what names the person, what hangs on that and what the library keeps of it; nobody else's rows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy, Tenant
from tenantry.archive import sources
from tenantry.archive.core import Archive
from tenantry.archive.erasing import Erasing
from tenantry.archive.erasures import replay
from tenantry.archive.keys import KeyRing
from tenantry.archive.persons import Person
from tenantry.archive.stores import DirectoryStore
from tenantry.errors import (
    AuditNotGiven,
    ErasureKeyMissing,
    OperationInProgress,
    PersonEntangled,
    PersonsUndeclared,
    PersonUnnamed,
)
from tenantry.events import Step, listen
from tenantry.models import TenantOwned, references

from .houses import ANNA, ANNA_PHONE, BEN, PLACES, RING, House, count
from .models import Agent, Customer, Page, Ticket, Visit

# Of two people each: how many rows a table has for Anna, and how many are left.
GONE = {
    "customers": (1, 1),
    "tickets": (1, 1),
    "messages": (1, 1),
    "visits": (1, 1),
    "drafts": (1, 1),
    "outbox_events": (4, 2),
    "idempotency_keys": (2, 2),
    "usage_records": (2, 4),
    "kill_switches": (1, 1),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_person_is_gone_and_everybody_else_is_as_before(house: House, place: str) -> None:
    site, tenant, neighbour = house.site(place), house.make(place), house.make(place)
    for one in (tenant, neighbour):
        house.fill(place, one)
    old = site.archive.backup(tenant)
    before = house.digests(place, neighbour)

    certificate = site.erasing.person(tenant, [ANNA.upper(), ANNA_PHONE])

    told = {store.name: store.erased for store in certificate.stores}
    assert {name: told["rows"][name] for name in GONE} == {name: gone for name, (gone, _) in GONE.items()}
    assert {name: count(site, tenant, name) for name in GONE} == {name: left for name, (_, left) in GONE.items()}
    assert told["rows"]["audit_log"] >= 3
    assert not site.made.audit.verify(tenant)
    assert house.digests(place, neighbour) == before
    check_words(house, place, tenant)
    with site.tenancy.session(tenant) as db:
        assert [ticket.requester_email for ticket in db.scalars(select(Ticket))] == [BEN.title()]
        assert db.scalars(select(Ticket)).one().assignee_id is None
        assert site.made.switches.is_active(db, workflow="mail")
    (archived,) = site.archive.store.names(f"{tenant.id}/")
    assert archived != old.name
    assert certificate.clean


def check_words(house: House, place: str, tenant: Tenant) -> None:
    """The tenant has nothing of Anna; her neighbour of the same name does."""
    site = house.site(place)
    with site.tenancy.purging(tenant, reason="looking") as purge:
        for table in site.tenancy.metadata.sorted_tables:
            rows = str([tuple(row) for row in purge.select(table, list(table.columns))])
            assert ANNA not in rows.lower(), table.name
            assert ANNA_PHONE not in rows, table.name
    restored = site.archive.restore(tenant, into=f"again-{uuid.uuid4().hex[:8]}").tenant
    with site.tenancy.session(restored) as db:
        assert [one.email for one in db.scalars(select(Customer))] == [BEN]
    site.tenancy.tenants.erase(restored, confirm=restored.slug)


def test_a_backup_under_way_does_not_bring_the_person_back(house: House) -> None:
    """One that has begun makes the erase be refused; one that begins meanwhile is waited for, and goes."""
    site, tenant = house.site("schema"), house.make("schema")
    house.fill("schema", tenant)
    plain = Archive(site.tenancy, site.archive.store, keys=RING)
    plain.backup(tenant)
    reading, erased = threading.Event(), threading.Event()

    def heard(step: Step) -> None:
        if threading.current_thread() is backup and step.name == "store":
            reading.set()
            assert erased.wait(60)
        if step.operation == "erase" and step.name == "log" and not backup.is_alive():
            backup.start()
            assert reading.wait(60)
        if step.operation == "erase" and step.name == "wait for a backup":
            erased.set()

    backup = threading.Thread(target=plain.backup, args=(tenant,))
    forget = listen(heard)
    certificate = Erasing(plain).person(tenant, [ANNA, ANNA_PHONE])
    backup.join()
    forget()
    assert certificate.clean
    (name,) = site.archive.store.names(f"{tenant.id}/")
    assert ANNA.encode() not in b"".join(rows_of(plain, name))

    backup = threading.Thread(target=plain.backup, args=(tenant,))
    forget, reading, erased = listen(heard), threading.Event(), threading.Event()
    backup.start()
    assert reading.wait(60)
    with pytest.raises(OperationInProgress):
        Erasing(plain).person(tenant, BEN)
    erased.set()
    backup.join()
    forget()


def rows_of(archive: Archive, name: str) -> Iterator[bytes]:
    with sources.opened(archive, name) as found:
        for table in found.manifest.tables:
            yield from found.rows(table.name)


def test_a_restore_forgets_the_same_people_again(house: House) -> None:
    site, tenant = house.site("schema"), house.make("schema")
    house.fill("schema", tenant)
    old = site.archive.backup(tenant)
    key = site.archive.data_keys.current(tenant.id)
    with site.archive.store.get(old.name) as file:
        (site.directory / "found").write_bytes(file.read())
    site.erasing.person(tenant, [ANNA, ANNA_PHONE])
    # Somebody has kept both the archive and its key, which was to be destroyed.
    kept = Archive(site.tenancy, DirectoryStore(site.directory / "store"), keys=RING)
    kept.data_key = lambda _tenant, _id: key  # type: ignore[method-assign]  # the control of the control
    for options in ({"in_place": True}, {"into": f"again-{uuid.uuid4().hex[:8]}"}):
        restored = kept.restore(tenant, site.directory / "found", **options).tenant
        with site.tenancy.session(restored) as db:
            assert [one.email for one in db.scalars(select(Customer))] == [BEN]
            assert {visit.visitor for visit in db.scalars(select(Visit))} == {BEN}
        assert {name: count(site, restored, name) for name in GONE} == {name: left for name, (_, left) in GONE.items()}
        assert not site.made.audit.verify(restored)


@pytest.mark.parametrize("place", ["rows", "schema"])
def test_the_planner_forgets_too(house: House, place: str) -> None:
    site, tenant, person = house.site(place), house.make(place), f"{uuid.uuid4().hex}@example.org"
    with site.tenancy.transaction(tenant) as db:
        db.add_all(Visit(visitor=person, page="/") for _ in range(50))
        # Before PostgreSQL 18 what is known of a table that is empty by now stays.
        db.add_all(Visit(visitor=BEN, page="/") for _ in range(house.postgres.version < 180000))
    with house.postgres.admin(house.database) as connection:
        connection.execute(f"ANALYZE {tenant.physical or 'public'}.visits")
        asked = "select count(*) from pg_stats where most_common_vals::text like %s"
        before = connection.execute(asked, (f"%{person}%",)).fetchone()
        site.erasing.person(tenant, person)
        after = connection.execute(asked, (f"%{person}%",)).fetchone()
    assert (before, after) == ((1,), (0,))


def test_nobody_forgets_without_the_key_of_the_log(house: House) -> None:
    site, tenant = house.site("rows"), house.make("rows")
    house.fill("rows", tenant)
    site.erasing.person(tenant, ANNA)
    with site.tenancy.purging(tenant, reason="replaying") as purge:
        assert replay(site.tenancy, purge, RING, source=tenant.id) == {}
        with pytest.raises(ErasureKeyMissing):
            replay(site.tenancy, purge, KeyRing({"2027": b"s" * 32}, "2027"), source=tenant.id)


def test_what_mentions_a_person_is_told_of_and_taken_out_on_request(house: House) -> None:
    site, tenant = house.site("file"), house.make("file")
    house.fill("file", tenant)
    with site.tenancy.transaction(tenant) as db:
        said = {"cc": [ANNA, BEN], "deep": {"er": f"see {ANNA}, or {ANNA}.uk"}}
        db.add(Page(text=f"Ask {ANNA.upper()}!", facts=said))
        db.add(Page(text=f"not-{ANNA} and {ANNA}.uk are others", facts=None))
    assert site.erasing.foresee(tenant, ANNA).mentions == {"pages": 1}
    certificate = site.erasing.person(tenant, [ANNA, ANNA_PHONE])
    assert any("pages (1)" in note for note in certificate.notes)
    certificate = site.erasing.person(tenant, [ANNA, ANNA_PHONE], mentions=True)
    assert not any("pages" in note for note in certificate.notes)
    with site.tenancy.session(tenant) as db:
        texts = {page.text: page.facts for page in db.scalars(select(Page))}
    assert texts == {
        "nobody": None,
        "Ask [erased]!": {"cc": ["[erased]", BEN], "deep": {"er": f"see [erased], or {ANNA}.uk"}},
        f"not-{ANNA} and {ANNA}.uk are others": None,
    }


def test_both_rows_of_one_thing_go_together(house: House) -> None:
    site, tenant = house.site("common file"), house.make("common file")
    with site.tenancy.transaction(tenant) as db:
        agent = Agent(email=ANNA, signature="A.")
        db.add(agent)
        db.flush()
        db.add(Ticket(title="t", requester_email=BEN, assignee_id=agent.id))
    site.erasing.person(tenant, ANNA)
    assert [count(site, tenant, name) for name in ("customers", "agents", "tickets")] == [0, 0, 1]


def test_who_is_nobody_is_erased_too_and_leaves_the_archives_of_others(house: House) -> None:
    site, tenant = house.site("rows"), house.make("rows")
    certificate = site.erasing.person(tenant, "nobody@example.org")
    assert certificate.clean
    assert certificate.erased == 0
    with pytest.raises(PersonUnnamed):
        site.erasing.person(tenant, [])
    with pytest.raises(PersonUnnamed):
        site.erasing.person(tenant, [ANNA, " "])
    assert "anna" not in repr(Person.of(ANNA)).lower()


class Bare(DeclarativeBase):
    pass


class Thing(TenantOwned, Bare):
    __tablename__ = "things"
    email: Mapped[str]


class Tangled(DeclarativeBase):
    pass


class Contact(TenantOwned, Tangled, subject="email"):
    __tablename__ = "contacts"
    email: Mapped[str] = mapped_column(String(100))


class Invoice(TenantOwned, Tangled):
    __tablename__ = "invoices"
    contact_id: Mapped[uuid.UUID] = references("contacts.id")


def erasing_of(directory: Any, models: Any) -> Erasing:
    tenancy = Tenancy(f"sqlite:///{directory / 'data'}", models=models)
    tenancy.install(create_tables=True)
    return Erasing(Archive(tenancy, DirectoryStore(directory / "store"), keys=RING))


def test_models_that_declare_nobody_have_nobody_erased(tmp_path: Any) -> None:
    erasing = erasing_of(tmp_path, Bare)
    erasing.tenancy.tenants.create("acme")
    with pytest.raises(PersonsUndeclared):
        erasing.person("acme", ANNA)
    with pytest.raises(PersonsUndeclared):
        erasing.foresee("acme", ANNA)
    erasing.tenancy.close()


def test_rows_that_others_need_are_not_torn_out(tmp_path: Any) -> None:
    erasing = erasing_of(tmp_path, Tangled)
    tenancy = erasing.tenancy
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as db:
        contact = Contact(email=ANNA)
        db.add(contact)
        db.flush()
        db.add(Invoice(contact_id=contact.id))
    with pytest.raises(PersonEntangled, match=r"invoices\.contact_id \(1 rows\)"):
        erasing.person("acme", ANNA)
    assert erasing.foresee("acme", ANNA).rows == {"contacts": 1}
    assert erasing.log() == []
    assert erasing.status() == []
    tenancy.close()


def test_an_audit_that_was_not_given_is_asked_for(house: House) -> None:
    site, tenant = house.site("rows"), house.make("rows")
    house.fill("rows", tenant)
    with pytest.raises(AuditNotGiven):
        Erasing(site.archive, audits=[]).person(tenant, ANNA)
    assert count(site, tenant, "customers") == 2
    assert site.erasing.log(tenant) == []
