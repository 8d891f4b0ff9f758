"""Whether what is append-only can be changed: the triggers that refuse it, and what they run."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.doctor.scene import Scene, in_order, named
from tenantry.doctor.snapshot import Relation, Trigger
from tenantry.isolation import appending
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.types import Finding

_MADE = (appending.TRIGGER, appending.TRUNCATION)


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields what keeps the rows of one database's append-only tables no longer."""
    for relation in in_order(scene.walled):
        if relation.name in scene.append_only_names:
            yield from _judge(scene, relation)


def _judge(scene: Scene, relation: Relation) -> Iterator[Finding]:
    standing = {trigger.name: trigger for trigger in scene.snapshot.triggers.get(relation.oid, [])}
    title = scene.title(relation)
    if lost := [name for name in _MADE if name not in standing or not standing[name].enabled]:
        message = f"{', '.join(lost)} is missing or switched off, so the owner and foreign keys may change its rows."
        yield Finding("D313", title, message, _anew(relation))
    elif not all(_runs_ours(scene, trigger) for trigger in standing.values()):
        message = "Its triggers run another function than the one that install() makes."
        made = appending.function_statement(scene.config, schema=EXTENSIONS_SCHEMA)
        yield Finding("D313", title, message, f"{made}; {_anew(relation)}")


def _runs_ours(scene: Scene, trigger: Trigger) -> bool:
    return trigger.body == appending.function_body(scene.config)


def _anew(relation: Relation) -> str:
    name = named(relation)
    made = appending.trigger_statements(name, schema=EXTENSIONS_SCHEMA)
    return "; ".join([*appending.untrigger_statements(name), *made]) + ";"
