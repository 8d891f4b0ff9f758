"""Joins: what an application gives is completed, what is plain never writes the tenant, what is foreign stays out."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, ForeignKeyConstraint, UniqueConstraint, and_, inspect, select
from sqlalchemy.exc import AmbiguousForeignKeysError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    foreign,
    mapped_column,
    relationship,
    remote,
    with_polymorphic,
)

from tenantry.models import Shared, TenantOwned, TenantRecord, lint, references

from . import shapes
from .conftest import StampedSession, created


def new_base() -> Any:
    class Base(DeclarativeBase):
        pass

    return Base


def declare(**options: Any) -> tuple[Any, Any]:
    """Returns a parent and a child whose relationship ``parent`` is declared with these options."""
    base = new_base()

    class Parent(TenantOwned, base):
        __tablename__ = "parents"

    class Child(TenantOwned, base):
        __tablename__ = "children"
        name: Mapped[str | None]
        parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("parents.id"))
        other_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("parents.id"))
        parent = relationship(Parent, **options)

    return Parent, Child


def columns_written(model: Any, name: str) -> list[str]:
    return [written.name for _, written in inspect(model).relationships[name].synchronize_pairs]


@pytest.mark.parametrize(
    "primaryjoin",
    [
        "Child.parent_id == Parent.id",
        "and_(Child.parent_id == Parent.id, Child.name == 'x')",
        "foreign(Child.parent_id) == remote(Parent.id)",
        "foreign(Child.parent_id) == Parent.id",
        "and_(foreign(Child.parent_id) == Parent.id, Child.tenant_id == Parent.tenant_id)",
    ],
)
def test_a_given_join_compares_the_tenants_and_writes_its_own_column(primaryjoin: str) -> None:
    _, child = declare(primaryjoin=primaryjoin)
    configure_mappers()
    join = str(inspect(child).relationships["parent"].primaryjoin)
    assert join.count("tenant_id") == 2
    assert columns_written(child, "parent") == ["parent_id"]


def test_two_keys_without_a_word_stay_ambiguous() -> None:
    _, child = declare()
    with pytest.raises(AmbiguousForeignKeysError):
        configure_mappers()
    child.registry.dispose()


def test_foreign_keys_may_name_the_tenant_too() -> None:
    _, child = declare(foreign_keys="[Child.tenant_id, Child.other_id]")
    configure_mappers()
    assert columns_written(child, "parent") == ["other_id"]


def test_a_relationship_across_no_wall_is_sqlalchemys_own(engine: Engine) -> None:
    base = new_base()

    class Country(Shared, base):
        __tablename__ = "countries"
        code: Mapped[str] = mapped_column(primary_key=True)

    class Place(TenantOwned, base):
        __tablename__ = "places"
        country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))
        country: Mapped[Country | None] = relationship()

    created(base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        place = Place(country=Country(code="NO"))
        session.add(place)
        session.commit()
        assert place.country_code == "NO"
        place.country = None
        session.commit()
        assert place.country_code is None


def test_a_relationship_finds_only_the_tenants_rows(engine: Engine) -> None:
    created(shapes.Base.metadata, engine)
    number = 1
    tenants = [uuid.uuid4(), uuid.uuid4()]
    with Session(engine) as session:
        for tenant in tenants:
            invoice = shapes.Invoice(tenant_id=tenant, id=number)
            invoice.lines = [shapes.InvoiceLine(tenant_id=tenant, text=str(tenant))]
            session.add(invoice)
        session.commit()
        session.expunge_all()
        for invoice in session.scalars(select(shapes.Invoice).order_by(shapes.Invoice.tenant_id)):
            assert invoice.id == number
            assert [line.text for line in invoice.lines] == [str(invoice.tenant_id)]


def test_selects_join_tables_on_the_tenant_even_without_a_relationship() -> None:
    configure_mappers()
    for query in (
        select(shapes.Garage).join(shapes.Truck, shapes.Garage.trucks),
        select(shapes.Trailer).join(shapes.Truck),
        select(shapes.Truck).join(shapes.Trailer),
        select(with_polymorphic(shapes.Vehicle, [shapes.Truck])).join(shapes.Trailer),
    ):
        _, _, conditions = str(query).partition("FROM")
        assert conditions.count(" ON ") * 2 <= conditions.count("tenant_id")


def test_an_inherited_key_is_no_relationship(engine: Engine) -> None:
    base = new_base()

    class Employee(TenantOwned, base):
        __tablename__ = "employees"
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "e"}  # noqa: RUF012

    class Engineer(Employee):
        __tablename__ = "engineers"
        boss_id: Mapped[uuid.UUID | None] = references("employees.id")
        id: Mapped[uuid.UUID] = mapped_column(ForeignKey("employees.id"), primary_key=True)
        boss: Mapped[Employee | None] = relationship()
        __mapper_args__ = {"polymorphic_identity": "g", "inherit_condition": id == Employee.id}  # noqa: RUF012, A003

    created(base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        boss = Employee()
        session.add(Engineer(boss=boss))
        session.commit()
        session.expunge_all()
        engineer = session.scalars(select(Engineer)).one()
        assert engineer.boss is not None
        assert engineer.boss.kind == "e"
    condition = str(inspect(Engineer).inherit_condition)
    assert condition == "employees.tenant_id = engineers.tenant_id AND engineers.id = employees.id"


def test_of_two_keys_the_childs_own_is_nearer(engine: Engine) -> None:
    base = new_base()

    class Machine(TenantOwned, base):
        __tablename__ = "machines"
        kind: Mapped[str]
        place_id: Mapped[uuid.UUID | None] = references("sites.id")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "m"}  # noqa: RUF012

    class Robot(Machine):
        __tablename__ = "robots"
        home_id: Mapped[uuid.UUID | None] = references("sites.id")
        home: Mapped[Site | None] = relationship("Site")
        __mapper_args__ = {"polymorphic_identity": "r"}  # noqa: RUF012

    class Site(TenantOwned, base):
        __tablename__ = "sites"

    created(base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        robot = Robot(home=Site())
        session.add(robot)
        session.commit()
        assert robot.home_id is not None
        assert robot.place_id is None
        robot.home = None
        session.commit()
        assert (robot.home_id, robot.tenant_id) == (None, session.tenant)


def test_a_child_joins_a_table_that_was_declared_after_it_on_the_tenant() -> None:
    base = new_base()

    class Machine(TenantOwned, base):
        __tablename__ = "machines"
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012

    class Robot(Machine):
        __tablename__ = "robots"
        home_id: Mapped[uuid.UUID | None] = references("sites.id")
        __mapper_args__ = {"polymorphic_identity": "r"}  # noqa: RUF012

    assert str(inspect(Robot).persist_selectable.foreign_keys)

    class Site(TenantOwned, base):
        __tablename__ = "sites"

    configure_mappers()
    query = str(select(Site.id).join(Robot))
    assert "sites.id = robots.home_id AND sites.tenant_id = robots.tenant_id" in query


def test_a_join_written_out_in_full_is_left_as_it_is() -> None:
    base = new_base()

    class Node(TenantOwned, base):
        __tablename__ = "nodes"
        up_id: Mapped[uuid.UUID | None] = references("nodes.id")

    Node.up = relationship(
        Node,
        viewonly=True,
        uselist=False,
        primaryjoin=lambda: and_(
            remote(Node.id) == foreign(Node.up_id), remote(Node.tenant_id) == Node.tenant_id, Node.up_id.is_not(None)
        ),
    )
    configure_mappers()
    assert str(Node.up.property.primaryjoin).endswith("nodes.up_id IS NOT NULL")


def test_rows_may_refer_to_their_tenants_record_by_the_tenant_alone(engine: Engine) -> None:
    base = new_base()

    class Workspace(TenantRecord, base):
        __tablename__ = "workspaces"
        __table_args__ = (UniqueConstraint("tenant_id"),)
        people = relationship("Person", back_populates="workspace", cascade="all, delete-orphan")

    class Person(TenantOwned, base):
        __tablename__ = "people"
        __table_args__ = (ForeignKeyConstraint(["tenant_id"], ["workspaces.tenant_id"]),)
        workspace = relationship("Workspace", back_populates="people")

    assert lint(base.metadata) == []
    created(base.metadata, engine)
    with StampedSession(engine, uuid.uuid4()) as session:
        workspace = Workspace(people=[Person()])
        session.add_all([workspace, Person(workspace=workspace)])
        session.flush()
        assert {person.tenant_id for person in workspace.people} == {session.tenant}
        workspace.people[0].workspace = None
        # The tenant is in the key, so it is never nulled: the orphan goes.
        session.flush()
        session.expire_all()
        assert len(workspace.people) == 1
