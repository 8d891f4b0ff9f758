"""Whether a place that tenants have left turns whoever looks for them there away, at every table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tenantry.doctor.scene import Scene, in_order, named
from tenantry.doctor.snapshot import Policy, Relation
from tenantry.isolation.fencing_names import PRESENT_POLICY, SCHEMA
from tenantry.isolation.fencing_statements import present_statements
from tenantry.models import TENANT_COLUMN
from tenantry.types import Finding


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields the tables at which a tenant that has left is not missed."""
    by_schema: dict[str, list[Relation]] = defaultdict(list)
    for relation in in_order(scene.walled):
        by_schema[relation.schema].append(relation)
    for relations in by_schema.values():
        if any(_policy(scene, relation) for relation in relations):
            yield from _judge(scene, relations)


def _judge(scene: Scene, relations: Sequence[Relation]) -> Iterator[Finding]:
    for relation in relations:
        policy = _policy(scene, relation)
        if policy is None or not _turns_away(scene, policy, relation):
            what = "is missing" if policy is None else "is not the one that a move makes"
            message = (
                f"The policy {PRESENT_POLICY} {what}: who looks here for a tenant that has left, or is being moved, "
                "reads an empty list and not an error."
            )
            (making,) = present_statements(named(relation), place=relation.schema, config=scene.config)
            fix = f"DROP POLICY IF EXISTS {PRESENT_POLICY} ON {named(relation)}; {making};"
            yield Finding("D314", scene.title(relation), message, fix)


def _policy(scene: Scene, relation: Relation) -> Policy | None:
    return next((policy for policy in scene.policies(relation) if policy.name == PRESENT_POLICY), None)


def _turns_away(scene: Scene, policy: Policy, relation: Relation) -> bool:
    roles = {scene.config.role("app"), scene.config.role("owner")}
    wanted = [_said("here", relation), _said("still_here", relation)]
    tests = [policy.using_test, policy.check_test]
    return not policy.permissive and policy.command == "*" and set(policy.roles) == roles and tests == wanted


def _said(function: str, relation: Relation) -> str:
    """Returns the test of a policy as PostgreSQL repeats it."""
    return f"({TENANT_COLUMN} = ( SELECT {SCHEMA}.{function}('{relation.schema}'::text) AS {function}))"
