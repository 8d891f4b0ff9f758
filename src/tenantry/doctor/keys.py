"""Whether keys keep the tenant in them: row-level security does not apply to foreign keys and unique violations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenantry.doctor.scene import Scene, in_order, named
from tenantry.doctor.snapshot import Relation
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN
from tenantry.types import Finding

_PAIR: Final = f"{TENANT_COLUMN}>{TENANT_COLUMN}"


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields what is wrong with the keys of the tenant tables of one database."""
    yield from _judge_tenant_columns(scene)
    yield from _judge_foreign_keys(scene)
    yield from _judge_uniques(scene)


def _judge_tenant_columns(scene: Scene) -> Iterator[Finding]:
    for relation in in_order(scene.walled):
        column = scene.snapshot.tenant_columns.get(relation.oid)
        fault = "is missing" if column is None else "may be null" if not column.required else None
        if column is not None and column.type != "uuid":
            fault = f"is {column.type}, not uuid"
        if fault:
            fix = f"ALTER TABLE {named(relation)} so that {TENANT_COLUMN} is uuid NOT NULL, as the models say."
            yield Finding("D404", f"{scene.title(relation)}.{TENANT_COLUMN}", f"The column {fault}.", fix)


def _judge_foreign_keys(scene: Scene) -> Iterator[Finding]:
    for key in sorted(scene.snapshot.foreign_keys, key=lambda key: (key.relation, key.name)):
        own, target = scene.walled.get(key.relation), scene.walled.get(key.target)
        if own is None or target is None or _PAIR in key.pairs:
            continue
        message = f"A row may refer to another tenant's row of {target.name}, and a cascade may delete it."
        columns = ", ".join(pair.partition(">")[0] for pair in key.pairs)
        others = ", ".join(pair.partition(">")[2] for pair in key.pairs)
        fix = (
            f"ALTER TABLE {named(own)} DROP CONSTRAINT {quote(key.name)}, "
            f"ADD FOREIGN KEY ({TENANT_COLUMN}, {columns}) REFERENCES {named(target)} ({TENANT_COLUMN}, {others});"
        )
        yield Finding("D401", f"{scene.title(own)}.{key.name}", message, fix)


def _judge_uniques(scene: Scene) -> Iterator[Finding]:
    keyed = {index.relation for index in scene.snapshot.uniques if index.is_primary}
    for relation in in_order(scene.walled):
        if relation.oid not in keyed:
            fix = f"ALTER TABLE {named(relation)} ADD PRIMARY KEY ({TENANT_COLUMN}, …), as the models say."
            yield Finding("D402", scene.title(relation), "The primary key is missing.", fix)
    for index in sorted(scene.snapshot.uniques, key=lambda index: (index.relation, index.name)):
        owner = scene.walled.get(index.relation)
        if owner is None:
            continue
        if index.is_primary and index.columns[0] != TENANT_COLUMN:
            yield _finding(scene, owner, index.name, code="D402", columns=index.columns)
        elif TENANT_COLUMN not in index.columns:
            yield _finding(scene, owner, index.name, code="D403", columns=index.columns)


def _finding(scene: Scene, relation: Relation, name: str, *, code: str, columns: list[str]) -> Finding:
    wanted = ", ".join([TENANT_COLUMN, *(column for column in columns if column != TENANT_COLUMN)])
    message = (
        "Its violation tells one tenant of another's row." if code == "D403" else "The tenant does not come first."
    )
    fix = f"Make it again over ({wanted}) instead of ({', '.join(columns)})."
    return Finding(code, f"{scene.title(relation)}.{name}", message, fix)
