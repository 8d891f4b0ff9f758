"""SQLite as migrations speak it: one file that answers for two schemas, the application's own and the Shared one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, ForeignKeyConstraint
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler, SQLiteIdentifierPreparer
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.compiler import DDLCompiler

from tenantry.fleet.operations.references import References
from tenantry.models import SHARED_SCHEMA
from tenantry.models.foreign_keys import is_lifted

FILE: Final = "tenantry_file"
COMMON: Final = "tenantry_common"

_BY_TABLE: Final = (
    "get_columns",
    "get_pk_constraint",
    "get_unique_constraints",
    "get_check_constraints",
    "get_table_options",
    "get_table_comment",
    "has_table",
)


class _Preparer(SQLiteIdentifierPreparer):
    """Writes every table without a schema."""

    schema_for_object = staticmethod(lambda _: "")


class _FileCompiler(SQLiteDDLCompiler):
    """Keeps the foreign keys to Shared tables, which SQLite's own compiler drops as keys to another file."""

    def visit_foreign_key_constraint(self, constraint: ForeignKeyConstraint, **options: object) -> str:
        return DDLCompiler.visit_foreign_key_constraint(self, constraint, **options)


class _CommonCompiler(_FileCompiler):
    """Leaves out the actions of lifted keys, which triggers do in common tables."""

    def define_constraint_cascades(self, constraint: ForeignKeyConstraint) -> str:
        return "" if is_lifted(constraint) else super().define_constraint_cascades(constraint)


class FileDialect(SQLiteDialect_pysqlite):
    """A file whose Shared tables are found in their schema, and whose keys tell what triggers do for them."""

    driver = FILE
    supports_statement_cache = True
    preparer = _Preparer
    ddl_compiler = _FileCompiler

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shared: frozenset[str] = frozenset()
        self.references = References()

    def get_schema_names(self, connection: Connection, **_: Any) -> list[str]:
        """Returns the two schemas."""
        return ["main", SHARED_SCHEMA]

    def get_table_names(self, connection: Any, schema: Any = None, *arguments: Any, **options: Any) -> list[str]:
        """Returns the tables of one of the two schemas."""
        names: list[str] = super().get_table_names(connection, None, *arguments, **options)  # type: ignore[no-untyped-call]  # bare
        return [name for name in names if (name in self.shared) == (schema == SHARED_SCHEMA)]

    def get_indexes(self, connection: Any, table_name: str, schema: Any = None, **options: Any) -> list[Any]:
        """Returns the indexes of a table, those on expressions excepted: ``SqliteHome`` carries them over itself."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
            found: list[Any] = super().get_indexes(connection, table_name, None, **options)  # type: ignore[no-untyped-call]  # bare
        return found

    def get_foreign_keys(self, connection: Any, table_name: str, schema: Any = None, **options: Any) -> list[Any]:
        """Returns the foreign keys of a table with the actions that its triggers do."""
        keys: list[Any] = super().get_foreign_keys(connection, table_name, None, **options)  # type: ignore[no-untyped-call]  # bare
        for key in keys:
            if key["referred_table"] in self.shared:
                key["referred_schema"] = SHARED_SCHEMA
            actions = self.references.actions_of(table_name, key["constrained_columns"])
            key["options"] = {**key["options"], **actions}
        return keys


class CommonDialect(FileDialect):
    """The file of common tables."""

    driver = COMMON
    supports_statement_cache = True
    ddl_compiler = _CommonCompiler


def _in_one_file(name: str) -> Callable[..., Any]:
    asked = getattr(SQLiteDialect_pysqlite, name)

    @functools.wraps(asked)
    def ask(self: FileDialect, connection: Connection, table_name: str, schema: Any = None, **options: Any) -> Any:  # noqa: ARG001 - as inspectors call it
        return asked(self, connection, table_name, None, **options)

    return ask


for _name in _BY_TABLE:
    if hasattr(SQLiteDialect_pysqlite, _name):
        setattr(FileDialect, _name, _in_one_file(_name))

registry.register(f"sqlite.{FILE}", __name__, "FileDialect")
registry.register(f"sqlite.{COMMON}", __name__, "CommonDialect")
