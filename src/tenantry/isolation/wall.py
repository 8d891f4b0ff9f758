"""The wall inside PostgreSQL, as statements: roles, schemas, policies, grants. Running them is another's job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from tenantry.isolation import appending
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_append_only, owned_tables, ownership
from tenantry.settings import Config

EXTENSIONS_SCHEMA: Final = "tenantry_extensions"
POLICY: Final = "tenantry_isolation"
OPERATOR_POLICY: Final = "tenantry_operator"
ROLES: Final = ("owner", "app", "platform", "operator")

_preparer: Final[IdentifierPreparer] = PGDialect().identifier_preparer  # type: ignore[no-untyped-call]  # left bare

# Large objects stand outside row-level security (HAZARDS A23).
_LARGE_OBJECT_FUNCTIONS: Final = (
    "lo_creat(integer)",
    "lo_create(oid)",
    "lo_from_bytea(oid, bytea)",
    "lo_import(text)",
    "lo_import(text, oid)",
    "lo_export(oid, text)",
    "lo_open(oid, integer)",
    "lo_put(oid, bigint, bytea)",
    "lo_get(oid)",
    "lo_get(oid, bigint, integer)",
    "lo_unlink(oid)",
    "lowrite(integer, bytea)",
    "loread(integer, integer)",
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one PostgreSQL server lets its owner do."""

    version: int
    superuser: bool
    may_bypass: bool

    @property
    def inherit_option(self) -> bool:
        """Whether a grant can say INHERIT FALSE (PostgreSQL 16)."""
        return self.version >= 160000


def quote(name: str) -> str:
    """Returns *name* as an identifier in SQL, quoted where it must be."""
    return _preparer.quote(name)


def qualified(table: Table) -> str:
    """Returns the table's name as the search path finds it; Shared tables keep their schema."""
    return _preparer.format_table(table)


def context(config: Config) -> str:
    """Returns the expression that every policy compares with; no context is an error, not silence."""
    # The sub-select makes it an InitPlan: 11 ms against 48 ms on 300,000 rows (HAZARDS S13).
    return f"(select current_setting('{config.context_setting}')::uuid)"


def closed_roles(config: Config) -> str:
    """Returns everybody but the owner, for a REVOKE of what an owner's default privileges may have granted."""
    return ", ".join(["PUBLIC", *(config.role(name) for name in ROLES if name != "owner")])


def role_statements(config: Config, capabilities: Capabilities) -> list[str]:
    """Returns what makes the group roles; running it again, or twice at once, is safe."""
    statements = [_create_role(config.role(name)) for name in ROLES]
    owner = config.role("owner")
    # The owner may step down to each of the others by SET ROLE, and has none of their rights without it.
    others = ", ".join(config.role(name) for name in ROLES if name != "owner")
    if capabilities.inherit_option:
        statements.append(f"GRANT {owner} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
        statements.append(f"GRANT {others} TO {owner} WITH INHERIT FALSE, SET TRUE")
    else:
        statements.append(f"ALTER ROLE {owner} NOINHERIT")
        statements.append(f"GRANT {owner} TO CURRENT_USER")
        statements.append(f"GRANT {others} TO {owner}")
    if capabilities.may_bypass:
        statements.append(f"ALTER ROLE {config.role('operator')} BYPASSRLS")
    return statements


def _create_role(name: str) -> str:
    # Roles belong to the whole server: two databases may install at once, past any lock of one of them.
    return (
        f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def database_statements(config: Config, database: str) -> list[str]:
    """Returns what closes one database to everybody and opens it to the four roles."""
    return [*door_statements(config, database), *schemas_statements(config)]


def door_statements(config: Config, database: str) -> list[str]:
    """Returns who may connect to a database: what PostgreSQL keeps outside it, and copies with no template."""
    roles = ", ".join(config.role(name) for name in ROLES)
    return [
        f"REVOKE ALL ON DATABASE {quote(database)} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {quote(database)} TO {roles}",
    ]


def schemas_statements(config: Config) -> list[str]:
    """Returns what makes the schemas and extensions inside a database, and who may enter them."""
    roles = ", ".join(config.role(name) for name in ROLES)
    app = config.role("app")
    statements = [
        *(line for name in (config.common_schema, EXTENSIONS_SCHEMA, SHARED_SCHEMA) for line in _opened(name, roles)),
        *(f"CREATE EXTENSION IF NOT EXISTS {quote(name)} SCHEMA {EXTENSIONS_SCHEMA}" for name in config.extensions),
        *(_revoke_function(signature) for signature in _LARGE_OBJECT_FUNCTIONS),
    ]
    if config.common_schema != "public":
        statements.append(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC, {app}")
    return statements


def _opened(schema: str, roles: str) -> list[str]:
    name = quote(schema)
    return [
        f"CREATE SCHEMA IF NOT EXISTS {name}",
        f"REVOKE ALL ON SCHEMA {name} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {name} TO {roles}",
    ]


def _revoke_function(signature: str) -> str:
    # Only a superuser may; elsewhere the doctor reports what PUBLIC kept.
    return (
        f"DO $$ BEGIN REVOKE EXECUTE ON FUNCTION pg_catalog.{signature} FROM PUBLIC; "
        f"EXCEPTION WHEN insufficient_privilege OR undefined_function THEN NULL; END $$"
    )


def table_statements(table: Table, config: Config, capabilities: Capabilities) -> list[str]:
    """Returns the wall and the grants of one table, by whose it is."""
    kind = ownership(table)
    if kind in (Ownership.TENANT, Ownership.RECORD):
        rights = append_only_statements if is_append_only(table) else _grants_of_walled
        return [*_wall(table, config, capabilities), *rights(table, config)]
    if kind is Ownership.SHARED:
        return _grants_of_shared(table, config)
    return _grants_of_platform(table, config)


def new_tables_statements(tables: Sequence[Table], config: Config, capabilities: Capabilities) -> list[str]:
    """Returns the wall and the grants of walled tables that were made just now, in as few statements as can be."""
    kept = [table for table in tables if is_append_only(table)]
    return [
        *(line for table in tables for line in _new_wall(table, config, capabilities)),
        *_new_grants([table for table in tables if table not in kept], config),
        *_kept(kept, config),
    ]


def _new_grants(tables: Sequence[Table], config: Config) -> list[str]:
    names = ", ".join(qualified(table) for table in tables)
    if not names:
        return []
    app, operator, platform = (config.role(name) for name in ("app", "operator", "platform"))
    return [
        f"REVOKE ALL ON {names} FROM PUBLIC, {platform}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {app}, {operator}",
    ]


def _kept(tables: Sequence[Table], config: Config) -> list[str]:
    """Returns the rights and triggers of append-only tables that have none yet."""
    if not tables:
        return []
    names = [qualified(table) for table in tables]
    return [
        appending.function_statement(config, schema=EXTENSIONS_SCHEMA),
        *appending.grant_statements(", ".join(names), config),
        *(line for name in names for line in appending.trigger_statements(name, schema=EXTENSIONS_SCHEMA)),
    ]


def append_only_statements(table: Table, config: Config) -> list[str]:
    """Returns the rights and triggers of an append-only table, whatever stood there."""
    return [*appending.untrigger_statements(qualified(table)), *_kept([table], config)]


def changeable_statements(table: Table, config: Config) -> list[str]:
    """Returns what makes an append-only table like any other."""
    return [*appending.untrigger_statements(qualified(table)), *_grants_of_walled(table, config)]


def _new_wall(table: Table, config: Config, capabilities: Capabilities) -> list[str]:
    enabling = f"ALTER TABLE {qualified(table)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    return [enabling, _isolation_policy(table, config), *_operator_policy(table, config, capabilities)]


def wall_statements(metadata: MetaData, config: Config, capabilities: Capabilities) -> list[str]:
    """Returns the walls and grants of every table in *metadata*."""
    tables = owned_tables(metadata)
    return [statement for table in tables for statement in table_statements(table, config, capabilities)]


def _wall(table: Table, config: Config, capabilities: Capabilities) -> list[str]:
    name = qualified(table)
    return [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {POLICY} ON {name}",
        _isolation_policy(table, config),
        f"DROP POLICY IF EXISTS {OPERATOR_POLICY} ON {name}",
        *_operator_policy(table, config, capabilities),
    ]


def _isolation_policy(table: Table, config: Config) -> str:
    test = f"{TENANT_COLUMN} = {context(config)}"
    return (
        f"CREATE POLICY {POLICY} ON {qualified(table)} AS PERMISSIVE FOR ALL "
        f"TO {config.role('app')}, {config.role('owner')} USING ({test}) WITH CHECK ({test})"
    )


def _operator_policy(table: Table, config: Config, capabilities: Capabilities) -> list[str]:
    if capabilities.may_bypass:
        return []
    return [
        f"CREATE POLICY {OPERATOR_POLICY} ON {qualified(table)} AS PERMISSIVE FOR ALL TO {config.role('operator')} "
        f"USING (true) WITH CHECK (true)"
    ]


def _grants_of_walled(table: Table, config: Config) -> list[str]:
    name = qualified(table)
    return [
        f"REVOKE ALL ON {name} FROM PUBLIC, {config.role('platform')}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {config.role('app')}, {config.role('operator')}",
    ]


def _grants_of_shared(table: Table, config: Config) -> list[str]:
    name = qualified(table)
    return [
        f"REVOKE ALL ON {name} FROM PUBLIC",
        f"GRANT SELECT ON {name} TO {config.role('app')}, {config.role('operator')}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {config.role('platform')}",
        *_sequence_grants(table, config),
    ]


def _grants_of_platform(table: Table, config: Config) -> list[str]:
    name = qualified(table)
    return [
        f"REVOKE ALL ON {name} FROM PUBLIC, {config.role('app')}, {config.role('operator')}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {config.role('platform')}",
        *_sequence_grants(table, config),
    ]


def _sequence_grants(table: Table, config: Config) -> Iterable[str]:
    column = table.autoincrement_column
    if column is None or column.identity is not None:
        return ()
    schema = f"{quote(table.schema)}." if table.schema else ""
    return (f"GRANT USAGE ON SEQUENCE {schema}{quote(f'{table.name}_{column.name}_seq')} TO {config.role('platform')}",)
