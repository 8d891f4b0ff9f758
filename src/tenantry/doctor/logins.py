"""The roles of one PostgreSQL server, and whether each login is as weak as it has to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenantry.doctor import questions
from tenantry.doctor.scene import Audience
from tenantry.isolation.postgres import APP, OPERATOR, OWNER, PLATFORM
from tenantry.isolation.wall import ROLES, quote
from tenantry.settings import Config
from tenantry.types import Finding

if TYPE_CHECKING:
    from tenantry.doctor.connecting import Connection

# Membership in one of these reads or writes past every grant (PostgreSQL, predefined roles).
_PREDEFINED: Final = frozenset(
    {"pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_write_server_files"}
    | {"pg_execute_server_program", "pg_maintain", "pg_database_owner"}
)


def judge_encryption(*, encrypted: bool, near: bool, where: str) -> Iterator[Finding]:
    """Yields a finding for a connection that comes from another machine in plain text."""
    if not (encrypted or near):
        message = "Its connection comes from another machine and is not encrypted."
        yield Finding("D110", where, message, "Add ?sslmode=verify-full&sslrootcert=… to its URL.")


@dataclass(frozen=True, slots=True)
class Role:
    """One role and its attributes."""

    name: str
    superuser: bool
    bypass: bool
    creates_roles: bool
    creates_databases: bool
    replicates: bool
    logs_in: bool

    @property
    def powers(self) -> list[str]:
        """What it may do to the server itself."""
        said = {"creates_roles": "CREATEROLE", "creates_databases": "CREATEDB", "replicates": "REPLICATION"}
        return [word for attribute, word in said.items() if getattr(self, attribute)]


@dataclass(frozen=True, slots=True)
class Roles:
    """Every role of a server, who is a member of what, and which search_path each is given."""

    by_name: Mapping[str, Role]
    memberships: Mapping[str, frozenset[str]]
    usable: Mapping[str, frozenset[str]]
    search_paths: Mapping[str, str]

    def above(self, name: str, *, usable: bool = False) -> frozenset[str]:
        """Returns every role that *name* is a member of, directly or through others."""
        edges = self.usable if usable else self.memberships
        found, waiting = set[str](), [name]
        while waiting:
            new = edges.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting.extend(new)
        return frozenset(found)

    def logins_in(self, group: str) -> list[str]:
        """Returns the ordinary logins that can act as *group*."""
        return sorted(
            role.name
            for role in self.by_name.values()
            if role.logs_in and not role.superuser and group in self.above(role.name, usable=True)
        )


def read_roles(connection: Connection) -> Roles:
    """Returns the roles of the connection's server."""
    roles = [Role(**row._asdict()) for row in connection.execute(questions.ROLES)]
    edges = connection.execute(questions.MEMBERSHIPS).fetchall()
    paths = connection.execute(questions.SEARCH_PATHS).fetchall()
    return Roles(
        by_name={role.name: role for role in roles},
        memberships=_edges((edge.member, edge.role) for edge in edges),
        usable=_edges((edge.member, edge.role) for edge in edges if edge.usable),
        search_paths={name: setting.partition("=")[2] for name, setting in paths},
    )


def _edges(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for member, role in pairs:
        found[member].add(role)
    return {member: frozenset(of) for member, of in found.items()}


@dataclass(frozen=True)
class Staff:
    """The logins of a server by what they are for: those that were given, and all others in the group roles."""

    roles: Roles
    config: Config
    given: Mapping[str, str]
    demoted: bool
    prefix: str

    def logins(self, kind: str) -> list[str]:
        """Returns the logins that work as *kind*: the one given, and every other in the group that is nothing else."""
        own = {self.given[kind]} if kind in self.given else set()
        found = own | (set(self.roles.logins_in(self.config.role(kind))) - self._taken(kind))
        return sorted(found - ({self.given[APP]} if self.demoted else set()))

    def _taken(self, kind: str) -> set[str]:
        """Returns the logins that are judged as something else; the owner's may step into every role, on purpose."""
        earlier = (OWNER, APP, PLATFORM, OPERATOR)[: (OWNER, APP, PLATFORM, OPERATOR).index(kind)]
        grouped = {name for other in earlier for name in self.roles.logins_in(self.config.role(other))}
        return grouped | {name for other, name in self.given.items() if other != kind}

    def missing_groups(self) -> list[str]:
        """Returns the group roles that do not exist."""
        return [self.config.role(kind) for kind in ROLES if self.config.role(kind) not in self.roles.by_name]

    def audience(self) -> Audience:
        """Returns whose rights count as the app's, the platform's, the operator's."""
        bypasses = self.roles.by_name[self.config.role(OPERATOR)].bypass
        return Audience(self._all(APP), self._all(PLATFORM), self._all(OPERATOR), bypasses)

    def _all(self, kind: str) -> frozenset[str]:
        ordinary = [name for name in self.logins(kind) if not self.roles.by_name[name].superuser]
        start = [self.config.role(kind), *ordinary]
        return frozenset(start).union(*(self.roles.above(name) for name in start))


def judge(staff: Staff, owners: frozenset[str]) -> Iterator[Finding]:
    """Yields what is wrong with the logins of one server; *owners* own its tenant tables."""
    for kind in ROLES:
        yield from _judge_group(staff, kind)
    for kind in (APP, PLATFORM, OPERATOR):
        for login in staff.logins(kind):
            yield from _judge_login(staff, kind, login, owners=owners)
    if staff.demoted:
        name = staff.given[APP]
        message = f"The app's URL is that of {name}, who is past the wall; each session steps down by SET LOCAL ROLE."
        fix = "Fine for development. Elsewhere: `tenantry install --login NAME`, and put its URL into Tenancy(url=…)."
        yield Finding("N101", staff.prefix + name, message, fix)


def _judge_group(staff: Staff, kind: str) -> Iterator[Finding]:
    role = staff.roles.by_name[staff.config.role(kind)]
    found = [*role.powers, *(["SUPERUSER"] if role.superuser else []), *(["LOGIN"] if role.logs_in else [])]
    if role.bypass and kind != OPERATOR:
        found.append("BYPASSRLS")
    if found:
        message = f"The group role has {', '.join(found)}; it stands for rights on tables and nothing else."
        fix = f"ALTER ROLE {role.name} {' '.join('NO' + word for word in found)};"
        yield Finding("D107", staff.prefix + role.name, message, fix)


def _judge_login(staff: Staff, kind: str, login: str, *, owners: frozenset[str]) -> Iterator[Finding]:
    role, title = staff.roles.by_name[login], f"{staff.prefix}{login}"
    if role.superuser:
        message = f"The {kind} login is a superuser, for whom no wall holds."
        yield Finding("D101", title, message, _replacement(kind))
        return
    if role.bypass and kind != OPERATOR:
        message = f"The {kind} login has BYPASSRLS, so no policy holds for it."
        yield Finding("D102", title, message, f"ALTER ROLE {quote(login)} NOBYPASSRLS;")
    if login in owners:
        message = f"The {kind} login owns tenants' tables, so it can take their walls down."
        yield Finding("D103", title, message, _replacement(kind))
    if role.powers:
        message = f"The {kind} login has {', '.join(role.powers)}, which lead past the wall."
        fix = f"ALTER ROLE {quote(login)} {' '.join('NO' + word for word in role.powers)};"
        yield Finding("D105", title, message, fix)
    yield from _judge_memberships(staff, kind, login, owners=owners)
    if kind == APP and staff.roles.search_paths.get(login) not in ('""', "''", ""):
        message = "Outside a tenant's transaction its search_path still finds tables."
        yield Finding("N102", title, message, f"ALTER ROLE {quote(login)} SET search_path = '';")


def _judge_memberships(staff: Staff, kind: str, login: str, *, owners: frozenset[str]) -> Iterator[Finding]:
    above, group = staff.roles.above(login), staff.config.role(kind)
    if group not in above:
        message = f"The {kind} login is not a member of {group}, so it has no rights."
        yield Finding("D106", staff.prefix + login, message, f"GRANT {group} TO {quote(login)};")
    mighty = sorted((above & _mighty(staff, kind, owners)) - {login})
    if mighty:
        message = f"The {kind} login is a member of {', '.join(mighty)}, which the wall does not hold back."
        direct = [role for role in mighty if role in staff.roles.memberships.get(login, ())]
        revoked = [f"REVOKE {quote(role)} FROM {quote(login)};" for role in direct]
        # What comes through the group role is taken from the group role.
        inherited = staff.roles.memberships.get(group, frozenset()) & set(mighty)
        revoked += [f"REVOKE {quote(role)} FROM {group};" for role in sorted(inherited - set(direct))]
        yield Finding("D104", staff.prefix + login, message, " ".join(revoked) or "Revoke the membership between.")


def _mighty(staff: Staff, kind: str, owners: frozenset[str]) -> set[str]:
    groups = {staff.config.role(other) for other in ROLES if other != kind}
    strong = {
        role.name
        for role in staff.roles.by_name.values()
        if role.superuser or role.powers or (role.bypass and role.name != staff.config.role(OPERATOR))
    }
    return groups | set(owners) | strong | _PREDEFINED


def _replacement(kind: str) -> str:
    return f"Run `tenantry install --login NAME --role {kind}` with the owner's login and use the URL it prints."
