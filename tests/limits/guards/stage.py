"""What the tests of switches, breakers and fair share, and the processes that they start, have in common."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tenantry import Tenancy
from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import Policy
from tenantry.limits.kill_switches import KillSwitches
from tenantry.models import TenantOwned

PROBES = 3
# Nothing of it passes while a test runs: time is made to pass by changing the rows.
POLICY = Policy(failures=5, cool_down=3600, probes=PROBES, lease=3600)
WINDOWED = Policy(failures=3, window=3600, cool_down=3600)
TABLES = ("effects", "kill_switches", "circuit_breakers")


class Base(DeclarativeBase):
    pass


class Effect(TenantOwned, Base):
    """Something that was done."""

    __tablename__ = "effects"

    done_by: Mapped[str]
    number: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True)
class Guards:
    """What is tested, made of one tenancy."""

    tenancy: Tenancy
    switches: KillSwitches
    breakers: Breakers
    said: list[dict[str, Any]]


def make(tenancy: Tenancy) -> Guards:
    """Makes what is tested."""
    said: list[dict[str, Any]] = []
    switches = KillSwitches(tenancy, audit=lambda _, **told: said.append(told))
    return Guards(tenancy, switches, Breakers(tenancy, policy=POLICY, policies={"windowed": WINDOWED}), said)


def effect(by: str = "test") -> Effect:
    """Returns a new effect."""
    return Effect(id=uuid.uuid4(), done_by=by)


def forget_all(session: Session) -> None:
    """Deletes every row of the session's tenant."""
    for name in TABLES:
        session.execute(Base.metadata.tables[name].delete())
