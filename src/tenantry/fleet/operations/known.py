"""What a migration knows of a home's tables: whose each is, and whether it stands behind a wall."""

from __future__ import annotations

from typing import Final

from alembic.util import CommandError
from sqlalchemy import Connection, text

from tenantry.fleet.homes import HomeKind
from tenantry.fleet.sites import Site
from tenantry.isolation.wall import quote
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, ownership

_ROW_SECURITY: Final = text("select relrowsecurity from pg_class where oid = to_regclass(:name)")
_COLUMNS: Final = text("select name from pragma_table_info(:name)")


class Known:
    """The tables of one home in one run: what the run did, what the database says, what the models say."""

    def __init__(self, site: Site, connection: Connection | None) -> None:
        self._site = site
        self._connection = connection
        self._seen: dict[str, Ownership | None] = {}
        self._raised: set[str] = set()

    def note(self, name: str, owner: Ownership | None) -> None:
        """Remembers whose a table is from now on; None for one that is nobody's or is gone."""
        self._seen[name] = owner
        self._raised.discard(name)

    def raised(self, name: str) -> None:
        """Remembers that the wall before a table was put up in this run."""
        self.note(name, Ownership.TENANT)
        self._raised.add(name)

    def is_raised(self, name: str) -> bool:
        """Returns whether the wall before a table was put up in this run."""
        return name in self._raised

    def renamed(self, old: str, new: str) -> None:
        """Remembers that a table has another name from now on."""
        owner, raised = self.ownership(old), self.is_raised(old)
        self.note(old, None)
        self.note(new, owner)
        if raised:
            self._raised.add(new)

    def ownership(self, name: str, schema: str | None = None) -> Ownership | None:
        """Returns whose a table is by what the run did, else by the models; None where neither knows it."""
        if schema == SHARED_SCHEMA:
            return Ownership.SHARED
        if name in self._seen:
            return self._seen[name]
        tables = self._site.server.metadata.tables
        table = tables.get(name)
        return None if table is None else ownership(table)

    def walled(self, name: str, schema: str | None = None) -> bool | None:
        """Returns whether the rows of a table are tenants'; None where nothing tells."""
        if schema == SHARED_SCHEMA:
            return False
        if name in self._seen:
            owner = self._seen[name]
            return owner is not None and owner.walled
        standing = None if self._connection is None else self._stands_walled(name, self._connection)
        if standing is not None:
            return standing
        owner = self.ownership(name)
        return None if owner is None else owner.walled

    def surely_walled(self, name: str, schema: str | None = None) -> bool:
        """Returns the same where an answer is needed.

        Raises: CommandError for a table that neither the models nor this run knows, where no database can be asked.
        """
        found = self.walled(name, schema)
        if found is None and self._connection is None:
            raise CommandError(
                f"Nothing tells without a database whose the table {name} is. Write tenant_id into the operation's "
                f"columns yourself, or run it on a database."
            )
        return bool(found)

    def left_out(self, name: str, schema: str | None = None) -> bool:
        """Returns whether operations on a table are another home's business."""
        owner = self.ownership(name, schema)
        if owner is not None:
            return owner not in self._site.holds
        # Tables that the models have forgotten are tenants', unless they stand here; `holds` guards the others.
        if self._site.home.kind is not HomeKind.PLATFORM or self._connection is None:
            return False
        return not _columns(self._connection, name)

    def _stands_walled(self, name: str, connection: Connection) -> bool | None:
        if self._site.on_postgres:
            found: bool | None = connection.scalar(_ROW_SECURITY, {"name": quote(name)})
            return found
        columns = _columns(connection, name)
        return TENANT_COLUMN in columns if columns else None


def _columns(connection: Connection, name: str) -> set[str]:
    return set(connection.scalars(_COLUMNS, {"name": name}))
