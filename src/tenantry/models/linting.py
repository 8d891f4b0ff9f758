"""The linter: what cannot be walled is named, with what to do about it, all in one list."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Enum, MetaData, Sequence, Table, Uuid
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from tenantry.models import linting_kept, linting_keys, linting_names, linting_relationships
from tenantry.models.lifting import lift, looks_like_links
from tenantry.models.numbering import NUMBERED
from tenantry.models.ownership import SHARED_SCHEMA, TENANT_COLUMN, Ownership, ownership
from tenantry.models.relationships import mappers_on
from tenantry.types import Finding


def lint(metadata: MetaData) -> list[Finding]:
    """Returns what in the models cannot be walled, table by table; an empty list means that everything can.

    Lifts the metadata and configures its mappers first.
    """
    lift(metadata)
    tables = sorted(metadata.tables.values(), key=lambda table: table.fullname)
    findings = [finding for table in tables for finding in _judge_table(table)]
    findings += linting_names.judge(tables)
    return [*findings, *_judge_mappers(tables)]


def _judge_table(table: Table) -> Iterator[Finding]:
    kind = ownership(table)
    if kind is None:
        yield _ownerless(table)
        return
    if not table.primary_key.columns:
        yield Finding(
            "M004", table.fullname, "The table has no primary key.", "Declare one; leave views out of this metadata."
        )
    yield from _judge_schema(table, kind)
    yield from linting_keys.judge_foreign_keys(table)
    yield from linting_kept.judge(table)
    if kind.walled:
        yield from _judge_shape(table)
        yield from linting_keys.judge_uniqueness(table)
        yield from _judge_sequences(table)
    if kind is not Ownership.PLATFORM:
        yield from _judge_types(table)


def _ownerless(table: Table) -> Finding:
    if looks_like_links(table):
        message = "The association table links rows that are not all behind the wall."
        fix = "Make both ends TenantOwned, or give the table a class with Platform or Shared."
        return Finding("M001", table.fullname, message, fix)
    fix = "Give its class one of TenantOwned, TenantRecord, Platform, Shared."
    return Finding("M001", table.fullname, "The table does not say whose it is.", fix)


def _judge_schema(table: Table, kind: Ownership) -> Iterator[Finding]:
    if kind.walled and table.schema is not None:
        message = f"The table is bound to the schema {table.schema!r}, but a tenant's placement decides its schema."
        yield Finding("M010", table.fullname, message, "Drop schema= from the table and from its MetaData.")
    if kind is Ownership.SHARED and table.schema != SHARED_SCHEMA:
        message = f"The table is in schema {table.schema!r}, but shared tables stand in {SHARED_SCHEMA!r}."
        yield Finding("M011", table.fullname, message, "Drop schema= from the table.")


def _judge_shape(table: Table) -> Iterator[Finding]:
    column = table.c.get(TENANT_COLUMN)
    fault = "The table has no tenant_id." if column is None else _fault_of_tenant_column(column)
    if fault is not None:
        fix = "Drop your own tenant_id and inherit the one of the mixin; synonym('tenant_id') gives it another name."
        yield Finding("M003", table.fullname, fault, fix)
    elif ownership(table) is Ownership.RECORD and not isinstance(getattr(table.c.get("id"), "type", None), Uuid):
        message = "The id of a tenant's record is the tenant's id, a UUID, and this one cannot be."
        yield Finding("M003", table.fullname, message, "Keep the mixin's id; give a number of your own another name.")
    elif len(table.primary_key.columns) < 2:
        message = "The primary key holds nothing but tenant_id."
        yield Finding("M003", table.fullname, message, "Keep the mixin's id, or declare a key column of your own.")


def _fault_of_tenant_column(column: Column[object]) -> str | None:
    if not isinstance(column.type, Uuid):
        return f"tenant_id is declared as {column.type!r}, not as Uuid."
    if column.nullable:
        return "tenant_id may be null."
    if not column.primary_key:
        return "tenant_id is not in the primary key."
    return None


def _judge_sequences(table: Table) -> Iterator[Finding]:
    for column in table.columns:
        default = str(getattr(column.server_default, "arg", ""))
        numbered_for_all = column.identity is not None and NUMBERED not in column.info
        if isinstance(column.default, Sequence) or "nextval(" in default.lower() or numbered_for_all:
            message = "A sequence counts for all tenants together, so each can read from it what the others do."
            fix = "Use the mixin's id, or an integer id without a default: it is numbered for you."
            yield Finding("M012", f"{table.fullname}.{column.name}", message, fix)


def _judge_types(table: Table) -> Iterator[Finding]:
    for column in table.columns:
        if _makes_type(column.type):
            message = f"{column.type!r} makes a type in each schema, which breaks statements prepared for another."
            fix = "Use Enum(..., native_enum=False), or a plain type with a CHECK constraint."
            yield Finding("M013", f"{table.fullname}.{column.name}", message, fix)


def _makes_type(kind: TypeEngine[object]) -> bool:
    inner = getattr(kind, "item_type", None)
    if inner is not None:
        return _makes_type(inner)
    return isinstance(kind, DOMAIN) or (isinstance(kind, Enum) and kind.native_enum)


def _judge_mappers(tables: list[Table]) -> Iterator[Finding]:
    mappers = mappers_on(tables)
    for registry in {mapper.registry for mapper in mappers}:
        try:
            registry.configure()
        except SQLAlchemyError as error:
            yield Finding("M020", "mappers", f"SQLAlchemy cannot configure them: {error}", "Mend the relationship.")
            return
    for mapper in mappers:
        yield from linting_relationships.judge(mapper)
