"""Walks through the graph as statements: recursive, bounded in depth, and never twice round a circle.

A walk keeps pairs of node and depth, each once (UNION, not UNION ALL): however many circles there are, it does no more
than the graph has nodes times the depth.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, Select, String, Uuid, and_, case, cast, func, literal, or_, select
from sqlalchemy.orm import aliased

from tenantry.errors import InvalidDepth
from tenantry.packs.documents.models_graph import GraphNode, GraphRelationship

DEEPEST: Final = 16
_BETWEEN: Final = "/"


class Direction(enum.StrEnum):
    """Which way relationships are followed; those that are not directed always lead both ways."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


_BACKWARDS: Final = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT, Direction.BOTH: Direction.BOTH}


def check_depth(depth: int) -> int:
    """Returns a depth to which a walk may go.

    Raises: InvalidDepth.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= DEEPEST:
        raise InvalidDepth(asked=repr(depth)[:40], limit=DEEPEST)
    return depth


def reached(
    starts: Select[Any], *, max_depth: int, direction: Direction = Direction.BOTH, types: Collection[str] = ()
) -> Select[Any]:
    """Returns the statement that gives every node within reach of *starts*, and at how many steps: ``node_id, depth``.

    Raises: InvalidDepth.
    """
    walk = _walk(starts, check_depth(max_depth), direction, types)
    return select(walk.c.node_id, func.min(walk.c.depth).label("depth")).group_by(walk.c.node_id)


def shortest(
    source: uuid.UUID,
    target: uuid.UUID,
    *,
    max_depth: int,
    direction: Direction = Direction.BOTH,
    types: Collection[str] = (),
) -> Select[Any]:
    """Returns the statement that gives the shortest ways between two nodes, each as text that ``nodes_of`` reads.

    Raises: InvalidDepth.
    """
    start = select(GraphNode.id).where(GraphNode.id == source, GraphNode.is_active)
    levels = reached(start, max_depth=max_depth, direction=direction, types=types).cte("levels")
    # Backwards, and only to nodes that are one step nearer: none is met twice on one way.
    way = (
        select(levels.c.node_id, levels.c.depth, cast(levels.c.node_id, String).label("way"))
        .where(levels.c.node_id == target)
        .cte("way", recursive=True)
    )
    line, before = aliased(GraphRelationship), levels.alias("before")
    nearer = and_(before.c.node_id == _other(line, way.c.node_id), before.c.depth == way.c.depth - 1)
    step = (
        select(before.c.node_id, before.c.depth, cast(before.c.node_id, String) + _BETWEEN + way.c.way)
        .select_from(way)
        .join(line, _leads(line, way.c.node_id, _BACKWARDS[Direction(direction)], types))
        .join(before, nearer)
    )
    ways = way.union(step)
    return select(ways.c.way).where(ways.c.node_id == source).order_by(ways.c.way)


def nodes_of(way: str) -> list[uuid.UUID]:
    """Returns the nodes along a way that ``shortest`` found, from its beginning."""
    return [uuid.UUID(part) for part in way.split(_BETWEEN)]


def neighbours(node: uuid.UUID, *, direction: Direction = Direction.BOTH, types: Collection[str] = ()) -> Select[Any]:
    """Returns the statement that gives the ids of the nodes one step away."""
    line = aliased(GraphRelationship)
    here: ColumnElement[Any] = literal(node, Uuid())
    return select(_other(line, here)).where(_leads(line, here, direction, types))


def _walk(starts: Select[Any], max_depth: int, direction: Direction, types: Collection[str]) -> CTE:
    first = starts.subquery()
    walk = select(first.c[0].label("node_id"), literal(0).label("depth")).cte("walk", recursive=True)
    line, node = aliased(GraphRelationship), aliased(GraphNode)
    step = (
        select(node.id, walk.c.depth + 1)
        .select_from(walk)
        .join(line, _leads(line, walk.c.node_id, direction, types))
        .join(node, and_(node.id == _other(line, walk.c.node_id), node.is_active))
        .where(walk.c.depth < max_depth)
    )
    return walk.union(step)


def _leads(line: Any, node: Any, direction: Direction, types: Collection[str]) -> ColumnElement[bool]:
    out, back = line.source_node_id == node, line.target_node_id == node
    both_ways = line.is_directed.is_(False)
    ways = {
        Direction.BOTH: or_(out, back),
        Direction.OUT: or_(out, and_(back, both_ways)),
        Direction.IN: or_(back, and_(out, both_ways)),
    }
    wanted = ways[Direction(direction)]
    return and_(wanted, line.relationship_type.in_(types)) if types else wanted


def _other(line: Any, node: Any) -> ColumnElement[Any]:
    return case((line.source_node_id == node, line.target_node_id), else_=line.source_node_id)


def nearest(found: Any) -> ColumnElement[Any]:
    """Returns by what several nodes of one document are ordered: the nearest of them."""
    return func.min(found.c.depth)
