"""Ordinary declarations become keys within the tenant, and stay so however often they are lifted."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    cast,
    create_mock_engine,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.schema import CreateIndex, CreateTable

from tenantry.errors import ConfigurationError
from tenantry.models import (
    Shared,
    TenantOwned,
    is_walled,
    lift,
    naming_convention,
    owned_tables,
    references,
    sqlite_triggers,
)
from tenantry.models.naming import conventional_name

from .conftest import created


def new_base(**attributes: Any) -> Any:
    return type("Base", (DeclarativeBase,), attributes)


def ddl(metadata: MetaData) -> list[str]:
    """Returns everything that would be created, for both databases."""
    statements = []
    for dialect in (postgresql.dialect(), sqlite.dialect()):
        for table in owned_tables(metadata):
            statements.append(str(CreateTable(table).compile(dialect=dialect)))
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
            statements += sqlite_triggers(table)
    return statements


def keys(table: Table) -> dict[str, ForeignKeyConstraint]:
    return {key.column_keys[-1]: key for key in table.foreign_key_constraints}


def declare_tickets(base: Any, **options: Any) -> Any:
    class Ticket(TenantOwned, base):
        __tablename__ = "tickets"
        company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", **options))

    class Company(TenantOwned, base):
        __tablename__ = "companies"

    return Ticket.__table__


def test_a_plain_key_is_lifted_as_soon_as_its_target_is_declared() -> None:
    (key,) = declare_tickets(new_base()).foreign_key_constraints
    assert key.column_keys == ["tenant_id", "company_id"]
    assert [element.target_fullname for element in key.elements] == ["companies.tenant_id", "companies.id"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "fk_of_ours"),
        ("ondelete", "CASCADE"),
        ("ondelete", "RESTRICT"),
        ("onupdate", "CASCADE"),
        ("deferrable", True),
        ("initially", "DEFERRED"),
        ("use_alter", True),
        ("match", "SIMPLE"),
        ("comment", "why"),
    ],
)
def test_what_a_key_was_declared_with_is_kept(option: str, value: Any) -> None:
    (key,) = declare_tickets(new_base(), **{option: value}).foreign_key_constraints
    assert getattr(key, option) == value


def test_set_null_names_its_column_on_postgresql_and_is_a_trigger_on_sqlite() -> None:
    table = declare_tickets(new_base(), ondelete="SET NULL")
    on_postgresql = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    on_sqlite = str(CreateTable(table).compile(dialect=sqlite.dialect()))
    assert "ON DELETE SET NULL (company_id)" in on_postgresql
    assert "FOREIGN KEY(tenant_id, company_id) REFERENCES companies (tenant_id, id)" in on_sqlite
    assert "ON DELETE" not in on_sqlite
    (trigger,) = sqlite_triggers(table, stored=lambda name: f"{name}__rows")
    assert "BEFORE DELETE ON companies__rows" in trigger
    assert "UPDATE tickets__rows SET company_id = NULL" in trigger


def test_the_triggers_come_and_go_with_their_tables(engine: Engine) -> None:
    base = new_base()
    table = declare_tickets(base, ondelete="SET NULL")
    base.metadata.create_all(engine, tables=[base.metadata.tables["companies"]])
    with engine.begin() as connection:
        connection.execute(base.metadata.tables["companies"].delete())
    created(base.metadata, engine)
    companies = base.metadata.tables["companies"]
    tenant, other, company, second = (uuid.uuid4() for _ in range(4))
    pairs = [(tenant, company), (tenant, second), (other, company)]
    with engine.begin() as connection:
        connection.execute(companies.insert(), [{"tenant_id": owner, "id": id_} for owner, id_ in pairs])
        connection.execute(table.insert(), [{"tenant_id": owner, "company_id": id_} for owner, id_ in pairs])
        connection.execute(companies.delete().where(companies.c.tenant_id == tenant, companies.c.id == company))
        left = connection.execute(select(table.c.tenant_id, table.c.company_id)).all()
        assert {*left} == {(tenant, None), (tenant, second), (other, company)}
        connection.execute(companies.delete())
    table.drop(engine)
    with engine.begin() as connection:
        connection.execute(companies.insert().values(tenant_id=tenant, id=company))
        connection.execute(companies.delete())
    base.metadata.drop_all(engine)
    assert inspect(engine).get_table_names() == []


def test_a_mock_engine_records_the_triggers_after_the_tables() -> None:
    base = new_base()
    declare_tickets(base, ondelete="SET NULL")
    recorded: list[str] = []
    mock = create_mock_engine("sqlite://", lambda statement, *_: recorded.append(str(statement.compile(mock)).strip()))
    base.metadata.create_all(mock, checkfirst=False)
    assert [statement.split()[1] for statement in recorded] == ["TABLE", "TABLE", "TRIGGER"]
    assert recorded[-1] == sqlite_triggers(base.metadata.tables["tickets"])[0]


def test_odd_names_are_quoted(engine: Engine) -> None:
    base = new_base()

    class Parent(TenantOwned, base):
        __tablename__ = "Order"

    class Child(TenantOwned, base):
        __tablename__ = "order % line"
        order_id: Mapped[uuid.UUID | None] = mapped_column("Order Id", ForeignKey("Order.id", ondelete="SET NULL"))

    created(base.metadata, engine)
    with Session(engine) as session:
        parent = Parent(tenant_id=uuid.uuid4())
        child = Child(tenant_id=parent.tenant_id, order_id=parent.id)
        session.add(parent)
        session.flush()
        session.add(child)
        session.commit()
        session.delete(parent)
        session.commit()
        assert child.order_id is None


def test_a_column_may_bear_another_name_than_its_attribute() -> None:
    base = new_base()

    class Node(TenantOwned, base):
        __tablename__ = "nodes"
        parent_key: Mapped[uuid.UUID | None] = mapped_column("up", ForeignKey("nodes.id"))
        parent: Mapped[Any] = relationship("Node", remote_side="Node.id", uselist=False)

    (key,) = Node.__table__.foreign_key_constraints
    assert [element.parent.name for element in key.elements] == ["tenant_id", "up"]
    assert "nodes.up" in str(Node.parent.property.primaryjoin)


def test_keys_to_shared_tables_stay_single_and_find_them_by_their_plain_name() -> None:
    base = new_base()

    class Place(TenantOwned, base):
        __tablename__ = "places"
        plain: Mapped[str | None] = mapped_column(ForeignKey("countries.code", ondelete="SET NULL"))
        full: Mapped[str | None] = mapped_column(ForeignKey("tenantry_shared.countries.code"))

    class Country(Shared, base):
        __tablename__ = "countries"
        code: Mapped[str] = mapped_column(primary_key=True)
        continent: Mapped[str | None] = mapped_column(ForeignKey("continents.code"))

    class Continent(Shared, base):
        __tablename__ = "continents"
        code: Mapped[str] = mapped_column(primary_key=True)

    found = keys(Place.__table__)
    assert {key.column_keys[0] for key in found.values()} == {"plain", "full"}
    assert all(key.referred_table is Country.__table__ for key in found.values())
    assert found["plain"].ondelete == "SET NULL"
    assert keys(Country.__table__)["continent"].referred_table is Continent.__table__


def test_what_is_unique_becomes_unique_per_tenant() -> None:
    class User(TenantOwned, new_base()):
        __tablename__ = "users"
        __table_args__ = (
            UniqueConstraint("first", "last", name="uq_of_ours", deferrable=True, postgresql_nulls_not_distinct=True),
            Index("ix_unique", "phone", unique=True, postgresql_where=text("phone IS NOT NULL")),
            Index("ix_lower", func.lower(text("last")), unique=True),
        )
        email: Mapped[str] = mapped_column(unique=True)
        login: Mapped[str] = mapped_column(unique=True, index=True)
        first: Mapped[str]
        last: Mapped[str]
        phone: Mapped[str | None]

    table: Table = User.__table__
    uniques = {
        tuple(column.name for column in constraint.columns): constraint
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    assert uniques.keys() == {("tenant_id", "first", "last"), ("tenant_id", "email")}
    named = uniques["tenant_id", "first", "last"]
    assert (named.name, named.deferrable) == ("uq_of_ours", True)
    assert named.dialect_kwargs["postgresql_nulls_not_distinct"] is True
    indexes = {str(index.name): index for index in table.indexes}
    assert indexes.keys() == {"ix_unique", "ix_lower", "ix_users_login"}
    assert all(str(index.expressions[0]) == "users.tenant_id" for index in indexes.values())
    assert all(index.unique for index in indexes.values())
    assert "phone IS NOT NULL" in str(CreateIndex(indexes["ix_unique"]).compile(dialect=postgresql.dialect()))


def test_what_is_made_of_the_tenant_makes_nothing_unique_per_tenant() -> None:
    """The first letter of two tenants' ids may be the same one."""

    class User(TenantOwned, new_base()):
        __tablename__ = "users"
        email: Mapped[str]

    Index("ux_made", func.left(cast(User.tenant_id, String), 1), User.email, unique=True)
    Index("ux_held", User.email, User.tenant_id.desc(), unique=True)
    lift(User.metadata)
    found = {str(index.name): [str(each) for each in index.expressions] for index in User.__table__.indexes}
    assert found["ux_made"][0] == "users.tenant_id"
    assert found["ux_held"] == ["users.email", "users.tenant_id DESC"]


def test_indexes_that_cannot_carry_the_tenant_are_left_alone() -> None:
    class Note(TenantOwned, new_base()):
        __tablename__ = "notes"
        __table_args__ = (
            Index("ix_gin", "tags", postgresql_using="gin"),
            Index("ix_hnsw", "vector", postgresql_using="hnsw", postgresql_ops={"vector": "vector_l2_ops"}),
            Index("ix_plain", "title"),
            Index("ix_written", "title", "tenant_id"),
        )
        tags: Mapped[Any] = mapped_column(JSONB)
        vector: Mapped[str]
        title: Mapped[str] = mapped_column(index=True)

    found = {str(index.name): [column.name for column in index.columns] for index in Note.__table__.indexes}
    assert found == {
        "ix_gin": ["tags"],
        "ix_hnsw": ["vector"],
        "ix_plain": ["tenant_id", "title"],
        "ix_written": ["title", "tenant_id"],
        "ix_notes_title": ["tenant_id", "title"],
    }


def test_association_tables_are_walled_whenever_their_ends_are_declared() -> None:
    base = new_base()
    metadata = base.metadata
    before = Table("before", metadata, Column("a_id", ForeignKey("a.id")), Column("b_id", ForeignKey("b.id")))

    class A(TenantOwned, base):
        __tablename__ = "a"

    assert not is_walled(before)

    class B(TenantOwned, base):
        __tablename__ = "b"

    after = Table(
        "after",
        metadata,
        Column("a_id", ForeignKey(A.id), primary_key=True),
        Column("b_id", ForeignKey(B.id), primary_key=True),
        Column("note", String),
    )
    for table in (before, after):
        assert is_walled(table)
        assert [column.name for column in table.primary_key] == ["tenant_id", "a_id", "b_id"]
        assert all(key.column_keys[0] == "tenant_id" for key in table.foreign_key_constraints)
        assert isinstance(table.c.a_id.type, Uuid)


def test_tables_that_are_no_mere_links_are_not_adopted() -> None:
    base = new_base()

    class A(TenantOwned, base):
        __tablename__ = "a"

    own_key = Table("log", base.metadata, Column("id", Integer, primary_key=True), Column("a_id", ForeignKey(A.id)))
    mixed = Table("mixed", base.metadata, Column("a_id", ForeignKey(A.id)), Column("x_id", ForeignKey(own_key.c.id)))
    lift(base.metadata)
    assert not is_walled(own_key)
    assert not is_walled(mixed)


def test_lifting_again_changes_nothing() -> None:
    base = new_base()
    declare_tickets(base, ondelete="SET NULL")
    once = ddl(base.metadata)
    lift(base.metadata)
    lift(base.metadata)
    assert ddl(base.metadata) == once


def test_a_copy_of_the_metadata_is_lifted_too() -> None:
    base = new_base()

    class User(TenantOwned, base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)
        login: Mapped[str] = mapped_column(index=True)
        boss_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))

    copied = MetaData()
    for table in base.metadata.sorted_tables:
        table.to_metadata(copied)
    assert [_lines(statement) for statement in ddl(copied)] == [_lines(statement) for statement in ddl(base.metadata)]


def _lines(statement: str) -> list[str]:
    # A copy keeps the constraints, not their order.
    return sorted(line.strip().rstrip(",") for line in statement.splitlines())


def test_tables_that_refer_to_each_other_are_sorted_without_a_warning(engine: Engine) -> None:
    base = new_base()

    class Left(TenantOwned, base):
        __tablename__ = "lefts"
        right_id: Mapped[uuid.UUID | None] = references("rights.id", ondelete="SET NULL")

    class Right(TenantOwned, base):
        __tablename__ = "rights"
        left_id: Mapped[uuid.UUID | None] = references("lefts.id", ondelete="SET NULL")

    created(base.metadata, engine)
    assert {table.name for table in owned_tables(base.metadata)} == {"lefts", "rights"}
    with Session(engine) as session:
        left = Left(tenant_id=uuid.uuid4())
        session.add(left)
        session.flush()
        session.add(Right(tenant_id=left.tenant_id, left_id=left.id))
        session.commit()
        session.delete(left)
        session.commit()
        assert session.scalars(select(Right)).one().left_id is None


def test_what_is_declared_later_is_lifted_before_it_is_created(engine: Engine) -> None:
    base = new_base()

    class User(TenantOwned, base):
        __tablename__ = "users"
        email: Mapped[str]

    Index("ix_late", User.email, unique=True)
    User.__table__.append_constraint(UniqueConstraint("email", name="uq_late"))
    created(base.metadata, engine)
    found = inspect(engine)
    assert found.get_unique_constraints("users")[0]["column_names"] == ["tenant_id", "email"]
    late = next(index for index in found.get_indexes("users") if index["name"] == "ix_late")
    assert late["column_names"] == ["tenant_id", "email"]


def test_a_key_added_by_hand_is_never_created_unlifted(engine: Engine) -> None:
    base = new_base()

    class User(TenantOwned, base):
        __tablename__ = "users"

    User.__table__.append_column(Column("boss_id", ForeignKey("users.id")))
    with pytest.raises(ConfigurationError, match="nothing was created"):
        base.metadata.create_all(engine)
    assert inspect(engine).get_table_names() == []
    created(base.metadata, engine)
    assert inspect(engine).get_foreign_keys("users")[0]["constrained_columns"] == ["tenant_id", "boss_id"]


def test_the_databases_hold_the_lifted_keys(engine: Engine) -> None:
    base = new_base()
    table = declare_tickets(base)
    created(base.metadata, engine)
    mine, theirs, company = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    with engine.begin() as connection:
        connection.execute(base.metadata.tables["companies"].insert().values(tenant_id=theirs, id=company))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(table.insert().values(tenant_id=mine, company_id=company))
    with engine.begin() as connection:
        connection.execute(table.insert().values(tenant_id=theirs, company_id=company))


def test_constraints_get_names_that_lifting_does_not_change() -> None:
    base = new_base()
    table = declare_tickets(base)
    names = {constraint.name for constraint in table.constraints}
    assert names == {"pk_tickets", "fk_tickets_company_id"}
    assert base.metadata.naming_convention is naming_convention
    late = UniqueConstraint(table.c.company_id)
    assert late.name == conventional_name(late, table) == "uq_tickets_company_id"


def test_the_applications_own_convention_wins() -> None:
    convention = {"fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "key_%(table_name)s", "uq": "u_%(column_0_name)s"}
    table = declare_tickets(new_base(metadata=MetaData(naming_convention=convention)))
    assert {constraint.name for constraint in table.constraints} == {"key_tickets", "fk_tickets_company_id"}


def test_long_names_keep_their_difference() -> None:
    base = new_base()

    class Thing(TenantOwned, base):
        __tablename__ = "things_with_a_name_that_is_rather_long"
        a: Mapped[str] = mapped_column("a_column_with_a_name_that_is_also_long_one", unique=True)
        b: Mapped[str] = mapped_column("a_column_with_a_name_that_is_also_long_two", unique=True)

    names = [str(c.name) for c in Thing.__table__.constraints if isinstance(c, UniqueConstraint)]
    assert len({*names}) == 2
    assert all(len(name) <= 63 for name in names)


def test_references_makes_an_ordinary_column() -> None:
    base = new_base()

    class Node(TenantOwned, base):
        __tablename__ = "nodes"
        parent_id: Mapped[uuid.UUID | None] = references("nodes.id", ondelete="CASCADE", index=True)
        root_id: Mapped[uuid.UUID] = references("nodes.id")

    table: Table = Node.__table__
    assert (table.c.parent_id.nullable, table.c.root_id.nullable) == (True, False)
    assert keys(table)["parent_id"].ondelete == "CASCADE"
    assert isinstance(table.c.parent_id.type, Uuid)
    assert {str(index.name) for index in table.indexes} == {"ix_nodes_parent_id"}
