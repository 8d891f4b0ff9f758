"""Whose a table is, however its class is declared."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import pytest
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table, Uuid, inspect
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    declarative_base,
    mapped_column,
    registry,
)

from tenantry.ids import uuid7
from tenantry.models import (
    SHARED_SCHEMA,
    Ownership,
    Platform,
    Shared,
    TenantOwned,
    TenantRecord,
    is_walled,
    lint,
    owned_tables,
    ownership,
    ownership_of,
    references,
    tenant_table,
)

Number = Annotated[int, mapped_column(primary_key=True)]


def new_base() -> Any:
    class Base(DeclarativeBase):
        pass

    return Base


def key_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


@pytest.mark.parametrize("mixin", [TenantOwned, TenantRecord])
def test_a_walled_class_gets_the_tenant_and_an_id_as_its_key(mixin: type) -> None:
    class Thing(mixin, new_base()):
        __tablename__ = "things"
        name: Mapped[str]

    table: Table = Thing.__table__
    assert [column.name for column in table.columns] == ["tenant_id", "id", "name"]
    assert key_of(table) == ["tenant_id", "id"]
    assert [column.name for column in inspect(Thing).primary_key] == ["tenant_id", "id"]
    assert isinstance(table.c.tenant_id.type, Uuid)
    assert not table.c.tenant_id.nullable
    assert is_walled(table)
    assert ownership(table) is ownership_of(Thing)


def test_an_id_is_there_at_construction() -> None:
    class Thing(TenantOwned, new_base()):
        __tablename__ = "things"

    first, second = Thing(), Thing()
    assert first.id.version == second.id.version == 7
    assert first.id != second.id
    given = uuid7()
    assert Thing(id=given).id == given


def test_an_id_is_there_before_a_constructor_of_the_application_runs() -> None:
    class Thing(TenantOwned, new_base()):
        __tablename__ = "things"
        label: Mapped[str]

        def __init__(self, word: str) -> None:
            self.label = f"{word} {self.id}"

    thing = Thing("x")
    assert thing.label == f"x {thing.id}"


def test_a_records_id_is_left_to_the_tenant() -> None:
    class Company(TenantRecord, new_base()):
        __tablename__ = "companies"

    assert Company().id is None
    checks = {constraint.name for constraint in Company.__table__.constraints}
    assert "ck_companies_is_tenant" in checks


def test_a_shared_table_stands_in_its_schema_beside_the_applications_own_arguments() -> None:
    class Country(Shared, new_base()):
        __tablename__ = "countries"
        __table_args__ = (Index("ix_name", "name"), {"comment": "all of them", "info": {"ours": 1}})
        code: Mapped[str] = mapped_column(primary_key=True)
        name: Mapped[str]

    table: Table = Country.__table__
    assert (table.schema, table.comment, table.info["ours"]) == (SHARED_SCHEMA, "all of them", 1)
    assert ownership(table) is Ownership.SHARED
    assert {index.name for index in table.indexes} == {"ix_name"}


def test_a_platform_table_is_marked_and_nothing_else() -> None:
    class Vendor(Platform, new_base()):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert ownership(Vendor.__table__) is Ownership.PLATFORM
    assert [column.name for column in Vendor.__table__.columns] == ["id"]
    assert not is_walled(Vendor.__table__)


def test_owned_tables_come_in_dependency_order_and_by_kind() -> None:
    base = new_base()

    class Ticket(TenantOwned, base):
        __tablename__ = "a_tickets"
        company_id: Mapped[uuid.UUID] = references("z_companies.id")

    class Company(TenantRecord, base):
        __tablename__ = "z_companies"

    class Vendor(Platform, base):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)

    Table("alien", base.metadata, Column("id", Uuid, primary_key=True))
    names = [table.name for table in owned_tables(base.metadata)]
    assert names.index("z_companies") < names.index("a_tickets")
    assert "alien" not in names
    assert [table.name for table in owned_tables(base.metadata, Ownership.PLATFORM)] == ["vendors"]
    walled = owned_tables(base.metadata, Ownership.TENANT, Ownership.RECORD)
    assert [table.name for table in walled] == ["z_companies", "a_tickets"]
    assert (Ticket.__table__, Company.__table__) == (walled[1], walled[0])


def test_an_association_class_with_a_key_of_its_own_gets_no_id() -> None:
    base = new_base()

    class Member(TenantOwned, base):
        __tablename__ = "members"
        user: Mapped[str] = mapped_column(primary_key=True)
        team: Mapped[str] = mapped_column(primary_key=True)

    assert key_of(Member.__table__) == ["tenant_id", "user", "team"]
    assert lint(base.metadata) == []


def test_a_key_may_be_declared_by_its_annotation_alone() -> None:
    class Invoice(TenantOwned, new_base()):
        __tablename__ = "invoices"
        id: Mapped[Number]

    class Code(TenantOwned, new_base()):
        __tablename__ = "codes"
        code: Mapped[Number]

    assert (key_of(Invoice.__table__), key_of(Code.__table__)) == (["tenant_id", "id"], ["tenant_id", "code"])
    assert isinstance(Invoice.__table__.c.id.type, Integer)
    assert Invoice().id is None


def test_a_key_may_be_declared_as_a_constraint() -> None:
    class Invoice(TenantOwned, new_base()):
        __tablename__ = "invoices"
        __table_args__ = (PrimaryKeyConstraint("number", "tenant_id", name="pk_of_ours"),)
        number: Mapped[str]

    assert key_of(Invoice.__table__) == ["tenant_id", "number"]
    assert [column.name for column in inspect(Invoice).primary_key] == ["tenant_id", "number"]
    assert Invoice.__table__.primary_key.name == "pk_of_ours"


def test_a_base_may_carry_the_mixin_for_all_its_classes() -> None:
    class Base(TenantOwned, DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"

    class Last(new_base(), TenantOwned):
        __tablename__ = "lasts"

    for model in (Thing, Last):
        assert key_of(model.__table__) == ["tenant_id", "id"]
        assert model().id.version == 7


def test_a_joined_child_gets_the_tenant_and_where_it_declares_none_the_key() -> None:
    base = new_base()

    class Animal(TenantOwned, base):
        __tablename__ = "animals"
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012

    class Cat(Animal):
        __tablename__ = "cats"
        __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012

    class Dog(Animal):
        __tablename__ = "dogs"
        dog_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("animals.id"), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012

    assert key_of(Cat.__table__) == ["tenant_id", "id"]
    assert key_of(Dog.__table__) == ["tenant_id", "dog_id"]

    class Kitten(Cat):
        __tablename__ = "kittens"
        __mapper_args__ = {"polymorphic_identity": "kitten"}  # noqa: RUF012

    assert key_of(Kitten.__table__) == ["tenant_id", "id"]
    assert isinstance(Kitten().id, uuid.UUID)
    for child in (Cat, Dog):
        (key,) = child.__table__.foreign_key_constraints
        assert [element.target_fullname for element in key.elements] == ["animals.tenant_id", "animals.id"]
        assert is_walled(child.__table__)
        assert isinstance(child().id, uuid.UUID)
    assert lint(base.metadata) == []


def test_a_single_table_child_shares_its_parents_table() -> None:
    class Animal(TenantOwned, new_base()):
        __tablename__ = "animals"
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012

    class Cat(Animal):
        lives: Mapped[int | None]
        __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012

    assert Cat.__table__ is Animal.__table__
    assert isinstance(Cat(lives=9).id, uuid.UUID)


def test_the_old_declarative_base_and_the_decorator_do_as_well() -> None:
    base = declarative_base()
    mapped = registry()

    class Old(TenantOwned, base):
        __tablename__ = "olds"
        parent_id = Column(Uuid, ForeignKey("olds.id"))

    @mapped.mapped
    class Decorated(TenantOwned):
        __tablename__ = "decorated"
        name: Mapped[str]

    assert key_of(Old.__table__) == key_of(Decorated.__table__) == ["tenant_id", "id"]
    assert lint(base.metadata) == lint(mapped.metadata) == []


def test_dataclasses_do_as_well() -> None:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Thing(TenantOwned, Base):
        __tablename__ = "things"
        name: Mapped[str]
        size: Mapped[int] = mapped_column(default=3)

    thing = Thing(name="x")
    assert (thing.size, thing.tenant_id) == (3, None)
    assert thing.id.version == 7
    assert "name='x'" in repr(thing)


@pytest.mark.parametrize("imperative", [False, True])
def test_a_class_may_bring_its_own_table(imperative: bool) -> None:
    base = new_base()
    table = Table(
        "own",
        base.metadata,
        Column("tenant_id", Uuid, primary_key=True),
        Column("id", Uuid, primary_key=True),
        Column("name", String, unique=True),
    )
    if imperative:
        base.registry.map_imperatively(type("Own", (TenantOwned,), {}), table)
    else:
        type("Own", (TenantOwned, base), {"__table__": table})
    assert ownership(table) is Ownership.TENANT
    assert key_of(table) == ["tenant_id", "id"]
    assert {"tenant_id", "name"} in [{column.name for column in constraint.columns} for constraint in table.constraints]
    assert lint(base.metadata) == []


def test_a_table_cls_of_the_applications_base_is_still_asked() -> None:
    asked: list[str] = []

    class Base(DeclarativeBase):
        @classmethod
        def __table_cls__(cls, name: str, *items: Any, **options: Any) -> Table:
            asked.append(name)
            return Table(name, *items, **options)

    class Thing(TenantOwned, Base):
        __tablename__ = "things"

    assert asked == ["things"]
    assert is_walled(Thing.__table__)


def test_a_tenant_table_names_its_references_after_their_targets() -> None:
    metadata = MetaData()
    table = tenant_table(
        "links",
        metadata,
        references("companies.id"),
        references("boxes.id", ondelete="CASCADE"),
        references("statuses.code"),
        references("classes.id"),
        references("staff.id", name="colleague"),
        Column("note", String),
        comment="who knows whom",
    )
    assert key_of(table) == ["tenant_id", "company_id", "box_id", "status_code", "class_id", "colleague"]
    assert (table.c.note.primary_key, table.comment) == (False, "who knows whom")
    assert ownership(table) is Ownership.TENANT
