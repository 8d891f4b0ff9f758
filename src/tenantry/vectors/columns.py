"""The column of a vector: pgvector's type where the installation has it, else bytes, and bytes in SQLite."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Cast, ColumnElement, LargeBinary, String, Text, cast, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine

from tenantry.vectors.values import canonical, parsed


class Pgvector(String):
    """The type ``vector(n)`` of PostgreSQL's extension, whose values travel as text."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions

    def adapt(self, cls: Any, **kw: Any) -> Any:
        """Returns the same type: drivers know none of their own, and would make it their kind of text."""
        return Pgvector(self.dimensions)

    def bind_expression(self, bindvalue: Any) -> ColumnElement[Any]:
        """Returns the text as a vector: drivers know no such type."""
        return as_vector(bindvalue, self.dimensions)

    def column_expression(self, colexpr: Any) -> ColumnElement[Any]:
        """Returns the vector as text."""
        return cast(colexpr, Text)


class Embedding(TypeDecorator[bytes]):
    """A vector as 32-bit floats, least byte first; with *native* it is pgvector's own type on PostgreSQL.

    An archive carries it between the two kinds of database either way.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, dimensions: int, *, native: bool = False) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.native = native

    def __repr__(self) -> str:
        return f"Embedding({self.dimensions}, native={self.native})"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns the type that keeps it in this database."""
        if self._is_native(dialect):
            return Pgvector(self.dimensions)
        return dialect.type_descriptor(LargeBinary())

    def bind_expression(self, bindparam: Any) -> Any:
        """Returns the parameter as the type of this database wants it wrapped."""
        # Asked here, since what a decorator has once found of one dialect's type it keeps for every other's.
        wrapped = self.impl_instance.bind_expression(bindparam)
        return bindparam if wrapped is None else wrapped

    def column_expression(self, column: Any) -> Any:
        """Returns the column as the type of this database wants it read."""
        wrapped = self.impl_instance.column_expression(column)
        return column if wrapped is None else type_coerce(wrapped, self)

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        """Returns the vector as the database takes it."""
        return canonical(value) if value is not None and self._is_native(dialect) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        """Returns the bytes of a vector that the database gave."""
        return parsed(value) if value is not None and self._is_native(dialect) else value

    def _is_native(self, dialect: Dialect) -> bool:
        return self.native and dialect.name == "postgresql"


def as_vector(text: Any, dimensions: int) -> Cast[Any]:
    """Returns a text as a value of the extension's type."""
    return cast(cast(text, Text), Pgvector(dimensions))


@compiles(Pgvector)
def _name_of_type(type_: Pgvector, _: Any, **__: Any) -> str:
    return f"vector({type_.dimensions})"
