"""Whether searches look inside one tenant: their functions are exactly those that install() makes, and stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Table

from tenantry.doctor.scene import Scene, in_order
from tenantry.doctor.snapshot import Function, Relation
from tenantry.isolation.searching import SEARCH_PATH, Definer, anew_statements, definers, digest
from tenantry.types import Finding

Standing = Mapping[tuple[str, str], Function]


def allowed(scene: Scene) -> set[str]:
    """Returns the signatures of the functions that stand just as a search has them, and so pass the wall rightly."""
    standing = _standing(scene)
    return {
        standing[relation.schema, definer.name].signature
        for relation, table in _searched(scene)
        for definer in definers(table, scene.config)
        if (relation.schema, definer.name) in standing
        and _is_ours(scene, standing[relation.schema, definer.name], definer)
    }


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields the tables of one database whose search is missing or is another than the models say."""
    standing = _standing(scene)
    for relation, table in _searched(scene):
        lost = [made.name for made in definers(table, scene.config) if (relation.schema, made.name) not in standing]
        if lost or scene.snapshot.searched.get(relation.oid) != digest(table, scene.config):
            message = "It is searched, and its column, an index or a function for that is missing or is another."
            made = anew_statements(table, scene.config, schema=relation.schema)
            yield Finding("D509", scene.title(relation), message, "; ".join(made) + ";")


def fix_of(scene: Scene, function: Function) -> str | None:
    """Returns what makes a search's function as it should be, where one of that name belongs into its schema."""
    for relation, table in _searched(scene):
        for made in definers(table, scene.config):
            if (relation.schema, made.name) == (function.schema, function.name):
                anew = anew_statements(table, scene.config, schema=relation.schema, only=made)
                return "; ".join([f"DROP FUNCTION {function.signature}", *anew]) + ";"
    return None


def _searched(scene: Scene) -> Iterator[tuple[Relation, Table]]:
    for relation in in_order(scene.walled):
        if relation.name in scene.searched:
            yield relation, scene.searched[relation.name]


def _standing(scene: Scene) -> Standing:
    return {
        (found.schema, found.name): found
        for found in scene.snapshot.functions
        if found.signature.endswith("(text,integer)")
    }


def _is_ours(scene: Scene, found: Function, made: Definer) -> bool:
    operator, app = scene.config.role("operator"), scene.config.role("app")
    return (
        found.body == made.within(found.schema)
        and found.language == "plpgsql"
        and found.settings == [SEARCH_PATH]
        and found.owner == operator
        and set(found.callers) == {operator, app}
    )
