"""Which implementation of Alembic's operations serves a home, and what surrounds its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext


def home_impl(context: MigrationContext) -> DefaultImpl:
    """Returns the implementation for the home that the context was made for."""
    return context.impl


@contextlib.contextmanager
def prepared(context: MigrationContext) -> Iterator[None]:
    """Prepares the home for operations, and finishes it unless they failed."""
    context.impl.start_migrations()
    yield
