"""Who was granted what in one database: the app login DML and no more, the platform its own, PUBLIC nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tenantry.doctor.scene import Scene, extra, holders, in_order, named, revokes
from tenantry.doctor.snapshot import PUBLIC, Relation
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import quote
from tenantry.types import Finding

_DML: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_APPENDING: Final = ("SELECT", "INSERT")


def judge(scene: Scene, *, revocable: bool) -> Iterator[Finding]:
    """Yields what is wrong with the grants of one database.

    *revocable* is whether the owner could have closed the functions of large objects.
    """
    yield from _judge_walled(scene)
    yield from _judge_other_tables(scene)
    yield from _judge_versions(scene)
    yield from _judge_public(scene)
    yield from _judge_schemas(scene)
    yield from _judge_database(scene)
    yield from _judge_large_objects(scene, revocable=revocable)
    yield from _judge_defaults(scene)


def _judge_walled(scene: Scene) -> Iterator[Finding]:
    for relation in in_order(scene.walled):
        app = scene.rights(relation, scene.audience.app)
        wanted = _APPENDING if relation.name in scene.append_only_names else _DML
        # That a login of the app is the operator too is told of the login (D104).
        own = {role: rights for role, rights in app.items() if role != scene.config.role("operator")}
        yield from _excess("D201", scene, relation, rights=extra(own, wanted))
        yield from _excess("D204", scene, relation, rights=scene.rights(relation, scene.audience.platform))
        yield from _lack(scene, relation, app, wanted=wanted)


def _judge_other_tables(scene: Scene) -> Iterator[Finding]:
    outsiders = scene.audience.app | scene.audience.operator
    for relation in in_order(scene.platform):
        yield from _excess("D205", scene, relation, rights=scene.rights(relation, scene.audience.app))
    for relation in in_order(scene.catalog):
        yield from _excess("D206", scene, relation, rights=scene.rights(relation, outsiders))
    for relation in in_order(scene.shared):
        app = scene.rights(relation, scene.audience.app)
        yield from _excess("D207", scene, relation, rights=extra(app, ["SELECT"]))
        yield from _lack(scene, relation, app, wanted=["SELECT"])


def _judge_versions(scene: Scene) -> Iterator[Finding]:
    """Yields who may reach the tables in which migrations record where each home stands."""
    for relation in in_order(scene.unknown):
        if relation.name == VERSION_TABLE:
            yield from _excess("D214", scene, relation, rights=scene.rights(relation, scene.audience.everybody))


def _judge_public(scene: Scene) -> Iterator[Finding]:
    for relation in in_order(scene.snapshot.relations):
        if not relation.of_extension:
            yield from _excess("D210", scene, relation, rights=scene.rights(relation, [PUBLIC]))


_SENTENCES: Final = {
    "D201": "Rights beyond those that install() gives pass by row-level security, or change what is append-only",
    "D204": "The platform's login must not reach tenants' rows",
    "D205": "Tenants' sessions must not reach the platform's rows",
    "D206": "The catalog answers through its functions alone",
    "D207": "What every tenant reads must not be written by one",
    "D214": "Who writes it decides which migrations run, and the owner alone migrates",
    "D210": "Every login of the server has these rights",
}


def _excess(code: str, scene: Scene, relation: Relation, *, rights: Mapping[str, list[str]]) -> Iterator[Finding]:
    if rights:
        message = f"{_SENTENCES[code]} ({holders(rights)})."
        yield Finding(code, scene.title(relation), message, revokes(relation, rights))


def _lack(
    scene: Scene, relation: Relation, rights: Mapping[str, list[str]], *, wanted: list[str] | tuple[str, ...]
) -> Iterator[Finding]:
    group = scene.config.role("app")
    missing = [privilege for privilege in wanted if privilege not in rights.get(group, [])]
    if missing:
        message = f"The role {group} has no {', '.join(missing)} on it, so sessions fail."
        fix = f"GRANT {', '.join(missing)} ON {named(relation)} TO {group};"
        yield Finding("D212", scene.title(relation), message, fix)


def _judge_schemas(scene: Scene) -> Iterator[Finding]:
    for schema, grantee in sorted(set(scene.snapshot.schema_creators)):
        if grantee == PUBLIC:
            message = "Any login may put functions and operators here that others then run by accident."
            fix = f"REVOKE CREATE ON SCHEMA {quote(schema)} FROM PUBLIC;"
            yield Finding("D208", scene.title(schema), message, fix)
        elif grantee in scene.audience.app:
            message = f"{grantee} may create here; a function of its own can look behind the wall."
            fix = f"REVOKE CREATE ON SCHEMA {quote(schema)} FROM {quote(grantee)};"
            yield Finding("D202", scene.title(schema), message, fix)


def _judge_database(scene: Scene) -> Iterator[Finding]:
    database, granted = scene.snapshot.database, scene.snapshot.database_grants
    if public := granted.get(PUBLIC):
        message = f"Every login of the server has {', '.join(sorted(public))} on it."
        fix = f"REVOKE ALL ON DATABASE {quote(database)} FROM PUBLIC;"
        yield Finding("D209", scene.title(database), message, fix)
    app = {role: granted[role] for role in sorted(scene.audience.app & granted.keys())}
    for role, privileges in extra(app, ["CONNECT"]).items():
        message = f"{role} has {', '.join(privileges)} on it: tables and functions of its own stand outside the wall."
        fix = f"REVOKE {', '.join(privileges)} ON DATABASE {quote(database)} FROM {quote(role)};"
        yield Finding("D203", scene.title(database), message, fix)


def _judge_large_objects(scene: Scene, *, revocable: bool) -> Iterator[Finding]:
    open_to = scene.audience.app | {PUBLIC}
    found = [(function, role) for function, role in scene.snapshot.large_object_functions if role in open_to]
    if not found:
        return
    names = ", ".join(sorted({function.partition("(")[0] for function, _ in found}))
    fix = "As a superuser: " + " ".join(_revoke(function, role) for function, role in sorted(found))
    title = scene.title(scene.snapshot.database)
    if revocable or any(role != PUBLIC for _, role in found):
        yield Finding("D211", title, f"{names}: row-level security does not cover large objects.", fix)
    elif scene.home:
        message = f"{names} stay open to PUBLIC, since only a superuser can close them; no wall covers large objects."
        yield Finding("N201", title, message, fix)


def _revoke(function: str, role: str) -> str:
    return f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM {'PUBLIC' if role == PUBLIC else quote(role)};"


def _judge_defaults(scene: Scene) -> Iterator[Finding]:
    for creator, schema, grantee in sorted(set(scene.snapshot.default_privileges)):
        if grantee == PUBLIC or grantee in scene.audience.everybody:
            who = "PUBLIC" if grantee == PUBLIC else grantee
            message = f"Every table that {creator} makes from now on is open to {who} before a wall stands."
            where = f" IN SCHEMA {quote(schema)}" if schema else ""
            receiver = "PUBLIC" if grantee == PUBLIC else quote(grantee)
            fix = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(creator)}{where} REVOKE ALL ON TABLES FROM {receiver};"
            yield Finding("D213", scene.title(schema or scene.snapshot.database), message, fix)
