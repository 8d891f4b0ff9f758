"""The matrix, cell by cell as it is declared, and everywhere that it is asked of."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tenantry.access import SEEDED, Actor, Permission, Roles, act_as, can, permits, require
from tenantry.access.permissions import covers
from tenantry.errors import ConfigurationError, PermissionDenied

from .stage import Stage

# One row for a permission: who holds it, of super_admin, admin, analyst, viewer. Written out, so that a change of the
# matrix is a change here.
MATRIX = """
admin:access            s a - -
admin:impersonate       s - - -
admin:manage            s - - -
agents:create           s a - -
agents:delete           s a - -
agents:read             s a n -
agents:update           s a - -
audit:delete            s - - -
audit:read              s a - -
chat:create             s a n -
chat:read               s a n -
companies:create        s - - -
companies:read          s - - -
conversations:create    s a n -
conversations:delete    s a n -
conversations:read      s a n v
conversations:update    s a n -
documents:create        s a n -
documents:delete        s a - -
documents:manage        s a - -
documents:read          s a n v
documents:update        s a n -
reports:create          s a n -
reports:delete          s a - -
reports:generate        s a n -
reports:read            s a n v
reports:update          s a - -
roles:manage            s - - -
roles:read              s - - -
settings:read           s a - -
settings:update         s a - -
usage:read              s a n -
usage:update            s - - -
users:create            s a - -
users:delete            s a - -
users:manage            s a - -
users:read              s a - -
users:update            s a - -
vendors:read            s - - -
vendors:update          s - - -
"""
ROLES = ("super_admin", "admin", "analyst", "viewer")
DECLARED = {row.split()[0]: dict(zip(ROLES, row.split()[1:], strict=True)) for row in MATRIX.strip().splitlines()}
CELLS = [(role, permission) for permission, held in DECLARED.items() for role in held]
ALLOWED = {(role, permission) for role, permission in CELLS if DECLARED[permission][role] != "-"}


def test_every_cell_is_as_declared_both_ways() -> None:
    assert len(CELLS) == 160
    assert {cell for cell in CELLS if SEEDED.allows(*cell)} == ALLOWED
    assert {cell for cell in CELLS if not SEEDED.allows(*cell)} == set(CELLS) - ALLOWED
    assert tuple(SEEDED) == ROLES


def test_the_page_says_what_the_matrix_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| (.*) \|$", page)
    said = {role: {Permission(text) for text in re.findall(r"`([^`]+)`", held)} for role, held in rows}
    assert said == {role: set(held) for role, held in SEEDED.matrix.items()}


def test_every_permission_of_the_matrix_is_among_the_cells() -> None:
    for role, granted in SEEDED.matrix.items():
        for permission in granted:
            seen = [other for other in DECLARED if permits([permission], other)]
            assert seen, (role, permission)


@pytest.mark.parametrize("door", ["postgresql-sync", "sqlite-sync"])
def test_every_cell_holds_in_one_s_own_tenant_and_in_no_other(stage: Stage) -> None:
    near, far = stage.tenant("near").id, stage.tenant("far").id
    wrong: list[Any] = []
    asked = 0
    for (role, permission), home in itertools.product(CELLS, (near, far, None)):
        actor = Actor("ann", home, frozenset({role}), SEEDED.permissions([role]))
        with stage.tenancy.session("near") as session:
            if home == near:
                act_as(session, actor)
            # What another layer put there unasked.
            session.info["claims"] = actor
            may = can(session, permission)
        asked += 1
        wrong += [(role, permission, home)] if may != (home == near and (role, permission) in ALLOWED) else []
    assert (asked, wrong) == (480, [])


@pytest.mark.parametrize(
    ("granted", "wanted", "may"),
    [
        ("documents:read", "documents:read", True),
        ("documents:read", "documents:readers", False),
        ("documents:read", "document:read", False),
        ("documents:*", "documents:read", True),
        ("documents:*", "documents.private:read", False),
        ("*:read", "documents:read", True),
        ("*:read", "documents:create", False),
        ("*", "documents:read", True),
        ("*:*", "documents:read", True),
    ],
)
def test_a_wildcard_stands_for_a_whole_part(granted: str, wanted: str, may: bool) -> None:
    assert permits([granted], wanted) == may
    assert not permits([], wanted)


@pytest.mark.parametrize(
    ("granted", "others", "covered"),
    [
        (["*"], ["*"], True),
        (["*"], ["documents:*", "x:y"], True),
        (["documents:*"], ["documents:read", "documents:*"], True),
        (["documents:*"], ["documents:read", "reports:read"], False),
        (["documents:*"], ["*"], False),
        (["documents:*", "*:read"], ["*:read"], True),
        (["documents:*", "*:read"], ["reports:create"], False),
        (["*:read"], ["documents:*"], False),
        (["documents:read"], ["documents:create"], False),
        (["documents:read"], ["reports:read"], False),
        (["documents:read"], [], True),
        ([], ["documents:read"], False),
    ],
)
def test_what_covers_permissions_holds_each_of_them(granted: list[str], others: list[str], covered: bool) -> None:
    assert covers(granted, others) == covered


@pytest.mark.parametrize(
    "text",
    [
        *("", "documents", "documents:", ":read", "*:", "**", "documents:read:all", "doc*:read", "documents:r*"),
        *("Documents:read", "documents: read", "documents:read\n", "dokumente:ändern", "x" * 64 + ":read", None, 7),
    ],
)
def test_what_is_no_permission_is_refused(text: Any) -> None:
    with pytest.raises(ConfigurationError):
        Permission(text)
    with pytest.raises(ConfigurationError):
        permits(["*"], text)
    with pytest.raises(ConfigurationError):
        Roles({"reader": [text]})


def test_nobody_asks_for_everything_at_once() -> None:
    for wanted in ("*", "*:read", "documents:*"):
        with pytest.raises(ConfigurationError):
            permits(["*"], wanted)
        with pytest.raises(ConfigurationError):
            require(Actor("ann", permissions=frozenset({"*:*"})), wanted)


def test_a_role_that_is_not_in_the_matrix_holds_nothing() -> None:
    assert SEEDED.permissions(["owner", "Admin", ""]) == frozenset()
    with pytest.raises(ConfigurationError, match="'owner'"):
        SEEDED.check(["admin", "owner"])
    with pytest.raises(ConfigurationError):
        Roles({"reader": "documents:read"})
    with pytest.raises(TypeError):
        SEEDED.matrix["viewer"] = frozenset({"*:*"})  # type: ignore[index]
    own = Roles({**SEEDED.matrix, "auditor": ["*:read"]})
    assert own.allows("auditor", "audit:read")
    assert not own.allows("auditor", "audit:delete")
    assert "auditor" in own
    with pytest.raises(PermissionDenied, match=r"ann may not 'audit:delete'"):
        require(Actor("ann", permissions=own.permissions(["auditor"])), "audit:delete")
