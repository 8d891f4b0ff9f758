"""Connections for the library's own work on SQLite files, and for the operator's look across tenants."""

from __future__ import annotations

import functools
import sqlite3
import time
from typing import Any, Final

from sqlalchemy import MetaData

from tenantry.isolation.searching_sqlite import must_be_trusted
from tenantry.isolation.sqlite_stored import quote, stored_name, walled_tables

_SETTINGS: Final = ("foreign_keys = ON", "recursive_triggers = ON", "synchronous = FULL")
_PATIENCE: Final = 30.0


class LibraryConnection(sqlite3.Connection):
    """A connection of the library's own: no tenant's statement ever runs on it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._keep_log()
        for setting in (*_SETTINGS, "trusted_schema = ON") if must_be_trusted() else _SETTINGS:
            self.execute(f"PRAGMA {setting}").close()

    def _keep_log(self) -> None:
        """Has the file keep a write-ahead log; two who make a file at once wait for each other."""
        # SQLite asks no busy handler where the mode changes: whoever comes second is refused at once.
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL").close()
                return
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Closes the connection and ends its transaction, as a tenant's connection does."""
        if self.in_transaction:
            self.rollback()
        super().close()


class OperatorConnection(LibraryConnection):
    """A connection to the common file on which the plain names show every tenant's rows, to read and not to change."""

    def __init__(self, *arguments: Any, views: tuple[str, ...], **options: Any) -> None:
        super().__init__(*arguments, **options)
        for view in views:
            self.execute(view).close()


def operator_factory(metadata: MetaData) -> functools.partial[OperatorConnection]:
    """Returns what to pass as ``factory`` to connect as the operator."""
    views = tuple(
        f"CREATE TEMP VIEW {quote(table.name)} AS SELECT * FROM main.{quote(stored_name(table))}"
        for table in walled_tables(metadata)
    )
    return functools.partial(OperatorConnection, views=views)
