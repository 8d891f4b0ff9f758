"""One database seen with the models in hand: which of its tables are whose, and who must not reach what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sqlalchemy import MetaData, Table

from tenantry.catalog.tables import CATALOG_SCHEMA
from tenantry.doctor.snapshot import PUBLIC, Policy, Relation, Snapshot
from tenantry.isolation.searching import plan_of
from tenantry.isolation.wall import POLICY, context, quote
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_append_only, owned_tables
from tenantry.settings import Config

_WALLED: Final = (Ownership.TENANT, Ownership.RECORD)
PHYSICAL: Final = re.compile(r"t_[0-9a-f]{32}")


@dataclass(frozen=True)
class Audience:
    """The roles whose rights count: each group with its logins and every role that those are members of."""

    app: frozenset[str]
    platform: frozenset[str]
    operator: frozenset[str]
    operator_bypasses: bool

    @property
    def everybody(self) -> frozenset[str]:
        """All of them."""
        return self.app | self.platform | self.operator


@dataclass(frozen=True)
class Scene:
    """A snapshot, the models that should stand in it, and the roles that may reach it.

    *tenant_schemas* are the placements in it; *home* is whether it holds the common tables of a server.
    """

    snapshot: Snapshot
    metadata: MetaData
    config: Config
    audience: Audience
    prefix: str
    tenant_schemas: frozenset[str]
    home: bool
    holds_catalog: bool

    @cached_property
    def walled_names(self) -> frozenset[str]:
        """The names of the tables that every placement must have."""
        return frozenset(table.name for table in owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD))

    @cached_property
    def append_only_names(self) -> frozenset[str]:
        """The names of those whose rows stay as they were written."""
        tables = owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD)
        return frozenset(table.name for table in filter(is_append_only, tables))

    @cached_property
    def searched(self) -> Mapping[str, Table]:
        """The tables of the models that are searched, by name."""
        return {table.name: table for table in owned_tables(self.metadata, *_WALLED) if plan_of(table) is not None}

    @cached_property
    def walled(self) -> Mapping[int, Relation]:
        """The tenant tables that stand here, in the common schema and in every tenant's."""
        schemas = self.tenant_schemas | {self.config.common_schema}
        return self._where(lambda found: found.schema in schemas and found.name in self.walled_names)

    @cached_property
    def platform(self) -> Mapping[int, Relation]:
        """The platform's tables that stand here."""
        names = self._names(Ownership.PLATFORM)
        return self._where(lambda found: self.home and (found.schema, found.name) in names)

    @cached_property
    def shared(self) -> Mapping[int, Relation]:
        """The shared tables that stand here."""
        names = self._names(Ownership.SHARED)
        return self._where(lambda found: (found.schema, found.name) in names)

    @cached_property
    def catalog(self) -> Mapping[int, Relation]:
        """The tables of Tenantry's catalog that stand here."""
        return self._where(lambda found: self.holds_catalog and found.schema == CATALOG_SCHEMA)

    @cached_property
    def children(self) -> Mapping[int, Relation]:
        """The partitions and inheritance children, of any depth, of tenant tables."""
        found: set[int] = set()
        grown = True
        while grown:
            new = {
                child
                for child, parents in self.snapshot.parents.items()
                if child not in found and parents & (found | self.walled.keys())
            }
            found |= new
            grown = bool(new)
        return self._where(lambda relation: relation.oid in found and relation.oid not in self.walled)

    @cached_property
    def unknown(self) -> Mapping[int, Relation]:
        """The tables of other makers in the schemas that hold ours."""
        schemas = self.tenant_schemas | {self.config.common_schema, SHARED_SCHEMA}
        known = {*self.walled, *self.platform, *self.shared, *self.children}
        return self._where(
            lambda found: (
                found.is_table and found.schema in schemas and found.oid not in known and not found.of_extension
            )
        )

    def missing(self, schema: str) -> list[str]:
        """Returns the names of the tenant tables that *schema* lacks."""
        present = {relation.name for relation in self.walled.values() if relation.schema == schema}
        return sorted(self.walled_names - present)

    def missing_of_home(self) -> list[str]:
        """Returns the names of the platform's and the shared tables that the database lacks."""
        wanted = self._names(Ownership.PLATFORM, Ownership.SHARED) if self.home else self._names(Ownership.SHARED)
        present = {(found.schema, found.name) for found in self.snapshot.relations.values()}
        return sorted(f"{schema}.{name}" for schema, name in wanted - present)

    def title(self, what: Relation | str) -> str:
        """Returns how a finding names a thing of this database, or the database itself."""
        if what == self.snapshot.database and not self.home:
            return self.prefix.removesuffix("/")
        return self.prefix + (what.title if isinstance(what, Relation) else what)

    def rights(self, relation: Relation, roles: Iterable[str]) -> dict[str, list[str]]:
        """Returns what the given roles were granted on a relation, by role."""
        granted = self.snapshot.grants.get(relation.oid, {})
        return {role: granted[role] for role in sorted(set(roles) & granted.keys())}

    def policies(self, relation: Relation) -> list[Policy]:
        """Returns the policies of a relation."""
        return self.snapshot.policies.get(relation.oid, [])

    def isolation_policy(self, relation: Relation) -> Policy | None:
        """Returns the policy of a relation that bears our name."""
        return next((policy for policy in self.policies(relation) if policy.name == POLICY), None)

    def is_ours(self, policy: Policy) -> bool:
        """Whether a policy says exactly what install() would have it say."""
        roles = {self.config.role("app"), self.config.role("owner")}
        wanted = _tokens(f"{TENANT_COLUMN} = {context(self.config)}")
        tests = {_tokens(policy.using_test or ""), _tokens(policy.check_test or "")}
        return policy.permissive and policy.command == "*" and set(policy.roles) == roles and tests == {wanted}

    def is_walled(self, relation: Relation) -> bool:
        """Whether a relation stands behind the wall whole."""
        policy = self.isolation_policy(relation)
        others = [found for found in self.policies(relation) if found.permissive and found is not policy]
        ours = policy is not None and self.is_ours(policy)
        return relation.enabled and relation.forced and ours and not any(map(self.opens_to_app, others))

    def opens_to_app(self, policy: Policy) -> bool:
        """Whether a permissive policy lets rows through to anybody but the operator."""
        return policy.permissive and set(policy.roles) != {self.config.role("operator")}

    def _names(self, *kinds: Ownership) -> set[tuple[str, str]]:
        tables = owned_tables(self.metadata, *kinds)
        return {(table.schema or self.config.common_schema, table.name) for table in tables}

    def _where(self, wanted: Callable[[Relation], bool]) -> dict[int, Relation]:
        return {oid: found for oid, found in self.snapshot.relations.items() if wanted(found)}


def named(relation: Relation) -> str:
    """Returns a relation's name as SQL writes it."""
    return f"{quote(relation.schema)}.{quote(relation.name)}"


def holders(rights: Mapping[str, Iterable[str]]) -> str:
    """Returns rights in words: ``app: SELECT, TRUNCATE``."""
    return "; ".join(f"{role}: {', '.join(privileges)}" for role, privileges in rights.items())


def revokes(relation: Relation, rights: Mapping[str, Iterable[str]]) -> str:
    """Returns the SQL that takes rights on a relation back."""
    said = (f"REVOKE {', '.join(of)} ON {named(relation)} FROM {_grantee(role)};" for role, of in rights.items())
    return " ".join(said)


def _grantee(role: str) -> str:
    return "PUBLIC" if role == PUBLIC else quote(role)


def _tokens(expression: str) -> tuple[str, ...]:
    """Returns an expression's words without the casts, brackets and label that PostgreSQL adds on its way through."""
    plain = expression.lower().replace("::text", " ").replace("as current_setting", " ")
    return tuple(re.findall(r"'[^']*'|::|[\w.]+|[^\s\w()]", plain))


def extra(rights: Mapping[str, Iterable[str]], allowed: Iterable[str]) -> dict[str, list[str]]:
    """Returns the rights beyond *allowed*, by role."""
    permitted = set(allowed)
    beyond = {role: sorted(set(privileges) - permitted) for role, privileges in rights.items()}
    return {role: privileges for role, privileges in beyond.items() if privileges}


def in_order(relations: Mapping[int, Relation]) -> Iterator[Relation]:
    """Yields relations by name."""
    yield from sorted(relations.values(), key=lambda relation: relation.title)
