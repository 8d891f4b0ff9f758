"""Changes of rows, recorded by themselves: what each kind of change says, and what is refused as it says nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import ForeignKey, delete, event, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

from tenantry import Tenancy, errors
from tenantry.audit import Audit, Entry
from tenantry.models import Platform, TenantOwned
from tenantry.models.columns import utc_now

from .models import Base, Leaf, Page, Person, Pet, audited

# For what does not depend on how far apart tenants stand.
ENOUGH = [place for place in SYNC_PLACES if place.cell in ("postgresql-rows", "sqlite-file", "sqlite-rows")]


def changes_of(ground: Ground, place: Place, row: uuid.UUID) -> list[Entry]:
    """Returns what is recorded of one row, oldest first."""
    with ground.session(place) as door:
        entries = ground.made(place).entries
        return [entry for table in ("people", "pets", "pages") for entry in door.call(entries, resource=(table, row))]


def newcomer(session: Session, name: str = "Ann", **more: Any) -> uuid.UUID:
    person = Person(name=name, **more)
    session.add(person)
    session.flush()
    return person.id


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_rows_life_is_told_with_values_before_and_after(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        door.session.info["actor"] = "ann"
        secrets = {"password_hash": "p", "pin": "1", "address": "Elm St 1"}
        who = door.run(lambda session: newcomer(session, balance=Decimal("1.50"), notes={"a": [1]}, **secrets))
        door.commit()
        door.run(lambda session: _change(session.get_one(Person, who)))
        door.commit()
        door.run(lambda session: session.delete(session.get_one(Person, who)))
        door.commit()
    created, updated, deleted = changes_of(ground, place, who)
    kinds = [(entry.event_type, entry.category, entry.actor) for entry in (created, updated, deleted)]
    assert kinds == [(f"people.{kind}", "people", "ann") for kind in ("created", "updated", "deleted")]
    assert created.changes is not None
    assert updated.changes is not None
    assert deleted.changes is not None
    assert created.changes["name"] == {"after": "Ann"}
    assert created.changes["balance"] == {"after": "1.50"}
    assert {created.changes[name]["after"] for name in secrets} == {"[redacted]"}
    assert "seen" not in created.changes
    assert updated.changes.pop("updated_at")["after"] > created.changes["updated_at"]["after"]  # type: ignore[attr-defined]
    assert updated.changes == {
        "name": {"before": "Ann", "after": "Bea"},
        "password_hash": {"before": "[redacted]", "after": None},
        "notes": {"before": {"a": [1]}, "after": {"a": [1, 2]}},
    }
    assert deleted.changes["name"] == {"before": "Bea"}


def _change(person: Person) -> None:
    person.name = "Bea"
    person.password_hash = None
    assert person.notes is not None
    person.notes["a"].append(2)
    person.seen = 7


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_bulk_statement_is_told_row_by_row(ground: Ground, place: Place) -> None:
    mark = uuid.uuid4().hex
    with ground.session(place) as door:
        names = [f"{mark}-{number}" for number in range(4)]
        ids = door.run(lambda session: [newcomer(session, name) for name in names])
        changed = update(Person).where(Person.name.in_(names[:3])).values(name=Person.name + "!")
        assert door.run(lambda session: session.execute(changed)).rowcount == 3
        door.run(lambda session: session.execute(delete(Person).where(Person.name.like(f"{mark}%!"))))
        door.run(lambda session: session.execute(delete(Person.__table__).where(Person.__table__.c.name == names[3])))
        door.commit()
    for row, name in list(zip(ids, names, strict=True))[:3]:
        _, updated, deleted = changes_of(ground, place, row)
        assert updated.changes is not None
        assert updated.changes["name"] == {"before": name, "after": f"{name}!"}
        assert deleted.event_type == "people.deleted"
    assert [entry.event_type for entry in changes_of(ground, place, ids[3])] == ["people.created", "people.deleted"]


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_a_bulk_statement_with_parameters_returning_and_a_sub_select(ground: Ground, place: Place) -> None:
    mark = uuid.uuid4().hex
    with ground.session(place) as door:
        session = door.session
        row = newcomer(session, mark)
        session.add(Pet(name="Rex", person_id=row))
        session.flush()
        owners = select(Pet.person_id).where(Pet.name == "Rex")
        changing = update(Person).where(Person.id.in_(owners), Person.name == mark).values(address="new")
        assert session.scalars(changing.returning(Person.id)).all() == [row]
        session.query(Pet).filter(Pet.person_id == row).delete()
        door.commit()
    assert [entry.event_type for entry in changes_of(ground, place, row)] == ["people.created", "people.updated"]


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_the_value_before_is_the_databases_and_not_what_a_session_remembers(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        row = newcomer(door.session, "first")
        door.commit()
    tenancy, slug = ground.tenancy(place), f"near-{place.cell}"
    with tenancy.session(slug) as remembering:
        person = remembering.get_one(Person, row)
        # Its values stay, and its transaction ends: on SQLite nobody could write meanwhile.
        remembering.commit()
        with tenancy.transaction(slug) as other:
            other.get_one(Person, row).name = "second"
        assert person.name == "first"
        person.name = "third"
        remembering.commit()
    _, second, third = changes_of(ground, place, row)
    assert second.changes is not None
    assert third.changes is not None
    assert second.changes["name"] == {"before": "first", "after": "second"}
    assert third.changes["name"] == {"before": "second", "after": "third"}


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_orphans_expressions_and_untouched_rows(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        session = door.session
        person = Person(name="Ann", pets=[Pet(name="Rex")])
        session.add(person)
        session.commit()
        rex = person.pets[0].id
        person.pets.clear()
        person.name = Person.name + "e"  # type: ignore[assignment]  # an expression, for the database to work out
        person.seen = 3
        session.commit()
        person.seen = 4
        person.name = person.name
        session.commit()
    updated = changes_of(ground, place, person.id)[1:]
    assert [entry.changes["name"] for entry in updated if entry.changes and "name" in entry.changes] == [
        {"before": "Ann", "after": "Anne"}
    ]
    assert [entry.event_type for entry in changes_of(ground, place, rex)] == ["pets.created", "pets.deleted"]


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_what_is_hidden_and_shown_again_is_told_as_changes_of_the_stamp(ground: Ground, place: Place) -> None:
    mark = uuid.uuid4().hex
    with ground.session(place) as door:
        session = door.session
        page = Page(title=mark)
        session.add(page)
        session.commit()
        page.soft_delete(by="ann")
        session.commit()
        # Hidden, so that this finds none.
        session.execute(update(Page).where(Page.title == mark).values(title="x"))
        session.execute(update(Page.__table__).where(Page.__table__.c.title == mark).values(deleted_by="bob"))
        seen = {"include_deleted": True, "synchronize_session": False}
        session.execute(update(Page).where(Page.title == mark).values(deleted_at=None), execution_options=seen)
        session.execute(
            update(Page).where(Page.title == mark).values(deleted_at=utc_now()),
            execution_options={"synchronize_session": False},
        )
        session.execute(delete(Page.__table__).where(Page.__table__.c.title == mark))
        session.commit()
    entries = changes_of(ground, place, page.id)
    stamps = [(entry.event_type, entry.changes["deleted_by"]) for entry in entries if "deleted_by" in entry.changes]
    assert stamps == [
        ("pages.created", {"after": None}),
        ("pages.updated", {"before": None, "after": "ann"}),
        ("pages.updated", {"before": "ann", "after": "bob"}),
        ("pages.deleted", {"before": "bob"}),
    ]
    assert [sorted(entry.changes) for entry in entries[3:5]] == [["deleted_at"]] * 2


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_what_rolls_back_is_not_told(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        session = door.session
        with session.begin_nested() as savepoint:
            gone = newcomer(session, "gone")
            savepoint.rollback()
        stays = newcomer(session, "stays")
        session.commit()
        lost = newcomer(session, "lost")
    assert [len(changes_of(ground, place, row)) for row in (gone, stays, lost)] == [0, 1, 0]


REFUSED: dict[str, Callable[[Session, uuid.UUID], object]] = {
    "bulk insert": lambda session, _: session.execute(insert(Person), [{"name": "x"}]),
    "core insert": lambda session, _: session.execute(insert(Person.__table__).values(name="x")),
    "update by keys": lambda session, row: session.execute(update(Person), [{"id": row, "name": "x"}]),
    "key changed": lambda session, row: session.execute(
        update(Person).where(Person.id == row).values(id=uuid.uuid4()),
        execution_options={"synchronize_session": False},
    ),
    "cte": lambda session, row: session.execute(
        delete(Person).where(Person.id == row).add_cte(select(Pet.id).cte("other"))
    ),
    "bulk_insert_mappings": lambda session, _: session.bulk_insert_mappings(Person, [{"name": "x"}]),
    "bulk_update_mappings": lambda session, row: session.bulk_update_mappings(Person, [{"id": row, "name": "x"}]),
    "bulk_save_objects": lambda session, _: session.bulk_save_objects([Person(name="x")]),
}


@pytest.mark.parametrize("how", REFUSED)
@pytest.mark.parametrize("place", SYNC_PLACES[::4], ids=str)
def test_what_could_not_be_told_is_refused(ground: Ground, place: Place, how: str) -> None:
    with ground.session(place) as door:
        row = newcomer(door.session)
        door.commit()
        with pytest.raises(errors.CaptureRefused, match="Person"):
            REFUSED[how](door.session, row)
    with ground.session(place) as door:
        assert door.session.get_one(Person, row).name == "Ann"
    assert len(changes_of(ground, place, row)) == 1


def test_a_statement_that_changes_what_its_conditions_do_not_show_is_refused_and_undone(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    audit = audited(tenancy)
    tenancy.install()
    tenancy.tenants.create("acme")

    def hide(state: ORMExecuteState) -> None:
        if state.is_select:
            state.statement = state.statement.options(with_loader_criteria(Pet, Pet.name != "Rex"))

    with tenancy.session("acme") as session:
        session.add(Person(name="Ann", pets=[Pet(name="Rex"), Pet(name="Tom")]))
        session.commit()
        event.listen(session, "do_orm_execute", hide)
        for statement in (update(Pet).values(name="x"), delete(Pet).returning(Pet.id)):
            with pytest.raises(errors.CaptureRefused, match="other rows than"):
                session.execute(statement)
        # Whoever goes on after the error finds nothing done.
        session.commit()
        event.remove(session, "do_orm_execute", hide)
        assert sorted(session.scalars(select(Pet.name))) == ["Rex", "Tom"]
        assert len(audit.entries(session)) == 3
    tenancy.close()


def test_too_many_rows_at_once_are_refused(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    audit = audited(tenancy, most_captured=2)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as session:
        session.add_all([Person(name=name) for name in "abc"])
    with tenancy.session("acme") as session:
        with pytest.raises(errors.CaptureRefused, match="more than 2 rows"):
            session.execute(update(Person).values(name="x"))
        session.execute(update(Person).where(Person.name != "c").values(name="x"))
        session.commit()
        assert [entry.event_type for entry in audit.entries(session)] == ["people.created"] * 3 + ["people.updated"] * 2
    tenancy.close()


@pytest.mark.parametrize("place", SYNC_PLACES[:1], ids=str)
def test_models_that_are_not_captured_and_text_go_untold(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        leaf = Leaf(name="x")
        row = newcomer(door.session)
        door.session.add(leaf)
        door.session.flush()
        door.session.execute(insert(Leaf), [{"tenant_id": door.session.tenant.id, "name": "y"}])
        door.session.execute(text("update people set name = 'told by nobody' where id = :id"), {"id": row})
        door.commit()
    assert changes_of(ground, place, leaf.id) == []
    assert len(changes_of(ground, place, row)) == 1


def test_two_audits_are_both_told_and_what_other_listeners_set_too(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    first, second = audited(tenancy), audited(tenancy, table="second_log")
    tenancy.install()
    tenancy.tenants.create("acme")

    def rename(_mapper: Any, _connection: Any, pet: Pet) -> None:
        pet.name = pet.name.upper()

    event.listen(Pet, "before_update", rename)
    with tenancy.transaction("acme") as session:
        person = Person(name="Ann", pets=[Pet(name="Rex"), Pet(name="Tom")])
        session.add(person)
        session.flush()
        rex, tom = person.pets
        # The key of one changes by the other's collection, and a listener changes the name.
        other = Person(name="Bea", pets=[rex])
        session.add(other)
        session.flush()
        session.execute(update(Pet).where(Pet.id == tom.id).values(name="Tim"))
    event.remove(Pet, "before_update", rename)
    with tenancy.session("acme") as session:
        for audit in (first, second):
            moved, renamed = (audit.entries(session, resource=("pets", pet.id))[1:] for pet in (rex, tom))
            assert [entry.changes for entry in moved] == [
                {
                    "name": {"before": "Rex", "after": "REX"},
                    "person_id": {"before": str(person.id), "after": str(other.id)},
                }
            ]
            assert [entry.changes for entry in renamed] == [{"name": {"before": "Tom", "after": "Tim"}}]
    tenancy.close()


def test_classes_that_inherit_are_captured_with_the_columns_they_add(tmp_path: Any) -> None:
    class Own(DeclarativeBase):
        pass

    class Asset(TenantOwned, Own):
        __tablename__ = "assets"
        kind: Mapped[str]
        name: Mapped[str]
        __mapper_args__ = MappingProxyType({"polymorphic_on": "kind", "polymorphic_identity": "asset"})

    class Car(Asset):
        __tablename__ = "cars"
        id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), primary_key=True)
        wheels: Mapped[int]
        __mapper_args__ = MappingProxyType({"polymorphic_identity": "car"})

    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Own)
    audit = Audit(tenancy)
    audit.capture(Asset)
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as session:
        car = Car(name="Beetle", wheels=4)
        session.add(car)
        session.flush()
        car.wheels, car.name = 3, "Isetta"
        session.flush()
        session.execute(update(Asset).where(Asset.name == "Isetta").values(name="Robin"))
        session.execute(update(Car.__table__).values(wheels=5))
        session.delete(car)
    with tenancy.session("acme") as session:
        created, changed, renamed, wheeled, deleted = audit.entries(session)
    assert created.changes["wheels"] == {"after": 4}
    assert changed.changes == {
        "name": {"before": "Beetle", "after": "Isetta"},
        "wheels": {"before": 4, "after": 3},
    }
    assert renamed.changes == {"name": {"before": "Isetta", "after": "Robin"}}
    assert wheeled.changes == {"wheels": {"before": 3, "after": 5}}
    assert deleted.changes["wheels"] == {"before": 5}
    assert {entry.resource_id for entry in (created, changed, renamed, wheeled, deleted)} == {str(car.id)}
    tenancy.close()


def test_only_columns_of_tenants_models_are_captured(tmp_path: Any) -> None:
    audit = Audit(Tenancy(f"sqlite:///{tmp_path}", models=Base))
    with pytest.raises(errors.ConfigurationError, match="no column pasword"):
        audit.capture(Person, redact=["pasword"])

    class Elsewhere(DeclarativeBase):
        pass

    class Vendor(Platform, Elsewhere):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(errors.ConfigurationError, match="Vendor is not a tenant's"):
        audit.capture(Vendor)


def test_two_tenancies_of_the_same_models_do_not_tell_each_other(ground: Ground) -> None:
    """Each session's changes go to its own tenancy's audit, once."""
    place = SYNC_PLACES[-1]
    with ground.session(place) as door:
        row = newcomer(door.session)
        door.commit()
    assert len(changes_of(ground, place, row)) == 1
