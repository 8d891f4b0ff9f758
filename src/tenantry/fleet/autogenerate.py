"""What ``revision --autogenerate`` compares in one home, and what it writes of ours into the new revision."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from alembic.operations import MigrateOperation, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table

from tenantry.fleet.autogenerate_history import tables_made
from tenantry.fleet.autogenerate_ops import arranged, completed, right_op, without_identities
from tenantry.fleet.autogenerate_types import render_item
from tenantry.fleet.autogenerate_walls import Standing, lacking, standing_tables
from tenantry.fleet.homes import HomeKind
from tenantry.fleet.operations.dialects import FileDialect
from tenantry.fleet.operations.implementing import HomeImpl
from tenantry.fleet.operations.sqlite import SqliteHome
from tenantry.fleet.operations.verbs import AppendOnlyOp
from tenantry.fleet.sites import Site
from tenantry.isolation.fencing_names import is_of_fence
from tenantry.isolation.searching import is_of_search
from tenantry.models import SHARED_SCHEMA, Ownership, is_append_only, is_walled, owned_tables, ownership

Found = tuple[str, bool]

_WITH_PLATFORM: Final = frozenset({HomeKind.COMMON, HomeKind.PLATFORM})


class Comparison:
    """One home compared with the models: which tables count, and what the revision says of them."""

    def __init__(self, site: Site, scripts: ScriptDirectory) -> None:
        self._site = site
        self._scripts = scripts
        self._context: MigrationContext | None = None

    def options(self) -> dict[str, Any]:
        """Returns Alembic's options for comparing and writing."""
        return {
            "include_schemas": Ownership.SHARED in self._compared,
            "include_name": self._include_name,
            "include_object": self._include_object,
            "compare_type": True,
            "compare_server_default": True,
            "render_as_batch": not self._site.on_postgres,
            "render_item": render_item,
            "process_revision_directives": self._process,
        }

    def watch(self, context: MigrationContext) -> None:
        """Takes the context through which the home can be asked."""
        self._context = context
        if isinstance(context.dialect, FileDialect):
            # Shared tables that the models have forgotten are known to the history alone.
            context.dialect.shared |= {name for name, schema in self._made.items() if schema == SHARED_SCHEMA}

    @cached_property
    def _compared(self) -> frozenset[Ownership]:
        # Shared tables of a SQLite server stand twice; the masters are compared.
        elsewhere = {Ownership.SHARED} if self._site.stored else set()
        return self._site.holds - elsewhere

    @cached_property
    def _standing(self) -> Mapping[Found, Standing]:
        if self._context is None or self._context.connection is None or not self._site.on_postgres:
            return {}
        found = standing_tables(self._context.connection, self._site.server.config)
        return {(table.name, table.shared): table for table in found}

    @cached_property
    def _made(self) -> Mapping[str, str | None]:
        return tables_made(self._scripts)

    def _include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name is None or (name == SHARED_SCHEMA and Ownership.SHARED in self._compared)
        if kind != "table" or name is None:
            return name is None or not is_of_search(name)
        if is_of_fence(name):
            return False
        schema = parents["schema_name"]
        table = self._model(name, schema)
        if table is not None:
            return ownership(table) in self._compared
        return self._is_ours(name, schema) and self._owner(name, schema) in self._compared

    def _include_object(self, item: Any, _: str | None, kind: str, reflected: bool, __: Any) -> bool:
        return kind != "table" or reflected or ownership(item) in self._compared

    def _model(self, name: str, schema: str | None) -> Table | None:
        key = name if schema is None else f"{schema}.{name}"
        return self._site.server.metadata.tables.get(key)

    def _is_ours(self, name: str, schema: str | None) -> bool:
        """Returns whether a table that the models do not know was made by us, so that it may be dropped."""
        if self._site.on_postgres:
            standing = self._standing.get((name, schema == SHARED_SCHEMA))
            return standing is not None and (standing.walled or name in self._made)
        return self._is_walled(name) or name in self._made

    def _is_walled(self, name: str) -> bool:
        impl = None if self._context is None else self._context.impl
        return isinstance(impl, HomeImpl) and impl.known.walled(name) is True

    def _owner(self, name: str, schema: str | None) -> Ownership:
        table = self._model(name, schema)
        known = None if table is None else ownership(table)
        if known is not None:
            return known
        if schema == SHARED_SCHEMA:
            return Ownership.SHARED
        if self._is_walled(name):
            return Ownership.TENANT
        return Ownership.PLATFORM if self._site.home.kind in _WITH_PLATFORM else Ownership.TENANT

    def _owned(self, operations: Iterable[MigrateOperation]) -> Iterator[tuple[MigrateOperation, Ownership]]:
        for operation in operations if self._site.on_postgres else without_identities(operations):
            named: Any = operation
            yield operation, self._owner(named.table_name, named.schema)

    def _rights(self) -> Iterator[tuple[MigrateOperation, Ownership]]:
        tables = owned_tables(self._site.server.metadata, *self._compared)
        for table, owner in lacking(list(self._standing.values()), tables, self._site.server.config):
            yield right_op(table.name, owner), owner

    def _is_to_keep(self, name: str) -> bool:
        table = self._model(name, None)
        return table is not None and is_append_only(table)

    def _keeps(self, name: str) -> bool:
        """Returns whether the rows of a walled table that stands are kept as they are."""
        if self._site.on_postgres:
            standing = self._standing.get((name, False))
            return standing is not None and standing.append_only
        impl = None if self._context is None else self._context.impl
        return isinstance(impl, SqliteHome) and name in impl.references.append_only

    def _turns(self, new: Container[str]) -> Iterator[AppendOnlyOp]:
        """Yields what makes tables append-only that stand and were not, and the other way round."""
        for table in owned_tables(self._site.server.metadata, *self._compared):
            wanted = self._is_to_keep(table.name)
            if is_walled(table) and table.name not in new and self._keeps(table.name) is not wanted:
                yield AppendOnlyOp(table.name, on=wanted)

    def _process(self, _: MigrationContext, __: Any, directives: list[ops.MigrationScript]) -> None:
        upgrades, downgrades = directives[0].upgrade_ops_list, directives[0].downgrade_ops_list
        up, down = upgrades.pop(), downgrades.pop()
        made: Iterable[Any] = up.ops
        turns = list(self._turns({made.table_name for made in made if isinstance(made, ops.CreateTableOp)}))
        turned, back = ([(turn, Ownership.TENANT) for turn in given] for given in (turns, [t.reverse() for t in turns]))
        up.ops = completed([*self._owned(up.ops), *self._rights(), *turned], append_only=self._is_to_keep)
        down.ops = completed([*back, *self._owned(down.ops)], append_only=self._keeps)
        if upgrades:
            # The homes of one SQLite server share a revision.
            up.ops, down.ops = upgrades.pop().ops + up.ops, down.ops + downgrades.pop().ops
        up.ops, down.ops = arranged(up.ops, upwards=True), arranged(down.ops, upwards=False)
        upgrades.append(up)
        downgrades.append(down)
