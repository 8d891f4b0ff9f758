"""What revisions of ours may say beside Alembic's own words: ``op.wall``, ``op.share``, ``op.holds``, ``op.data``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations

from tenantry.errors import ConfigurationError
from tenantry.fleet.operations.implementing import HomeImpl
from tenantry.fleet.operations.postgres import PostgresHome
from tenantry.fleet.operations.statements import written
from tenantry.models import SHARED_SCHEMA, Ownership


@Operations.register_operation("wall")
class WallOp(MigrateOperation):
    """The wall before one table."""

    schema: str | None = None

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    @classmethod
    def wall(cls, operations: Operations, table_name: str) -> None:
        """Puts up the wall and the grants of a tenant table; running it again is safe."""
        operations.invoke(cls(table_name))

    def to_diff_tuple(self) -> tuple[str, str]:
        """Returns what ``alembic check`` shows."""
        return "add_wall", self.table_name


@Operations.register_operation("append_only")
class AppendOnlyOp(MigrateOperation):
    """Whether the rows of one tenant table stay as they were written."""

    schema: str | None = None

    def __init__(self, table_name: str, *, on: bool = True) -> None:
        self.table_name = table_name
        self.on = on

    @classmethod
    def append_only(cls, operations: Operations, table_name: str, *, on: bool = True) -> None:
        """Has the database refuse every change of a walled table's rows, or with ``on=False`` take them again."""
        operations.invoke(cls(table_name, on=on))

    def reverse(self) -> AppendOnlyOp:
        """Returns the operation that takes this one back."""
        return AppendOnlyOp(self.table_name, on=not self.on)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Returns what ``alembic check`` shows."""
        return "add_append_only" if self.on else "remove_append_only", self.table_name


@Operations.register_operation("search")
class SearchOp(MigrateOperation):
    """Whether one tenant table has what its search needs."""

    def __init__(self, table_name: str, *, on: bool = True) -> None:
        self.table_name = table_name
        self.on = on

    @classmethod
    def search(cls, operations: Operations, table_name: str, *, on: bool = True) -> None:
        """Puts up what the table's `Search` needs, as the models say now, or with ``on=False`` takes it down.

        On PostgreSQL a column that is searched can neither be dropped nor change its type while that stands. A tenant's
        SQLite file has it written anew at the end of every run.
        """
        operations.invoke(cls(table_name, on=on))


@Operations.register_operation("unwall")
class UnwallOp(MigrateOperation):
    """No wall before one table."""

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    @classmethod
    def unwall(cls, operations: Operations, table_name: str) -> None:
        """Takes down the wall of a table and every right on it, so that nobody but the owner reads it."""
        operations.invoke(cls(table_name))


@Operations.register_operation("share")
class ShareOp(MigrateOperation):
    """The rights on one Shared table."""

    schema: str | None = SHARED_SCHEMA

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    @classmethod
    def share(cls, operations: Operations, table_name: str) -> None:
        """Lets every tenant read a table of the Shared schema, and the platform write it."""
        operations.invoke(cls(table_name))

    def to_diff_tuple(self) -> tuple[str, str]:
        """Returns what ``alembic check`` shows."""
        return "add_share", self.table_name


@Operations.register_operation("grant_platform")
class GrantPlatformOp(MigrateOperation):
    """The rights on one Platform table."""

    schema: str | None = None

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    @classmethod
    def grant_platform(cls, operations: Operations, table_name: str) -> None:
        """Lets the platform, and no tenant, read and write a table."""
        operations.invoke(cls(table_name))

    def to_diff_tuple(self) -> tuple[str, str]:
        """Returns what ``alembic check`` shows."""
        return "add_grant_platform", self.table_name


@Operations.register_operation("holds")
class HoldsOp(MigrateOperation):
    """The question whose tables stand in the home."""

    def __init__(self, kind: Ownership) -> None:
        self.kind = kind

    @classmethod
    def holds(cls, operations: Operations, kind: str) -> bool:
        """Returns whether tables of a kind stand in this home: "tenant", "platform" or "shared"."""
        found: bool = operations.invoke(cls(Ownership(kind)))
        return found


@Operations.register_operation("data")
class DataOp(MigrateOperation):
    """One statement that changes rows."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement

    @classmethod
    def data(cls, operations: Operations, statement: Any) -> int | None:
        """Changes rows of every tenant by a text or Core statement, as the operator in the same transaction.

        Returns how many rows it touched, or None where SQL is only written.
        """
        touched: int | None = operations.invoke(cls(statement))
        return touched


@Operations.register_operation("rows")
class RowsOp(MigrateOperation):
    """One question about rows."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement

    @classmethod
    def rows(cls, operations: Operations, statement: Any) -> Sequence[Any]:
        """Returns what a text or Core SELECT finds among the rows of every tenant; it needs a database to ask."""
        found: Sequence[Any] = operations.invoke(cls(statement))
        return found


def _home(operations: Operations) -> HomeImpl:
    impl = operations.migration_context.impl
    if not isinstance(impl, HomeImpl):
        raise ConfigurationError(
            what="The revision uses an operation of Tenantry's, but its environment is another's.",
            fix="Let env.py call tenantry.fleet.environment.run(tenancy), as `tenantry fleet init` writes it.",
        )
    return impl


@Operations.implementation_for(WallOp)
def _wall(operations: Operations, operation: WallOp) -> None:
    impl = _home(operations)
    if not impl.known.left_out(operation.table_name):
        impl.wall(operation.table_name)


@Operations.implementation_for(AppendOnlyOp)
def _append_only(operations: Operations, operation: AppendOnlyOp) -> None:
    impl = _home(operations)
    if not impl.known.left_out(operation.table_name):
        impl.append_only(operation.table_name, on=operation.on)


@Operations.implementation_for(UnwallOp)
def _unwall(operations: Operations, operation: UnwallOp) -> None:
    impl = _home(operations)
    if isinstance(impl, PostgresHome):
        impl.unwall(operation.table_name)


@Operations.implementation_for(SearchOp)
def _search(operations: Operations, operation: SearchOp) -> None:
    impl = _home(operations)
    if not impl.known.left_out(operation.table_name):
        impl.search(operation.table_name, on=operation.on)


@Operations.implementation_for(ShareOp)
def _share(operations: Operations, operation: ShareOp) -> None:
    _grant(_home(operations), operation.table_name, Ownership.SHARED)


@Operations.implementation_for(GrantPlatformOp)
def _grant_platform(operations: Operations, operation: GrantPlatformOp) -> None:
    _grant(_home(operations), operation.table_name, Ownership.PLATFORM)


def _grant(impl: HomeImpl, table: str, owner: Ownership) -> None:
    # SQLite has nobody to give rights to.
    if isinstance(impl, PostgresHome) and owner in impl.site.holds:
        impl.grant(table, owner)


@Operations.implementation_for(HoldsOp)
def _holds(operations: Operations, operation: HoldsOp) -> bool:
    return operation.kind in _home(operations).site.holds


@Operations.implementation_for(DataOp)
def _data(operations: Operations, operation: DataOp) -> int | None:
    return _home(operations).change(operation.statement, written(operation.statement))


@Operations.implementation_for(RowsOp)
def _rows(operations: Operations, operation: RowsOp) -> Sequence[Any]:
    return _home(operations).rows(operation.statement)
