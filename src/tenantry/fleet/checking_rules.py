"""What must hold in every home whatever its revision: walls up, indexes valid, constraints validated and enforced."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from tenantry.fleet.fingerprints import Fact
from tenantry.isolation.wall import quote

_WALL: Final = "row-level security"
_WALL_UP: Final = "on, forced"
_INVALID: Final = " INVALID"
_UNVALIDATED: Final = " NOT VALID"


@dataclass(frozen=True, slots=True)
class Breach:
    """A fact that must not be, as a finding says it; ``{schema}`` in the fix is where the home's tables are."""

    code: str
    message: str
    fix: str


def mended(fact: Fact, walled: Collection[str]) -> Fact | None:
    """Returns what *fact* should be by the rules alone: itself, another, or nothing; *walled* are tenants' tables."""
    if fact.kind == _WALL and fact.table in walled:
        return replace(fact, text=_WALL_UP)
    if fact.kind == "index":
        return replace(fact, text=fact.text.removesuffix(_INVALID))
    if fact.kind in ("check", "foreign key"):
        return replace(fact, text=fact.text.removesuffix(_UNVALIDATED))
    return None if fact.kind in ("enforcement", "not null") else fact


def breach(fact: Fact) -> Breach:
    """Returns what to say of a fact that ``mended`` changes."""
    table = f"{{schema}}.{quote(fact.table)}"
    if fact.kind == _WALL:
        fix = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        return Breach("F301", f"Row-level security of {fact.table} is {fact.text}.", fix)
    if fact.kind == "index":
        fix = f"REINDEX INDEX CONCURRENTLY {{schema}}.{quote(fact.name)};"
        return Breach("F303", f"The index {fact.name} of {fact.table} is invalid, so nothing uses it.", fix)
    if fact.kind == "enforcement":
        message = f"The foreign key {fact.name} is not enforced: its triggers on {fact.table} are switched off."
        return Breach("F305", message, f"As a superuser: ALTER TABLE {table} ENABLE TRIGGER ALL;")
    # The owner, whom its own wall blinds, would validate it without seeing a row.
    fix = (
        f"In one transaction: ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; "
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {quote(fact.name)}; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
    )
    return Breach("F304", f"The constraint {fact.name} of {fact.table} was never validated.", fix)
