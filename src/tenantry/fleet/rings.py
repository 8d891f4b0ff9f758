"""Who goes first: canaries by name or by percent, the stages of a run, and the health check that opens the rest."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import literal_column, select

from tenantry.errors import CanaryRefused
from tenantry.fleet.failing import describe
from tenantry.fleet.history import Position
from tenantry.fleet.homes import Home, HomeKind, home_of
from tenantry.fleet.outcomes import Ring, Standing, Verb
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantKey, TenantStatus

# Tenants by key, homes that belong to no single tenant by their names ("main/common"), or a percent (5, "5%").
Canary = float | str | Sequence[TenantKey]
# An SQL expression that answers true in each canary's session, or a callable that does.
Health = str | Callable[[TenantSession], Any]

LAST_STAGE: Final = 3
_CANARY_STAGES: Final = 2


def stage_of(home: Home, ring: Ring, verb: Verb) -> int:
    """Returns when a home's turn comes: canaries before the rest, and common tables before what may refer to them."""
    common = home.tenant is None
    later = not common if verb is Verb.UPGRADE else common
    return later + (0 if ring is Ring.CANARY and verb is not Verb.ROLLBACK else _CANARY_STAGES)


def is_canary_stage(stage: int) -> bool:
    """Whether only canaries have their turn at *stage*."""
    return stage < _CANARY_STAGES


def is_gate(stage: int, verb: Verb) -> bool:
    """Whether one failure at *stage* stops the run: of a canary, or of the tables that the others lean on."""
    return is_canary_stage(stage) or (verb is Verb.UPGRADE and stage < LAST_STAGE)


def choose(tenancy: Tenancy, found: Sequence[Standing], canary: Canary | None) -> frozenset[str]:
    """Returns the keys of the homes that go first.

    Raises: CanaryRefused where *canary* names nobody or somebody who cannot go first; TenantNotFound, InvalidKey.
    """
    if canary is None:
        return frozenset()
    percent = _percent(canary)
    if percent is not None:
        return _sample(tenancy, found, percent)
    named: Sequence[TenantKey] = [canary] if isinstance(canary, str) else canary  # type: ignore[assignment]  # no float
    chosen = frozenset(_home_key(tenancy, found, key) for key in named)
    if not chosen:
        raise CanaryRefused(canary="An empty list", reason="it names nobody.")
    return chosen


def written(canary: Canary | None) -> tuple[str, ...]:
    """Returns the canary as it is kept with the run."""
    if canary is None:
        return ()
    percent = _percent(canary)
    if percent is not None:
        return (f"{percent:g}%",)
    named: Sequence[TenantKey] = [canary] if isinstance(canary, str) else canary  # type: ignore[assignment]  # no float
    return tuple(sorted(key.slug if isinstance(key, Tenant) else str(key) for key in named))


def complaint(tenancy: Tenancy, homes: Iterable[Home], health: Health) -> str | None:
    """Returns what the health check has against the canaries, or None where all of them are well."""
    for home in homes:
        for tenant in [home.tenant] if home.tenant else _lodgers(tenancy, home):
            answer = _ask(tenancy, tenant, health)
            if answer is not None:
                return f"The health check of {home} {answer}"
    return None


def _ask(tenancy: Tenancy, tenant: uuid.UUID, health: Health) -> str | None:
    try:
        with tenancy.session(tenant) as session:
            answer = health(session) if callable(health) else session.scalar(select(literal_column(health)))
    except Exception as error:  # whatever it met, the canary is not known to be well
        return f"failed: {describe(error)}"
    return None if answer else f"answered {answer!r}."


def _lodgers(tenancy: Tenancy, home: Home) -> list[uuid.UUID]:
    """Returns one of the tenants whose rows stand in a common home."""
    here = (t for t in tenancy.every_tenant() if t.isolation is Isolation.ROWS and t.server == home.server)
    return [tenant.id for tenant in here][:1]


def _percent(canary: Canary) -> float | None:
    if isinstance(canary, str):
        number = canary.removesuffix("%")
        if number == canary:
            return None
        canary = _number(number)
    if not isinstance(canary, int | float):
        return None
    if not 0 < canary <= 100:
        raise CanaryRefused(canary=f"{canary:g}%", reason="it is not above 0 and at most 100.")
    return canary


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CanaryRefused(canary=f"{text}%", reason="it is not a number.") from None


def _sample(tenancy: Tenancy, found: Sequence[Standing], percent: float) -> frozenset[str]:
    """Returns at least one tenant's home of each kind on each server: those behind first, the same ones each time."""
    asleep = {tenant.id for tenant in tenancy.every_tenant(statuses=(TenantStatus.SUSPENDED,))}
    lived_in = [standing for standing in found if standing.home.tenant and not standing.home.warm]
    able = [standing for standing in lived_in if standing.home.tenant not in asleep]
    if not able:
        reason = "no active tenant has a home of its own. Name a common home instead, such as 'main/common'."
        raise CanaryRefused(canary=f"{percent:g}%", reason=reason)
    chosen: list[str] = []
    for _, group in groupby(sorted(able, key=_lot), key=_kind):
        standings = list(group)
        chosen += [standing.home.key for standing in standings[: math.ceil(len(standings) * percent / 100)]]
    return frozenset(chosen)


def _kind(standing: Standing) -> tuple[str, HomeKind]:
    return standing.home.server, standing.home.kind


def _lot(standing: Standing) -> tuple[str, HomeKind, bool, str]:
    # Drawn from the name, so that a plan shows the canaries that the run will have.
    lot = hashlib.sha256(standing.home.key.encode()).hexdigest()
    return *_kind(standing), standing.position is Position.AT, lot


def _home_key(tenancy: Tenancy, found: Sequence[Standing], key: TenantKey) -> str:
    by_name = {str(standing.home): standing.home.key for standing in found if standing.home.tenant is None}
    if isinstance(key, str) and "/" in key:
        return _known(by_name.get(key), key, "there is no such home.")
    tenant = tenancy.tenants.get(key)
    home = home_of(tenant, tenancy.servers.get(tenant.server))
    if home is None:
        reason = f"its rows stand in the common tables, with others'. Name that home: '{tenant.server}/common'."
        raise CanaryRefused(canary=tenant.slug, reason=reason)
    here = {standing.home.key for standing in found}
    return _known(home.key if home.key in here else None, tenant.slug, f"it is {tenant.status}, or left out by where=.")


def _known(key: str | None, name: str, reason: str) -> str:
    if key is None:
        raise CanaryRefused(canary=name, reason=reason)
    return key
