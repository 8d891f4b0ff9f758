"""Whatever small set of models is declared, in whatever order, every key and uniqueness ends within the tenant."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, ForeignKey, Index, MetaData, String, Table, UniqueConstraint, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Shared, TenantOwned, TenantRecord, is_walled, lift, lint, owned_tables

from .test_lifting import ddl


@dataclass(frozen=True)
class Declared:
    """One model: whose it is, its columns, what they refer to, what is unique and indexed."""

    mixin: type
    integer: bool
    unique: tuple[bool, ...]
    indexed: tuple[bool, ...]
    together: bool
    targets: tuple[int, ...]
    ondelete: str | None


MODELS = st.lists(
    st.builds(
        Declared,
        mixin=st.sampled_from([TenantOwned, TenantOwned, TenantRecord, Shared]),
        integer=st.booleans(),
        unique=st.tuples(st.booleans(), st.booleans()),
        indexed=st.tuples(st.booleans(), st.booleans()),
        together=st.booleans(),
        targets=st.lists(st.integers(0, 4), max_size=3).map(tuple),
        ondelete=st.sampled_from([None, "CASCADE", "SET NULL", "RESTRICT"]),
    ),
    min_size=1,
    max_size=5,
)


def declare(models: list[Declared], links: bool) -> MetaData:
    """Returns the metadata of these models, as an application would have declared them."""
    base = type("Base", (DeclarativeBase,), {})
    walled = [f"m{number}" for number, model in enumerate(models) if model.mixin is not Shared]
    if links and walled:
        ends = [Column(f"end{number}", ForeignKey(f"{name}.id")) for number, name in enumerate(walled[:2])]
        Table("links", base.metadata, *ends)
    for number, model in enumerate(models):
        type(f"M{number}", (model.mixin, base), _attributes(number, model, models))
    return base.metadata


def _attributes(number: int, model: Declared, models: list[Declared]) -> dict[str, object]:
    columns: dict[str, object] = {
        f"c{index}": mapped_column(String, unique=unique, index=indexed)
        for index, (unique, indexed) in enumerate(zip(model.unique, model.indexed, strict=True))
    }
    annotations: dict[str, object] = dict.fromkeys(columns, Mapped[str])
    if model.mixin is Shared or (model.integer and model.mixin is TenantOwned):
        columns["id"], annotations["id"] = mapped_column(primary_key=True), Mapped[int]
    for position, wish in enumerate(model.targets):
        target = wish % len(models)
        if model.mixin is Shared and models[target].mixin is not Shared:
            continue
        kind = int if models[target].integer or models[target].mixin is Shared else uuid.UUID
        if models[target].mixin is TenantRecord:
            kind = uuid.UUID
        columns[f"r{position}"] = mapped_column(ForeignKey(f"m{target}.id", ondelete=model.ondelete))
        annotations[f"r{position}"] = Mapped[kind | None]  # type: ignore[valid-type]
    arguments = (UniqueConstraint("c0", "c1"), Index(f"ix_m{number}_both", "c1", "c0")) if model.together else ()
    return {"__tablename__": f"m{number}", "__annotations__": annotations, "__table_args__": arguments, **columns}


@settings(max_examples=150, deadline=None)
@given(models=MODELS, links=st.booleans())
def test_every_key_and_uniqueness_is_within_the_tenant(models: list[Declared], links: bool) -> None:
    metadata = declare(models, links)
    for table in filter(is_walled, metadata.tables.values()):
        assert table.primary_key.columns[0].name == "tenant_id"
        for key in table.foreign_key_constraints:
            if is_walled(key.referred_table):
                assert key.elements[0].target_fullname == f"{key.referred_table.name}.tenant_id"
                assert len(key.elements) == 2
            else:
                assert len(key.elements) == 1
        for unique in table.constraints:
            if isinstance(unique, UniqueConstraint):
                assert unique.columns[0].name == "tenant_id"
        for index in table.indexes:
            assert index.columns[0].name == "tenant_id"
    assert lint(metadata) == []


@settings(max_examples=75, deadline=None)
@given(models=MODELS, links=st.booleans())
def test_lifting_is_idempotent(models: list[Declared], links: bool) -> None:
    metadata = declare(models, links)
    once = ddl(metadata)
    lift(metadata)
    assert ddl(metadata) == once


@settings(max_examples=40, deadline=None)
@given(models=MODELS, links=st.booleans())
def test_sqlite_takes_the_lifted_tables(models: list[Declared], links: bool) -> None:
    metadata = declare(models, links)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("ATTACH ':memory:' AS tenantry_shared")
        metadata.create_all(connection)
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        for table in owned_tables(metadata):
            connection.execute(table.delete())
    engine.dispose()
