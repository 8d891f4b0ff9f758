"""Faults in what binds a session that has no tenant yet: statements that name nobody, or two, are taken for a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import CompoundSelect
from sqlalchemy.sql.elements import BooleanClauseList

from mutants.mutant import mutant
from tenantry.doors import naming
from tenantry.doors.session import LateSession

REFUSED = "doors/test_refused::test_refused_and_still_free"
PLACES = ("postgresql-rows-sync", "sqlite-file-aiosqlite")


def at(*routes: str) -> str:
    return " ".join(f"{place}-server0-{route}" for route in routes for place in PLACES)


@mutant(
    "one of several alternatives names the tenant, as if all of them had to hold",
    places=at("one,-or-something-else"),
    routes=REFUSED,
)
def alternatives_name(patch: pytest.MonkeyPatch) -> None:
    equalities = naming._equalities

    def loose(condition: Any, params: Any) -> Iterator[Any]:
        if isinstance(condition, BooleanClauseList):
            for part in condition.clauses:
                yield from loose(part, params)
        else:
            yield from equalities(condition, params)

    patch.setattr(naming, "_equalities", loose)


@mutant("one arm of a union names the tenant for the others", places=at("one-arm-of-a-union"), routes=REFUSED)
def one_arm_names(patch: pytest.MonkeyPatch) -> None:
    facts = naming._facts

    def loose(statement: Any, params: Any) -> Any:
        if isinstance(statement, CompoundSelect):
            return [fact for arm in statement.selects for fact in facts(arm, params)]
        return facts(statement, params)

    patch.setattr(naming, "_facts", loose)


@mutant("of two tenants that are named the first is taken", places=at("one-and-another"), routes=REFUSED)
def first_of_two_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(naming, "_only", lambda found: min(found, default=None))


@mutant(
    "a session to which no tenant was named takes the first there is",
    places=at("all-rows", "text", "a-count"),
    routes=REFUSED,
)
def first_tenant_taken(patch: pytest.MonkeyPatch) -> None:
    reach = LateSession._reach

    def reaching(self: Any, key: Any) -> bool:
        return reach(self, key or self._way.tenancy.tenants.list(limit=1)[0].id)

    patch.setattr(LateSession, "_reach", reaching)


@mutant(
    "the optional side of a join names the tenant of the other",
    places=at("the-optional-side-of-a-join"),
    routes=REFUSED,
)
def optional_side_names(patch: pytest.MonkeyPatch) -> None:
    facts = naming._facts

    def loose(statement: Any, params: Any) -> Any:
        on = getattr(statement, "onclause", None)
        return facts(statement, params) if on is None else [*naming._equalities(on, params)]

    patch.setattr(naming, "_facts", loose)
