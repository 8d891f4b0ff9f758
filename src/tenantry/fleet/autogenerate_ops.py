"""Operations as generated revisions say them: walls after tables, and what is not a tenant's only where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Identity

from tenantry.fleet.operations.verbs import AppendOnlyOp, GrantPlatformOp, ShareOp, WallOp
from tenantry.models import Ownership
from tenantry.models.ownership import MARK

Owned = tuple[MigrateOperation, Ownership]


class HeldOps(ops.OpContainer):
    """Operations on tables that do not stand in every home."""

    def __init__(self, kind: Ownership, operations: list[MigrateOperation]) -> None:
        super().__init__(operations)
        self.kind = kind


def completed(operations: Iterable[Owned], *, append_only: Callable[[str], bool]) -> list[MigrateOperation]:
    """Returns operations with a wall or rights after each new table; those that are not tenants' are held.

    *append_only* tells by its name whether the rows of a tenant table stay as they are.
    """
    pairs = [(part, owner) for operation, owner in operations for part in _with_rights(operation, owner, append_only)]
    return [operation if owner.walled else HeldOps(owner, [operation]) for operation, owner in pairs]


def arranged(operations: Iterable[MigrateOperation], *, upwards: bool) -> list[MigrateOperation]:
    """Returns operations in an order in which they run: what refers to a table comes after it is made, or goes before.

    Those of one kind that follow each other are held together.
    """
    pairs = [pair for operation in operations for pair in _opened(operation)]
    moved = ops.DropTableOp if upwards else ops.CreateTableOp
    tables = {_table_of(operation) for operation, _ in pairs if isinstance(operation, moved)}
    of_those = [pair for pair in pairs if _table_of(pair[0]) in tables]
    others = [pair for pair in pairs if _table_of(pair[0]) not in tables]
    return _grouped([*others, *of_those] if upwards else [*of_those, *others])


def _opened(operation: MigrateOperation) -> list[Owned]:
    if isinstance(operation, HeldOps):
        return [(part, operation.kind) for part in operation.ops]
    return [(operation, Ownership.TENANT)]


def _grouped(pairs: Iterable[Owned]) -> list[MigrateOperation]:
    result: list[MigrateOperation] = []
    for operation, owner in pairs:
        last = result[-1] if result else None
        if owner.walled:
            result.append(operation)
        elif isinstance(last, HeldOps) and last.kind is owner:
            last.ops.append(operation)
        else:
            result.append(HeldOps(owner, [operation]))
    return result


def _table_of(operation: Any) -> tuple[str, str | None]:
    return operation.table_name, operation.schema


def without_identities(operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
    """Yields operations without those that would number rows in SQLite, which knows no identity columns."""
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            operation.ops = [change for change in operation.ops if not _is_identity(change)]
            if operation.is_empty():
                continue
        yield operation


def _is_identity(change: MigrateOperation) -> bool:
    if not isinstance(change, ops.AlterColumnOp):
        return False
    defaults = change.modify_server_default, change.existing_server_default
    if not any(isinstance(default, Identity) for default in defaults):
        return False
    change.modify_server_default = False
    return not change.has_changes()


def right_op(table_name: str, owner: Ownership) -> MigrateOperation:
    """Returns the operation that gives a table its wall or its rights."""
    if owner.walled:
        return WallOp(table_name)
    return ShareOp(table_name) if owner is Ownership.SHARED else GrantPlatformOp(table_name)


def _with_rights(
    operation: MigrateOperation, owner: Ownership, append_only: Callable[[str], bool]
) -> Iterator[MigrateOperation]:
    yield operation
    if isinstance(operation, ops.CreateTableOp):
        # Whose it is, the operations after it say.
        for mark in [mark for mark in operation.info if str(mark).startswith(MARK)]:
            operation.info.pop(mark)
        yield right_op(operation.table_name, owner)
        if owner.walled and append_only(operation.table_name):
            yield AppendOnlyOp(operation.table_name)


@renderers.dispatch_for(HeldOps)
def _render_held(context: AutogenContext, container: HeldOps) -> list[str]:
    lines = [line for operation in container.ops for line in render_op(context, operation)]
    return [f"if {_prefix(context)}holds({container.kind.value!r}):", *(lines or ["pass"]), ""]


@renderers.dispatch_for(WallOp)
def _render_wall(context: AutogenContext, operation: WallOp) -> str:
    return f"{_prefix(context)}wall({operation.table_name!r})"


@renderers.dispatch_for(AppendOnlyOp)
def _render_append_only(context: AutogenContext, operation: AppendOnlyOp) -> str:
    return f"{_prefix(context)}append_only({operation.table_name!r}{'' if operation.on else ', on=False'})"


@renderers.dispatch_for(ShareOp)
def _render_share(context: AutogenContext, operation: ShareOp) -> str:
    return f"{_prefix(context)}share({operation.table_name!r})"


@renderers.dispatch_for(GrantPlatformOp)
def _render_grant_platform(context: AutogenContext, operation: GrantPlatformOp) -> str:
    return f"{_prefix(context)}grant_platform({operation.table_name!r})"


def _prefix(context: AutogenContext) -> Any:
    return context.opts["alembic_module_prefix"]
