"""The linter names each thing that cannot be walled, by a code, with a fix; and names nothing else."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    and_,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, ExcludeConstraint
from sqlalchemy.dialects.postgresql import ENUM as PG_ENUM
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry.errors import ModelsRefused
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord, lint, references
from tenantry.types import Finding

from . import shapes


class Colour(enum.Enum):
    RED = "red"


class World:
    """A sound set of models, to which each case adds one fault."""

    def __init__(self) -> None:
        class Base(DeclarativeBase):
            pass

        class Company(TenantOwned, Base):
            __tablename__ = "companies"
            name: Mapped[str] = mapped_column(unique=True)

        class Vendor(Platform, Base):
            __tablename__ = "vendors"
            id: Mapped[int] = mapped_column(primary_key=True)

        class Country(Shared, Base):
            __tablename__ = "countries"
            code: Mapped[str] = mapped_column(primary_key=True)

        self.classes: list[type] = []
        self.base: Any = Base
        self.company: Any = Company
        self.vendor: Any = Vendor

    @property
    def metadata(self) -> MetaData:
        metadata: MetaData = self.base.metadata
        return metadata

    def owned(self, *arguments: Any, mixin: type = TenantOwned, name: str = "things", **columns: Any) -> Any:
        """Declares one more class with these columns and table arguments."""
        attributes = {"__tablename__": name, "__table_args__": arguments, "__module__": __name__, **columns}
        return self.keep(type("Thing" if name == "things" else name.title(), (mixin, self.base), attributes))

    def keep(self, model: Any) -> Any:
        """Keeps a class alive, which SQLAlchemy does not."""
        self.classes.append(model)
        return model


def ownerless(world: World) -> None:
    world.keep(type("Lost", (world.base,), {"__tablename__": "lost", "id": mapped_column(Integer, primary_key=True)}))


def ownerless_links(world: World) -> None:
    Table(
        "links",
        world.metadata,
        Column("company_id", ForeignKey("companies.id"), primary_key=True),
        Column("vendor_id", ForeignKey("vendors.id"), primary_key=True),
    )


def two_owners(world: World) -> None:
    world.keep(type("Both", (TenantOwned, TenantRecord, world.base), {"__tablename__": "both"}))


def tenant_as_text(world: World) -> None:
    world.owned(tenant_id=mapped_column(String, primary_key=True))


def tenant_outside_the_key(world: World) -> None:
    world.owned(tenant_id=mapped_column(Uuid, nullable=False))


def key_constraint_without_the_tenant(world: World) -> None:
    world.owned(PrimaryKeyConstraint("number"), number=mapped_column(Integer))


def tenant_that_may_be_null(world: World) -> None:
    world.owned(tenant_id=mapped_column(Uuid, primary_key=True, nullable=True))


def own_table_without_a_tenant(world: World) -> None:
    table = Table("own", world.metadata, Column("id", Uuid, primary_key=True))
    world.base.registry.map_imperatively(world.keep(type("Own", (TenantOwned,), {})), table)


def nothing_but_the_tenant(world: World) -> None:
    table = Table("own", world.metadata, Column("tenant_id", Uuid, primary_key=True), Column("note", String))
    world.base.registry.map_imperatively(world.keep(type("Own", (TenantOwned,), {})), table)


def tenant_after_the_id(world: World) -> None:
    columns = [Column("id", Uuid, primary_key=True), Column("tenant_id", Uuid, primary_key=True)]
    table = Table("own", world.metadata, *columns)
    world.base.registry.map_imperatively(world.keep(type("Own", (TenantOwned,), {})), table)


def record_with_a_number(world: World) -> None:
    world.owned(mixin=TenantRecord, id=mapped_column(Integer, primary_key=True))


def record_with_another_key(world: World) -> None:
    world.owned(mixin=TenantRecord, code=mapped_column(String, primary_key=True))


def no_primary_key(world: World) -> None:
    Table("report", world.metadata, Column("total", Integer), info={"tenantry": "platform"})


def key_by_hand(world: World) -> None:
    target = world.owned(name="targets", tenant_code=mapped_column(Uuid))
    thing = world.owned(target_id=mapped_column(Uuid), own_tenant=mapped_column(Uuid))
    key = ForeignKeyConstraint(["tenant_id", "target_id"], ["targets.tenant_code", "targets.id"])
    thing.__table__.append_constraint(key)
    assert target is not None


def key_to_the_platform(world: World) -> None:
    world.owned(vendor_id=mapped_column(ForeignKey("vendors.id")))


def key_from_shared_to_the_platform(world: World) -> None:
    world.owned(mixin=Shared, id=mapped_column(Integer, primary_key=True), vendor_id=references("vendors.id"))


def key_from_shared_to_a_tenant(world: World) -> None:
    world.owned(mixin=Shared, id=mapped_column(Integer, primary_key=True), company_id=references("companies.id"))


def key_from_the_platform_to_a_tenant(world: World) -> None:
    world.owned(mixin=Platform, id=mapped_column(Integer, primary_key=True), company_id=references("companies.id"))


def key_to_nowhere(world: World) -> None:
    world.owned(ghost_id=mapped_column(Uuid, ForeignKey("ghosts.id")))


def unique_by_an_index_of_another_kind(world: World) -> None:
    world.owned(Index("ux", "label", unique=True, postgresql_using="hash"), label=mapped_column(String))


def explicit_schema(world: World) -> None:
    world.owned({"schema": "sales"})


def shared_elsewhere(world: World) -> None:
    world.owned({"schema": "reference"}, mixin=Shared, id=mapped_column(Integer, primary_key=True))


def sequence_default(world: World) -> None:
    world.owned(number=mapped_column(Integer, Sequence("numbers")))


def serial_default(world: World) -> None:
    world.owned(number=mapped_column(Integer, server_default=text("nextval('numbers')")))


def identity_beside_the_id(world: World) -> None:
    world.owned(number=mapped_column(Integer, Identity()))


def native_enum(world: World) -> None:
    world.owned(colour=mapped_column(Enum(Colour)))


def postgresql_enum(world: World) -> None:
    world.owned(colour=mapped_column(PG_ENUM("red", name="colour")))


def array_of_enums(world: World) -> None:
    world.owned(colours=mapped_column(ARRAY(Enum(Colour))))


def domain(world: World) -> None:
    world.owned(short=mapped_column(DOMAIN("short_text", String(10))))


def table_name_too_long(world: World) -> None:
    world.owned(name="t" * 58)


def column_name_too_long(world: World) -> None:
    world.owned(**{"c" * 64: mapped_column(String)})


def constraint_name_too_long(world: World) -> None:
    world.owned(UniqueConstraint("a", name="u" * 64), a=mapped_column(String))


def index_names_clash(world: World) -> None:
    world.owned(Index("ix_clash", "a"), a=mapped_column(String))
    world.owned(Index("IX_CLASH", "a"), name="others", a=mapped_column(String))


def table_names_differ_by_case(world: World) -> None:
    world.owned(name="Companies")


def stored_name(world: World) -> None:
    world.owned(name="companies__rows")


def library_name(world: World) -> None:
    world.owned(name="tenantry_things")


def join_that_forgets_the_tenant(world: World) -> None:
    thing = world.owned(label=mapped_column(String))
    thing.namesakes = relationship(
        world.company,
        viewonly=True,
        foreign_keys=[world.company.name],
        primaryjoin=lambda: thing.label == world.company.name,
    )


def join_that_writes_the_tenant(world: World) -> None:
    thing = world.owned(company_id=references("companies.id"))
    thing.company = relationship(
        world.company,
        foreign_keys=lambda: [thing.company_id, thing.tenant_id],
        primaryjoin=lambda: and_(thing.company_id == world.company.id, thing.tenant_id == world.company.tenant_id),
    )


def relationship_added_after_configuration(world: World) -> None:
    thing = world.owned(company_id=references("companies.id"))
    world.base.registry.configure()
    thing.company = relationship(world.company)


def exclusion(world: World) -> None:
    world.owned(ExcludeConstraint(("room", "="), name="ex_room"), room=mapped_column(String))


def exclusion_among_others(world: World) -> None:
    pair = ExcludeConstraint(("tenant_id", "<>"), ("room", "="), name="ex_room")
    world.owned(pair, room=mapped_column(String))


def set_default(world: World) -> None:
    world.owned(company_id=references("companies.id", ondelete="SET DEFAULT", nullable=True))


def set_null_on_update(world: World) -> None:
    world.owned(company_id=mapped_column(Uuid, ForeignKey("companies.id", onupdate="SET NULL")))


def set_null_of_what_cannot_be(world: World) -> None:
    world.owned(company_id=references("companies.id", ondelete="SET NULL", nullable=False))


def broken_mapper(world: World) -> None:
    thing = world.owned()
    thing.nobody = relationship("Nobody")


def class_without_owner_on_adopted_links(world: World) -> None:
    other = world.owned()
    columns = {
        "a": mapped_column(ForeignKey("companies.id"), primary_key=True),
        "b": mapped_column(ForeignKey(other.id), primary_key=True),
    }
    world.keep(type("Link", (world.base,), {"__tablename__": "links", **columns}))


CASES: list[tuple[str, str, Callable[[World], None]]] = [
    ("M001", "lost", ownerless),
    ("M001", "links", ownerless_links),
    ("M002", "Both", two_owners),
    ("M003", "things", tenant_as_text),
    ("M003", "things", tenant_outside_the_key),
    ("M003", "things", key_constraint_without_the_tenant),
    ("M003", "things", tenant_that_may_be_null),
    ("M003", "own", own_table_without_a_tenant),
    ("M003", "own", nothing_but_the_tenant),
    ("M003", "Own", tenant_after_the_id),
    ("M003", "things", record_with_a_number),
    ("M003", "things", record_with_another_key),
    ("M004", "report", no_primary_key),
    ("M005", "things(tenant_id, target_id)", key_by_hand),
    ("M006", "things(vendor_id)", key_to_the_platform),
    ("M006", "tenantry_shared.things(vendor_id)", key_from_shared_to_the_platform),
    ("M007", "tenantry_shared.things(company_id)", key_from_shared_to_a_tenant),
    ("M007", "things(company_id)", key_from_the_platform_to_a_tenant),
    ("M008", "things(ghost_id)", key_to_nowhere),
    ("M009", "things.ux", unique_by_an_index_of_another_kind),
    ("M010", "sales.things", explicit_schema),
    ("M011", "reference.things", shared_elsewhere),
    ("M012", "things.number", sequence_default),
    ("M012", "things.number", serial_default),
    ("M012", "things.number", identity_beside_the_id),
    ("M013", "things.colour", native_enum),
    ("M013", "things.colour", postgresql_enum),
    ("M013", "things.colours", array_of_enums),
    ("M013", "things.short", domain),
    ("M014", "t" * 58, table_name_too_long),
    ("M014", f"things.{'c' * 64}", column_name_too_long),
    ("M014", f"things.{'u' * 64}", constraint_name_too_long),
    ("M015", "others.IX_CLASH", index_names_clash),
    ("M015", "Companies.Companies", table_names_differ_by_case),
    ("M016", "companies__rows", stored_name),
    ("M016", "tenantry_things", library_name),
    ("M017", "Thing.namesakes", join_that_forgets_the_tenant),
    ("M017", "Thing.company", join_that_writes_the_tenant),
    ("M017", "Thing.company", relationship_added_after_configuration),
    ("M018", "things.ex_room", exclusion),
    ("M018", "things.ex_room", exclusion_among_others),
    ("M019", "things(tenant_id, company_id)", set_default),
    ("M019", "things(tenant_id, company_id)", set_null_on_update),
    ("M019", "things(tenant_id, company_id)", set_null_of_what_cannot_be),
    ("M020", "mappers", broken_mapper),
    ("M021", "Link", class_without_owner_on_adopted_links),
]


@pytest.mark.parametrize(("code", "thing", "fault"), CASES, ids=[case[2].__name__ for case in CASES])
def test_each_fault_is_named_and_nothing_else(code: str, thing: str, fault: Callable[[World], None]) -> None:
    world = World()
    fault(world)
    findings = lint(world.metadata)
    world.base.registry.dispose()
    assert (code, thing) in [(finding.code, finding.object) for finding in findings]
    assert {finding.code for finding in findings} == {code}
    assert all(finding.message.endswith(".") and finding.fix.endswith(".") for finding in findings)


def test_a_relationship_is_judged_where_it_is_declared() -> None:
    world = World()
    parent = world.owned(kind=mapped_column(String), __mapper_args__={"polymorphic_on": "kind"})
    world.keep(type("Child", (parent,), {"__mapper_args__": {"polymorphic_identity": "child"}}))
    parent.namesakes = relationship(
        world.company,
        viewonly=True,
        foreign_keys=[world.company.name],
        primaryjoin=lambda: parent.kind == world.company.name,
    )
    assert [finding.object for finding in lint(world.metadata)] == ["Thing.namesakes"]


def test_sound_models_have_no_findings() -> None:
    assert lint(World().metadata) == []
    assert lint(shapes.Base.metadata) == []
    assert lint(MetaData()) == []


def test_every_code_is_tried() -> None:
    assert {code for code, _, _ in CASES} == {f"M{number:03}" for number in range(1, 22)}


def test_all_faults_come_in_one_error() -> None:
    world = World()
    ownerless(world)
    key_to_the_platform(world)
    explicit = lint(world.metadata)
    error = ModelsRefused(findings=explicit)
    assert [finding.code for finding in explicit] == ["M001", "M006"]
    assert all(str(finding) in str(error) for finding in explicit)
    assert isinstance(explicit[0], Finding)


def test_enums_that_make_no_type_pass() -> None:
    world = World()
    world.owned(colour=mapped_column(Enum(Colour, native_enum=False)), owner=mapped_column(Uuid, default=uuid.uuid4))
    assert lint(world.metadata) == []
