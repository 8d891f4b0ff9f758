"""The statements that make an application's tables, compiled once and replayed wherever a tenant gets a home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import MetaData, Table, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler


def create_statements(
    metadata: MetaData, tables: Sequence[Table], dialect_name: str, *, compiler: type[DDLCompiler] | None = None
) -> list[str]:
    """Returns CREATE TABLE, CREATE INDEX and what the models' own DDL events add, in order."""

    def emit(bind: Any) -> None:
        metadata.create_all(bind, tables=list(tables), checkfirst=False)

    return _recorded(dialect_name, emit, compiler)


def _recorded(dialect_name: str, emit: Any, compiler: type[DDLCompiler] | None) -> list[str]:
    statements: list[str] = []

    def record(statement: ExecutableDDLElement | str, *_: Any, **__: Any) -> None:
        text = statement if isinstance(statement, str) else str(statement.compile(dialect=engine.dialect))
        statements.append(text.strip())

    driver = "postgresql+psycopg" if dialect_name == "postgresql" else dialect_name
    engine = create_mock_engine(f"{driver}://", record)
    if compiler is not None:
        engine.dialect.ddl_compiler = compiler
    emit(engine)
    return statements
