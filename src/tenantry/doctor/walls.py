"""Whether every tenant table, wherever a placement stands, is behind its wall, and nothing else lies open beside it."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.doctor.scene import Scene, holders, in_order, named
from tenantry.doctor.snapshot import PUBLIC, Policy, Relation
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import OPERATOR_POLICY, POLICY, context, quote
from tenantry.models import TENANT_COLUMN
from tenantry.types import Finding


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields what is wrong with the walls of one database."""
    for relation in in_order(scene.walled):
        yield from _judge_walled(scene, relation)
    for relation in in_order(scene.children):
        if not scene.is_walled(relation):
            message = "It is reached by its own name, and the wall of the table above it does not cover that."
            yield Finding("D306", scene.title(relation), message, _wall_of(scene, relation))
    for relation in in_order(scene.unknown):
        if relation.name != VERSION_TABLE:
            yield from _judge_unknown(scene, relation)
    yield from _judge_missing(scene)
    yield from _judge_types(scene)
    yield from _judge_operator(scene)


def _judge_walled(scene: Scene, relation: Relation) -> Iterator[Finding]:
    title, name = scene.title(relation), named(relation)
    if not relation.enabled:
        message = "Row-level security is off: every tenant's session reads every tenant's rows."
        yield Finding("D301", title, message, f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;")
    if not relation.forced:
        message = "Row-level security is not forced, so it does not hold for the table's owner."
        yield Finding("D302", title, message, f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY;")
    ours = scene.isolation_policy(relation)
    if ours is None:
        yield Finding("D303", title, f"The policy {POLICY} is missing.", _policy_of(scene, relation))
    elif not scene.is_ours(ours):
        message = f"The policy {POLICY} reads: {_said(ours)}."
        yield Finding("D304", title, message, f"DROP POLICY {POLICY} ON {name}; {_policy_of(scene, relation)}")
    for policy in scene.policies(relation):
        if policy is not ours and policy.permissive and _adds_rows(scene, policy):
            message = f"The permissive policy {policy.name} lets rows through beside ours: {_said(policy)}."
            yield Finding("D305", title, message, f"DROP POLICY {quote(policy.name)} ON {name};")


def _adds_rows(scene: Scene, policy: Policy) -> bool:
    return policy.name != OPERATOR_POLICY or scene.opens_to_app(policy)


def _said(policy: Policy) -> str:
    kind = "" if policy.permissive else "RESTRICTIVE "
    command = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}[policy.command]
    return (
        f"{kind}FOR {command} TO {', '.join(policy.roles)} "
        f"USING ({policy.using_test or 'nothing'}) WITH CHECK ({policy.check_test or 'nothing'})"
    )


def _policy_of(scene: Scene, relation: Relation) -> str:
    test = f"{TENANT_COLUMN} = {context(scene.config)}"
    roles = f"{scene.config.role('app')}, {scene.config.role('owner')}"
    return f"CREATE POLICY {POLICY} ON {named(relation)} TO {roles} USING ({test}) WITH CHECK ({test});"


def _wall_of(scene: Scene, relation: Relation) -> str:
    if relation.kind == "f":
        return f"DROP FOREIGN TABLE {named(relation)};"
    name = named(relation)
    return f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; {_policy_of(scene, relation)}"


def _judge_unknown(scene: Scene, relation: Relation) -> Iterator[Finding]:
    rights = scene.rights(relation, scene.audience.app | {PUBLIC})
    own = relation.schema in scene.tenant_schemas or not scene.home
    if rights and not scene.is_walled(relation) and PUBLIC not in rights:
        message = f"The models do not know it, no wall stands before it, and it is open ({holders(rights)})."
        fix = f"Declare it in the models and run `tenantry install`, or REVOKE ALL ON {named(relation)} FROM "
        yield Finding("D307", scene.title(relation), message, f"{fix}{', '.join(map(quote, rights))};")
    elif own:
        message = "The models do not know this table of a tenant's placement, so nobody copies, moves or erases it."
        yield Finding(
            "D310", scene.title(relation), message, f"Declare it in the models, or DROP TABLE {named(relation)};"
        )


def _judge_missing(scene: Scene) -> Iterator[Finding]:
    common = scene.missing(scene.config.common_schema)
    lacking = [*common, *scene.missing_of_home()]
    if lacking and scene.home:
        fix = "Run the application's migrations, or `tenantry install --create-tables`, then `tenantry install`."
        yield Finding("D308", scene.title(scene.config.common_schema), f"It lacks {', '.join(lacking)}.", fix)
    elif lacking:
        yield _lacks(scene.title(scene.snapshot.database), lacking)
    for schema in sorted(scene.tenant_schemas):
        if missing := scene.missing(schema):
            yield _lacks(scene.title(schema), missing)


def _lacks(where: str, names: list[str]) -> Finding:
    return Finding("D311", where, f"It lacks {', '.join(names)}.", "Run the migrations for this placement.")


def _judge_types(scene: Scene) -> Iterator[Finding]:
    for schema, name in sorted(scene.snapshot.types):
        if schema in scene.tenant_schemas:
            message = "A type of a tenant's own schema breaks statements that were prepared for another tenant's."
            fix = "Use text with a CHECK constraint instead, then DROP TYPE."
            yield Finding("D312", scene.title(f"{schema}.{name}"), message, fix)


def _judge_operator(scene: Scene) -> Iterator[Finding]:
    named_so = [policy for relation in scene.walled.values() for policy in scene.policies(relation)]
    by_policy = any(policy.name == OPERATOR_POLICY and not scene.opens_to_app(policy) for policy in named_so)
    title, operator = scene.title(scene.snapshot.database), scene.config.role("operator")
    if by_policy and scene.home:
        message = "BYPASSRLS could not be granted here, so the operator sees all rows by a policy of its own."
        fix = f"Nothing need be done. A superuser may ALTER ROLE {operator} BYPASSRLS, then run `tenantry install`."
        yield Finding("N103", title, message, fix)
    elif scene.walled and not by_policy and not scene.audience.operator_bypasses:
        message = f"{operator} has neither BYPASSRLS nor a policy, so looking across tenants fails."
        yield Finding("D109", title, message, "Run `tenantry install` with the owner's login.")
