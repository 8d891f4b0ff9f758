"""Which tables of a PostgreSQL home stand without the wall or the rights that ``op.wall`` and its kin would give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, text

from tenantry.isolation.appending import TRIGGER, TRUNCATION
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, OPERATOR_POLICY, POLICY, context
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_append_only, ownership
from tenantry.settings import Config

_CHANGES: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_READS: Final = frozenset({"SELECT"})
_PUBLIC: Final = "public"

_STANDING: Final = text(
    """
    select c.relname as name, nullif(n.nspname = :shared, false) as shared,
           c.relrowsecurity and c.relforcerowsecurity as forced,
           (select coalesce(json_agg(json_build_array(
                p.polname, p.polpermissive, p.polcmd,
                pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
                (select json_agg(coalesce(r.rolname, 'public') order by r.rolname)
                 from unnest(p.polroles) as held(role) left join pg_roles r on r.oid = held.role))), '[]')
            from pg_policy p where p.polrelid = c.oid) as policies,
           (select coalesce(json_agg(json_build_array(coalesce(r.rolname, 'public'), held.privilege_type)), '[]')
            from aclexplode(c.relacl) as held left join pg_roles r on r.oid = held.grantee) as rights,
           (select coalesce(json_agg(coalesce(r.rolname, 'public')), '[]')
            from pg_attribute a, aclexplode(a.attacl) as held left join pg_roles r on r.oid = held.grantee
            where a.attrelid = c.oid and not a.attisdropped) as by_column,
           (select rolbypassrls from pg_roles where rolname = :operator) as bypassed,
           (select count(*) = 2 from pg_trigger t where t.tgrelid = c.oid and t.tgname::text = any(:keeping)
              and t.tgenabled in ('O', 'A')) as append_only
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname::text <> :extensions
      and (pg_table_is_visible(c.oid) and n.nspname <> 'pg_catalog' or n.nspname = :shared)
      and not exists(select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                     and d.deptype = 'e')
    """
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A table as the database knows it: its policies, and who may do what with it."""

    name: str
    shared: bool
    forced: bool
    policies: Sequence[Sequence[Any]]
    rights: Mapping[str, frozenset[str]]
    by_column: frozenset[str]
    bypassed: bool
    append_only: bool

    @property
    def walled(self) -> bool:
        """Whether it bears the policy of our walls."""
        return any(policy[0] == POLICY for policy in self.policies)

    def lacks(self, owner: Ownership, config: Config, *, append_only: bool) -> bool:
        """Returns whether anything is missing of what *owner* has it have, or is there beside it."""
        if self.by_column & {config.role(role) for role in ("app", "operator", "platform")} | self.by_column & {
            _PUBLIC
        }:
            return True
        if owner.walled and not (self.forced and self._is_guarded(config)):
            return True
        given = _RIGHTS_TO_APPEND if append_only else _RIGHTS[owner]
        wanted = {_role(role, config): rights for role, rights in given.items()}
        return any(self.rights.get(role, frozenset()) != rights for role, rights in wanted.items())

    def _is_guarded(self, config: Config) -> bool:
        test = _words(f"{TENANT_COLUMN} = {context(config)}")
        roles = sorted([config.role("app"), config.role("owner")])
        named = {policy[0]: policy[1:] for policy in self.policies}
        permissive, command, using, check, held = named.get(POLICY, (False, "", "", "", []))
        ours = bool(permissive) and command == "*" and sorted(held) == roles
        by_policy = OPERATOR_POLICY in named
        return ours and {_words(using), _words(check)} == {test} and by_policy != self.bypassed


_RIGHTS: Final[Mapping[Ownership, Mapping[str, frozenset[str]]]] = {
    Ownership.TENANT: {"app": _CHANGES, "operator": _CHANGES, "platform": frozenset(), _PUBLIC: frozenset()},
    Ownership.RECORD: {"app": _CHANGES, "operator": _CHANGES, "platform": frozenset(), _PUBLIC: frozenset()},
    Ownership.SHARED: {"app": _READS, "operator": _READS, "platform": _CHANGES, _PUBLIC: frozenset()},
    Ownership.PLATFORM: {"app": frozenset(), "operator": frozenset(), "platform": _CHANGES, _PUBLIC: frozenset()},
}


_RIGHTS_TO_APPEND: Final[Mapping[str, frozenset[str]]] = {
    "app": frozenset({"SELECT", "INSERT"}),
    "operator": frozenset({"SELECT", "INSERT", "DELETE"}),
    "platform": frozenset(),
    _PUBLIC: frozenset(),
}


def standing_tables(connection: Connection, config: Config) -> list[Standing]:
    """Returns the tables of a home, extensions' excepted; the search path says which home."""
    asked = {
        "shared": SHARED_SCHEMA,
        "extensions": EXTENSIONS_SCHEMA,
        "operator": config.role("operator"),
        "keeping": [TRIGGER, TRUNCATION],
    }
    return [_standing(row) for row in connection.execute(_STANDING, asked)]


def lacking(standing: Sequence[Standing], tables: Sequence[Table], config: Config) -> Iterator[tuple[Table, Ownership]]:
    """Yields the tables of the models that stand and lack something, with whose each is."""
    found = {(table.name, table.shared): table for table in standing}
    for table in tables:
        owner, stands = ownership(table), found.get((table.name, table.schema == SHARED_SCHEMA))
        if owner is None or stands is None:
            continue
        # What becomes append-only gets its rights by that.
        becomes = is_append_only(table) and not stands.append_only
        if stands.lacks(owner, config, append_only=stands.append_only) and not becomes:
            yield table, owner


def _standing(row: Any) -> Standing:
    rights: dict[str, set[str]] = {}
    for role, right in row.rights:
        rights.setdefault(role, set()).add(right)
    return Standing(
        name=row.name,
        shared=bool(row.shared),
        forced=row.forced,
        policies=row.policies,
        rights={role: frozenset(held) for role, held in rights.items()},
        by_column=frozenset(row.by_column),
        bypassed=bool(row.bypassed),
        append_only=row.append_only,
    )


def _role(role: str, config: Config) -> str:
    return role if role == _PUBLIC else config.role(role)


def _words(expression: str | None) -> tuple[str, ...]:
    """Returns an expression's words without the casts, brackets and label that PostgreSQL adds on its way through."""
    plain = (expression or "").lower().replace("::text", " ").replace("as current_setting", " ")
    return tuple(re.findall(r"'[^']*'|::|[\w.]+|[^\s\w()]", plain))
