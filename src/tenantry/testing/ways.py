"""The ways from one tenant's session to another's rows of a table: by Core, by text, by the ORM, by other spellings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Table, Text, bindparam, cast, delete, func, insert, select, text, union_all, update
from sqlalchemy.orm import Mapper, Session, joinedload
from sqlalchemy.types import Uuid

from tenantry.models import TENANT_COLUMN
from tenantry.testing.rows import Side, fresh_key
from tenantry.types import Tenant

Way = tuple[str, Callable[[Session], Any]]

# Whoever names no tenant sees its own rows by these.
OWN: Final = ("core", "text", "orm")

_TEXTS: Final = {
    "text": 'SELECT * FROM "{}"',
    "text, or": 'SELECT * FROM "{}" WHERE tenant_id = :b OR 1 = 1',
    "text, cte": 'WITH x AS (SELECT * FROM "{}") SELECT * FROM x WHERE tenant_id = :b',
    "text, exists": 'SELECT * FROM "{0}" AS x WHERE EXISTS (SELECT 1 FROM "{0}" AS y WHERE y.tenant_id = :b) AND'
    " x.tenant_id = :b",
}


def reads(model: Any, table: Table, b: Side) -> Iterator[Way]:
    """Yields ways to read a tenant's rows; *model* is the class mapped to the table, or None."""
    other = table.alias("other")
    inner = select(table).cte("inner_rows")
    its = table.c[TENANT_COLUMN]
    statements = {
        "core": select(table),
        "core, by tenant": select(table).where(its == b.id),
        "core, alias": select(other).where(other.c[TENANT_COLUMN] == b.id),
        "core, union": union_all(select(its), select(other.c[TENANT_COLUMN])),
        "core, cte": select(inner),
        "core, subquery": select(table).where(its.in_(select(other.c[TENANT_COLUMN]))),
        "core, key": select(*table.primary_key.columns),
        "core, greatest": select(func.max(_as_text(other)), func.min(_as_text(other))),
    }
    for name, statement in statements.items():
        yield name, partial(_all, statement=statement)
    for name, spelling in _TEXTS.items():
        yield name, partial(_all, statement=_text(spelling, table, b))
    if model is not None:
        yield from _orm_reads(model, table, b)


def writes(model: Any, table: Table, a: Side, b: Side) -> Iterator[Way]:
    """Yields ways to change B's rows of a table, or to make some; each gives how many rows it touched."""
    its = table.c[TENANT_COLUMN]
    last = list(table.c)[-1]
    statements = {
        "core, update": update(table).where(its == b.id).values({last.name: last}),
        "core, delete": delete(table).where(its == b.id),
        "core, insert": insert(table).values({**b.rows[table.name], **fresh_key(table)}),
        "text, update": _text('UPDATE "{}" SET tenant_id = tenant_id WHERE tenant_id = :b', table, b),
        "text, take": _text('UPDATE "{}" SET tenant_id = :a WHERE tenant_id = :b', table, b, a),
        "text, give": _text('UPDATE "{}" SET tenant_id = :b', table, b),
        "text, delete": _text('DELETE FROM "{}" WHERE tenant_id = :b', table, b),
    }
    if model is not None:
        statements["orm, update"] = update(model).where(model.tenant_id == b.id).values(tenant_id=a.id)
        statements["orm, delete"] = delete(model).where(model.tenant_id == b.id)
    for name, statement in statements.items():
        yield name, partial(_count, statement=statement)


def spellings(tenant: Tenant, table: Table, *, sqlite: bool) -> list[str]:
    """Returns other names under which a tenant's rows of a table may stand."""
    if sqlite:
        hidden = f"{table.name}__rows"
        return [f'main."{hidden}"', f'"{hidden}"', f'main."{table.name}"', f'temp."{table.name}"']
    return [f'public."{table.name}"', f'"{tenant.physical}"."{table.name}"']


def read_as_spelt(session: Session, spelt: str) -> Any:
    """Returns every row of what stands under a name."""
    return _all(session, statement=text(f"SELECT * FROM {spelt}"))


def mapped_to(models: Any, table: Table) -> Any:
    """Returns the class that is mapped to a table, or None where there is none, or the models are bare metadata."""
    registry = getattr(models, "registry", None)
    mappers: list[Mapper[Any]] = list(registry.mappers) if registry is not None else []
    return next((each.class_ for each in mappers if each.local_table is table), None)


def _orm_reads(model: Any, table: Table, b: Side) -> Iterator[Way]:
    key = tuple(b.rows[table.name][column.name] for column in table.primary_key)
    together = [joinedload(getattr(model, each.key)) for each in model.__mapper__.relationships]
    by_text = _text('SELECT * FROM "{}" WHERE tenant_id = :b', table, b)
    yield "orm", lambda session: _shown(session.scalars(select(model)).unique())
    yield "orm, by tenant", lambda session: _shown(session.query(model).filter(model.tenant_id == b.id))
    yield "orm, by key", lambda session: _shown([session.get(model, key)])
    yield "orm, joined", lambda session: _shown(session.scalars(select(model).options(*together)).unique())
    yield "orm, from text", lambda session: _shown(session.scalars(select(model).from_statement(by_text)))


def _shown(found: Any) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in _names(row)} for row in found if row]


def _names(row: Any) -> list[str]:
    return list(row.__mapper__.columns.keys())


def _all(session: Session, *, statement: Any) -> Any:
    return session.execute(statement).all()


def _count(session: Session, *, statement: Any) -> Any:
    return session.execute(statement).rowcount  # type: ignore[attr-defined]  # the result of what changes rows


def _as_text(table: Any) -> Any:
    return cast(table.c[TENANT_COLUMN], Text)


def _text(spelling: str, table: Table, b: Side, a: Side | None = None) -> Any:
    named = {"b": b, **({"a": a} if a else {})}
    bound = [bindparam(name, side.id, type_=Uuid()) for name, side in named.items() if f":{name}" in spelling]
    return text(spelling.format(table.name)).bindparams(*bound)
