"""Which implementation of Alembic's operations serves a home, and what surrounds its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from alembic.runtime.migration import MigrationContext

from tenantry.fleet.operations.implementing import HomeImpl
from tenantry.fleet.operations.postgres import PostgresHome
from tenantry.fleet.operations.sqlite import SqliteHome


def home_impl(context: MigrationContext) -> HomeImpl:
    """Returns the implementation for the home that the context was made for."""
    arguments = context.dialect, context.connection, context.as_sql, True, context.output_buffer, context.opts
    if context.dialect.name == "postgresql":
        return PostgresHome(*arguments)
    impl = SqliteHome(*arguments)
    impl.context = context
    return impl


@contextlib.contextmanager
def prepared(context: MigrationContext) -> Iterator[None]:
    """Prepares a home for operations, and finishes it unless they failed.

    Raises: OrphansFound.
    """
    impl = context.impl
    if isinstance(impl, SqliteHome) and not context.as_sql:
        with impl.taken_down():
            yield
    else:
        yield


def touched(context: MigrationContext) -> Mapping[str, int]:
    """Returns how many rows the data steps of a context touched so far, by table."""
    impl = context.impl
    return dict(impl.touched) if isinstance(impl, HomeImpl) else {}
