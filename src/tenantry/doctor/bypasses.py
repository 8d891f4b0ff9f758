"""What leads past the wall with somebody else's rights: views, functions, extensions, large objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tenantry.catalog.tables import CATALOG_SCHEMA
from tenantry.doctor import searches
from tenantry.doctor.scene import Scene, holders, in_order, named
from tenantry.doctor.snapshot import PUBLIC, Function, Relation
from tenantry.isolation.fencing_names import FUNCTIONS, NOTE_PREFIX, SCHEMA
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.types import Finding


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields what leads past the walls of one database."""
    yield from _judge_views(scene)
    yield from _judge_functions(scene)
    yield from _judge_extensions(scene)
    if scene.snapshot.large_objects:
        message = f"{scene.snapshot.large_objects} large objects stand here; row-level security does not cover them."
        fix = "Keep their content in a bytea column of a tenant table, then SELECT lo_unlink(oid)."
        yield Finding("D507", scene.title(scene.snapshot.database), message, fix)


def _judge_views(scene: Scene) -> Iterator[Finding]:
    over_tenants = _over(scene, scene.walled.keys() | scene.children.keys())
    over_closed = _over(scene, scene.platform.keys() | scene.catalog.keys())
    for view in in_order(scene.snapshot.relations):
        if view.kind == "m" and view.oid in over_tenants:
            message = "It holds a copy of tenants' rows, and a materialized view cannot have row-level security."
            yield Finding("D502", scene.title(view), message, f"DROP MATERIALIZED VIEW {named(view)};")
        elif view.kind == "v" and not _invoker(view) and view.oid in over_tenants:
            message = f"It reads tenants' rows with the rights of its owner, {view.owner}, not of who asks."
            yield Finding(
                "D501", scene.title(view), message, f"ALTER VIEW {named(view)} SET (security_invoker = true);"
            )
        elif view.kind in "vm" and not _invoker(view) and view.oid in over_closed:
            yield from _judge_window(scene, view)


def _judge_window(scene: Scene, view: Relation) -> Iterator[Finding]:
    rights = scene.rights(view, scene.audience.app | {PUBLIC})
    if rights:
        message = f"It shows the platform's rows to tenants' sessions ({holders(rights)})."
        receivers = ", ".join("PUBLIC" if role == PUBLIC else role for role in rights)
        yield Finding("D501", scene.title(view), message, f"REVOKE ALL ON {named(view)} FROM {receivers};")


def _over(scene: Scene, relations: Iterable[int]) -> set[int]:
    """Returns the views that read *relations*, directly or through other views."""
    reached, found = set(relations), set[int]()
    while new := {view for view, sources in scene.snapshot.views.items() if view not in found and sources & reached}:
        found |= new
        reached |= new
    return found


def _invoker(view: Relation) -> bool:
    return any(
        option.partition("=")[0] == "security_invoker" and option.partition("=")[2] in ("true", "on", "1", "yes")
        for option in view.options
    )


def _judge_functions(scene: Scene) -> Iterator[Finding]:
    searching = searches.allowed(scene)
    for function in sorted(scene.snapshot.functions, key=lambda function: function.signature):
        if function.signature in searching:
            continue
        title = scene.title(function.signature)
        known = (function.schema == CATALOG_SCHEMA and scene.holds_catalog) or _is_of_fence(function)
        pin = f"ALTER FUNCTION {function.signature} SET search_path = pg_catalog, pg_temp;"
        if fix := searches.fix_of(scene, function):
            message = "It passes the wall for a search, and is not the function that install() makes."
            yield Finding("D503", title, message, fix)
        elif not known:
            message = "It runs with its owner's rights, whoever calls it, so its text decides who sees what."
            yield Finding("D503", title, message, f"ALTER FUNCTION {function.signature} SECURITY INVOKER;")
        elif not function.pinned:
            message = "It runs with its owner's rights and finds names by its caller's search_path."
            yield Finding("D504", title, message, pin)


def _is_of_fence(function: Function) -> bool:
    name = function.signature.removeprefix(f"{SCHEMA}.").partition("(")[0]
    return function.schema == SCHEMA and (name in FUNCTIONS or name.startswith(NOTE_PREFIX))


def _judge_extensions(scene: Scene) -> Iterator[Finding]:
    for relation in in_order(scene.snapshot.relations):
        if relation.schema == EXTENSIONS_SCHEMA and not relation.of_extension:
            message = "This schema is on every tenant's search_path, so the table answers for one that is missing."
            fix = f"ALTER TABLE {named(relation)} SET SCHEMA {scene.config.common_schema};"
            yield Finding("D505", scene.title(relation), message, fix)
    for name in sorted(scene.snapshot.reaching):
        message = "It opens files, connections or programs that row-level security cannot see."
        fix = f"DROP {name.upper().partition(' ')[0]} {name.partition(' ')[2]};"
        yield Finding("D506", scene.title(name), message, fix)
