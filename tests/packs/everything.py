"""Every table of every pack: two tenants whose rows fill them all, and the ways from one to the other."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import pkgutil
import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table, bindparam, delete, func, insert, select, text, union_all, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.types import JSON, Boolean, DateTime, Float, Integer, LargeBinary, Numeric, String, TypeDecorator, Uuid

import tenantry.packs
from tenantry import Tenancy
from tenantry.errors import TenantryError
from tenantry.models import Ownership, SecretReference, is_append_only, owned_tables
from tenantry.models.behaviours import BEHAVIOUR
from tenantry.usage.money import Money

CELLS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}
# What no type and no list of words tells of a row.
KNOWN = {"usage_records": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
NOW = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, by the names that all of them have."""

    name: str
    base: Any
    make: Callable[[Tenancy], Any]

    def walled(self) -> list[Table]:
        """Returns every table that holds tenants' rows, those referred to first."""
        return owned_tables(self.base.metadata, Ownership.TENANT, Ownership.RECORD)

    def model_of(self, table: Table) -> Any:
        """Returns the class that is mapped to a table, if there is one."""
        return next((each.class_ for each in self.base.registry.mappers if each.local_table is table), None)


def packs() -> list[Pack]:
    """Returns every pack that there is."""
    found = []
    for each in pkgutil.iter_modules(tenantry.packs.__path__):
        module, called = importlib.import_module(f"tenantry.packs.{each.name}"), each.name.capitalize()
        found.append(Pack(each.name, getattr(module, f"{called}Base"), getattr(module, called)))
    return found


@dataclass
class Side:
    """One tenant, the mark in each of its texts, and its rows by table."""

    slug: str
    id: uuid.UUID
    mark: str = field(default_factory=lambda: f"mark{secrets.token_hex(5)}")
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fill(self, session: Session, tables: list[Table]) -> None:
        """Adds a row to each table, which refers to those of the tables before."""
        for table in tables:
            row = {**_row(table, self), **self._references(session, table)}
            session.execute(insert(table).values(row))
            kept = session.execute(select(table).where(table.c.tenant_id == self.id)).mappings().first()
            assert kept is not None, f"{table.name} took a row, and shows none"
            self.rows[table.name] = dict(kept)

    def _references(self, session: Session, table: Table) -> dict[str, Any]:
        """Returns what the row's references hold: each another row; nothing where there is none yet."""
        known: dict[str, Any] = {}
        taken: set[str] = set()
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
            parent = constraint.referred_table
            row = self.rows.get(parent.name)
            own = [element for element in constraint.elements if element.parent.name != "tenant_id"]
            if row is not None and own and parent.name in taken:
                row = {**row, **_fresh_key(parent)}
                session.execute(insert(parent).values(row))
            taken.add(parent.name)
            known |= {element.parent.name: row and row[element.column.name] for element in own}
        return known

    def is_in(self, seen: object) -> bool:
        """Returns whether anything of this tenant's is in what was seen."""
        told = str(seen)
        return any(sign in told for sign in (self.mark, str(self.id), self.id.hex))


class Scene:
    """One pack in one cell: tenant A, whose sessions try, and tenant B, whose rows they are not to reach."""

    def __init__(
        self, pack: Pack, cell: str, tenancies: Mapping[str, Tenancy], *, made: list[Any], without: str | None
    ) -> None:
        # Held, as an application holds them: what nobody holds knows of nothing.
        self.made = made
        self.pack = pack
        self.cell = cell
        self.tenancies = tenancies
        self.doors = list(tenancies)
        self.tables = [table for table in pack.walled() if table.info.get(BEHAVIOUR, "") != without]
        self.a, self.b = (self._side(name) for name in ("alfa", "bravo"))
        self.runner = asyncio.Runner()

    @property
    def tenancy(self) -> Tenancy:
        return next(iter(self.tenancies.values()))

    def state(self, side: Side) -> dict[str, list[str]]:
        """Returns all rows of a tenant, as its own session sees them."""
        with self.tenancy.session(side.id) as session:
            return {table.name: sorted(map(str, session.execute(select(table)).all())) for table in self.tables}

    def attempt(self, door: str, work: Callable[[Session], Any]) -> Any:
        """Returns what *work* gives with a fresh session of A, or the refusal; nothing is committed before it ends."""
        tenancy = self.tenancies[door]
        if door == "sync":
            with tenancy.session(self.a.id) as session:
                return _attempted(session, work)
        return self.runner.run(self._attempt_awaited(tenancy, work))

    async def _attempt_awaited(self, tenancy: Tenancy, work: Callable[[Session], Any]) -> Any:
        async with tenancy.aio.session(self.a.id) as session:
            return await session.run_sync(lambda inner: _attempted(inner, work))

    def close(self) -> None:
        for tenancy in self.tenancies.values():
            self.runner.run(tenancy.aio.close())
        self.runner.close()
        if self.cell == "postgresql-database":
            for side in (self.a, self.b):
                self.tenancy.tenants.erase(side.slug, confirm=side.slug)
        for tenancy in self.tenancies.values():
            tenancy.close()

    def _side(self, name: str) -> Side:
        slug = f"{name}-{self.pack.name}-{self.cell}"
        side = Side(slug, self.tenancy.tenants.create(slug, isolation=CELLS[self.cell]).id)
        with self.tenancy.transaction(side.id) as session:
            side.fill(session, self.tables)
        return side


def _attempted(session: Session, work: Callable[[Session], Any]) -> Any:
    try:
        seen = work(session)
        session.commit()
    except (TenantryError, SQLAlchemyError) as error:
        session.rollback()
        return error
    return seen


@contextmanager
def scene(pack: Pack, cell: str, server: Any, directory: Path, *, without: str | None = None) -> Iterator[Scene]:
    """Lends a pack, installed as for production: by an owner, entered by a login that may do nothing but work.

    The tables of a behaviour that keeps count of its own rows may stay *without* any.
    """
    with ExitStack() as ends:
        if cell.startswith("sqlite"):
            tenancies = {"sync": Tenancy(f"sqlite:///{directory}", models=pack.base)}
            tenancies["aiosqlite"] = tenancies["sync"]
        else:
            tenancies = _on_postgresql(pack, server, ends)
        made = [pack.make(tenancy) for tenancy in dict.fromkeys(tenancies.values())]
        tenancies["sync"].install(create_tables=True)
        found = Scene(pack, cell, tenancies, made=made, without=without)
        ends.callback(found.close)
        yield found


def _on_postgresql(pack: Pack, server: Any, ends: ExitStack) -> dict[str, Tenancy]:
    url = ends.enter_context(server.lend_database())
    owner = Tenancy(url, models=pack.base)
    owner.install()
    names = {role: f"everything_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
    urls = {role: owner.create_login(name, role=role) for role, name in names.items()}
    owner.close()
    ends.callback(_drop_roles, server, list(names.values()))
    others = {"owner_url": url, "operator_url": urls["operator"], "platform_url": urls["platform"]}
    asyncpg = urls["app"].replace("postgresql:", "postgresql+asyncpg:")
    return {
        "sync": Tenancy(urls["app"], models=pack.base, **others),
        "asyncpg": Tenancy(asyncpg, models=pack.base, **others),
    }


def _drop_roles(server: Any, names: list[str]) -> None:
    with server.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')


# --- rows ------------------------------------------------------------------------------------------------------------


def _row(table: Table, side: Side) -> dict[str, Any]:
    chosen = _choices(table)
    row: dict[str, Any] = {}
    for column in table.c:
        if column.computed is not None or column.name == "tenant_id":
            continue
        fills_itself = column.default is not None or column.server_default is not None
        if column.name in chosen and not fills_itself:
            row[column.name] = chosen[column.name]
        elif not fills_itself and (not column.nullable or _holds_text(column)):
            row[column.name] = _value(column, side)
    if table.c.keys()[:2] == ["tenant_id", "id"] and table.info.get("tenantry") is Ownership.RECORD:
        row["id"] = side.id
    return {**row, **KNOWN.get(table.name, {}), "tenant_id": side.id}


def _choices(table: Table) -> dict[str, str]:
    """Returns the first word that each column takes which takes only some."""
    checks = [str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)]
    return {found[1]: found[2] for check in checks for found in re.finditer(r"(\w+) IN \('([^']+)'", check)}


def _holds_text(column: Column[Any]) -> bool:
    return isinstance(_plain(column), String | JSON) and not column.foreign_keys


def _plain(column: Column[Any]) -> Any:
    kind: Any = column.type
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def _value(column: Column[Any], side: Side) -> Any:
    kind = _plain(column)
    if isinstance(column.type, Money):
        return Decimal(1)
    if isinstance(column.type, SecretReference):
        return f"env:{side.mark}"
    if isinstance(kind, String):
        return side.mark[: kind.length] if kind.length else side.mark
    made = {
        Uuid: uuid.uuid4,
        JSON: lambda: {"secret": side.mark},
        Boolean: lambda: True,
        DateTime: lambda: NOW,
        Float: lambda: 0.5,
        Integer: lambda: 1,
        Numeric: lambda: 1,
        LargeBinary: side.mark.encode,
    }
    return next(make() for wanted, make in made.items() if isinstance(kind, wanted))


# --- routes ----------------------------------------------------------------------------------------------------------


def reads(pack: Pack, table: Table, b: Side) -> Iterator[tuple[str, Callable[[Session], Any]]]:
    """Yields ways to read a tenant's rows of a table: by Core, by text, by the ORM."""
    other = table.alias("other")
    inner = select(table).cte("inner_rows")
    statements = {
        "core": select(table),
        "core, by tenant": select(table).where(table.c.tenant_id == b.id),
        "core, alias": select(other).where(other.c.tenant_id == b.id),
        "core, union": union_all(select(table.c.tenant_id), select(other.c.tenant_id)),
        "core, cte": select(inner),
        "core, subquery": select(table).where(table.c.tenant_id.in_(select(other.c.tenant_id))),
        "core, key": select(*table.primary_key.columns),
        "core, greatest": select(func.max(_as_text(other.c.tenant_id)), func.min(_as_text(other.c.tenant_id))),
    }
    for name, statement in statements.items():
        yield name, lambda session, statement=statement: session.execute(statement).all()
    for name, spelling in {
        "text": 'SELECT * FROM "{}"',
        "text, or": 'SELECT * FROM "{}" WHERE tenant_id = :b OR 1 = 1',
        "text, cte": 'WITH x AS (SELECT * FROM "{}") SELECT * FROM x WHERE tenant_id = :b',
        "text, exists": 'SELECT * FROM "{0}" AS x WHERE EXISTS (SELECT 1 FROM "{0}" AS y WHERE y.tenant_id = :b) AND'
        " x.tenant_id = :b",
    }.items():
        sent = _text(spelling, table, b)
        yield name, lambda session, sent=sent: session.execute(sent).all()
    model = pack.model_of(table)
    if model is not None:
        yield from _orm_reads(model, table, b)


def _orm_reads(model: Any, table: Table, b: Side) -> Iterator[tuple[str, Callable[[Session], Any]]]:
    def shown(found: Any) -> list[Any]:
        return [{name: getattr(row, name) for name in row.__mapper__.columns.keys()} for row in found if row]  # noqa: SIM118  # attributes, by name

    key = tuple(b.rows[table.name][column.name] for column in table.primary_key)
    together = [joinedload(getattr(model, each.key)) for each in model.__mapper__.relationships]
    yield "orm", lambda session: shown(session.scalars(select(model)).unique())
    yield "orm, by tenant", lambda session: shown(session.query(model).filter(model.tenant_id == b.id))
    yield "orm, by key", lambda session: shown([session.get(model, key)])
    yield "orm, joined", lambda session: shown(session.scalars(select(model).options(*together)).unique())
    yield (
        "orm, from text",
        lambda session: shown(
            session.scalars(select(model).from_statement(_text('SELECT * FROM "{}" WHERE tenant_id = :b', table, b)))
        ),
    )


def spellings(scene: Scene, table: Table) -> Iterator[str]:
    """Yields other names under which the rows of B may stand."""
    physical = scene.tenancy.tenants.get(scene.b.slug).physical
    if scene.cell.startswith("sqlite"):
        yield from (
            f'main."{table.name}__rows"',
            f'"{table.name}__rows"',
            f'main."{table.name}"',
            f'temp."{table.name}"',
        )
    else:
        yield from (f'public."{table.name}"', f'"{physical}"."{table.name}"')


def writes(pack: Pack, table: Table, a: Side, b: Side) -> Iterator[tuple[str, Callable[[Session], Any]]]:
    """Yields ways to change B's rows of a table, or to make some; each gives how many rows it touched."""
    own = {column.name: table.c[column.name] for column in list(table.c)[-1:]}
    statements = {
        "core, update": update(table).where(table.c.tenant_id == b.id).values(own),
        "core, delete": delete(table).where(table.c.tenant_id == b.id),
        "core, insert": insert(table).values({**b.rows[table.name], **_fresh_key(table)}),
        "text, update": _text('UPDATE "{}" SET tenant_id = tenant_id WHERE tenant_id = :b', table, b),
        "text, take": _text('UPDATE "{}" SET tenant_id = :a WHERE tenant_id = :b', table, b, a),
        "text, give": _text('UPDATE "{}" SET tenant_id = :b', table, b),
        "text, delete": _text('DELETE FROM "{}" WHERE tenant_id = :b', table, b),
    }
    for name, statement in statements.items():
        yield name, lambda session, statement=statement: session.execute(statement).rowcount
    model = pack.model_of(table)
    if model is not None:
        by_orm = update(model).where(model.tenant_id == b.id).values(tenant_id=a.id)
        yield "orm, update", lambda session: session.execute(by_orm).rowcount
        yield "orm, delete", lambda session: session.execute(delete(model).where(model.tenant_id == b.id)).rowcount


def _fresh_key(table: Table) -> dict[str, Any]:
    """Returns another key than that of the row that is there already."""
    makes = {Uuid: uuid.uuid4, Integer: lambda: 4711, String: lambda: secrets.token_hex(5)}
    keys = [column for column in table.primary_key if column.name != "tenant_id" and not column.foreign_keys]
    return {key.name: next(make() for kind, make in makes.items() if isinstance(_plain(key), kind)) for key in keys}


def _as_text(column: Any) -> Any:
    from sqlalchemy import Text, cast

    return cast(column, Text)


def _text(spelling: str, table: Table, b: Side, a: Side | None = None) -> Any:
    sent = text(spelling.format(table.name))
    named = {"b": b, **({"a": a} if a else {})}
    bound = [bindparam(name, side.id, type_=Uuid()) for name, side in named.items() if f":{name}" in spelling]
    return sent.bindparams(*bound)


def keeps(table: Table) -> bool:
    """Returns whether the table's rows stay as they were written."""
    return is_append_only(table)
