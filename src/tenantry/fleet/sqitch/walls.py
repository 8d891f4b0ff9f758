"""The walls that a change left out: put up in its own transaction, or the change does not stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table

from tenantry.fleet.sites import Site
from tenantry.isolation.wall import POLICY, Capabilities, quote, table_statements
from tenantry.models import SHARED_SCHEMA, owned_tables
from tenantry.models.ownership import is_walled
from tenantry.settings import Config
from tenantry.types import Finding

try:
    from psycopg import DatabaseError
except ImportError:  # nothing runs here without a connection
    DatabaseError = Exception  # type: ignore[assignment, misc]

# Another's lock, or its time was up: the same may succeed later.
_PASSING: Final = ("55P03", "40P01", "57014")

_RELATIONS: Final = f"""
select n.nspname, c.relname,
       c.relrowsecurity and c.relforcerowsecurity
       and exists(select 1 from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polname = '{POLICY}') as walled,
       c.relacl is not null as granted,
       exists(select 1 from pg_catalog.aclexplode(c.relacl) a
              where a.grantee = 0 or a.grantee = to_regrole(%s)) as open
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%s) and c.relkind in ('r', 'p', 'f', 'm')
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A table as it stands: behind its wall, with rights of its own, open to the app login or to everybody."""

    schema: str
    name: str
    walled: bool
    granted: bool
    open: bool

    def __str__(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


class Walls:
    """The walls of one home in PostgreSQL, on the owner's connection."""

    def __init__(self, site: Site, schema: str, *, capabilities: Capabilities) -> None:
        self._config: Config = site.tenancy.config
        self._capabilities = capabilities
        self._schema = schema
        kinds = site.holds
        self._tables = {
            (table.schema or schema, table.name): table for table in owned_tables(site.tenancy.metadata, *kinds)
        }
        self._open_before: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The walled tables that the models have in this home."""
        return frozenset(table.name for table in self._tables.values() if is_walled(table))

    def look(self, connection: Any) -> None:
        """Notes which tables that no model knows stand open already: those are not the next change's doing."""
        self._open_before = frozenset(map(str, self._strangers(self._standing(connection))))

    def forced(self, connection: Any) -> frozenset[str]:
        """Returns the walled tables of the models whose wall is up, for the owner too."""
        return self.names.intersection(relation.name for relation in self._standing(connection) if relation.walled)

    def raise_missing(self, connection: Any) -> list[Finding]:
        """Walls every table of the models that lacks it, and returns what stands open all the same."""
        standing = self._standing(connection)
        for relation in standing:
            table = self._tables.get((relation.schema, relation.name))
            if table is not None and not (relation.granted and (relation.walled or not is_walled(table))):
                finding = self._wall(connection, table, relation)
                if finding:
                    return [finding]
        return [_stranger(relation) for relation in self._strangers(standing) if str(relation) not in self._open_before]

    def shut(self, connection: Any) -> None:
        """Takes the rights on what stands without its wall from everybody but the owner."""
        roles = ", ".join(["PUBLIC", *(self._config.role(name) for name in ("app", "platform", "operator"))])
        for relation in self._standing(connection):
            table = self._tables.get((relation.schema, relation.name))
            unwalled = table is not None and is_walled(table) and not relation.walled
            if unwalled or (relation in self._strangers([relation]) and str(relation) not in self._open_before):
                connection.execute(f"REVOKE ALL ON {relation} FROM {roles}")

    def _wall(self, connection: Any, table: Table, relation: Standing) -> Finding | None:
        try:
            for statement in table_statements(table, self._config, self._capabilities):
                connection.execute(statement)
        except DatabaseError as error:
            if error.sqlstate is None or error.sqlstate in _PASSING:
                raise
            message = f"Its wall cannot be raised: {error.diag.message_primary}."
            return Finding("D303", str(relation), message, "Give it the columns that the models say, tenant_id first.")
        return None

    def _strangers(self, standing: Iterable[Standing]) -> Sequence[Standing]:
        known = self._tables
        return [
            relation
            for relation in standing
            if relation.open and not relation.walled and (relation.schema, relation.name) not in known
        ]

    def _standing(self, connection: Any) -> list[Standing]:
        schemas = [self._schema, *([SHARED_SCHEMA] if any(table.schema for table in self._tables.values()) else ())]
        rows = connection.execute(_RELATIONS, (self._config.role("app"), schemas), prepare=False).fetchall()
        return [Standing(*row) for row in rows]


def _stranger(relation: Standing) -> Finding:
    message = "The models do not know it, no wall stands before it, and the script opens it to the app login."
    fix = "Declare it in the models, or leave the GRANT out of the script."
    return Finding("D307", str(relation), message, fix)
