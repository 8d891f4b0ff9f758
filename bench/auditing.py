"""An insert and its commit, without an audit, with an entry recorded, and with the change captured."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator

from sqlalchemy.orm import DeclarativeBase, Mapped

from bench.samples import table
from bench.sessions import Turn, timed
from tenantry import Tenancy, TenantSession
from tenantry.audit import Audit
from tenantry.embedded import PostgresServer
from tenantry.models import TenantOwned

_CHAIN = 10_000
_BATCH = 500


class Base(DeclarativeBase):
    """The models of a small shop."""


class Order(TenantOwned, Base):
    """What is inserted."""

    __tablename__ = "orders"

    item: Mapped[str]
    amount: Mapped[int]


def report(rounds: int) -> None:
    """Prints what an audit costs on both databases, and how fast a chain is verified."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}"
        with _tenancies(url, {}) as tenancies:
            _print("SQLite, own file", tenancies, rounds)
    with PostgresServer() as server:
        owner_url = server.url("bench")
        with _tenancies(owner_url, {}) as tenancies:
            app_url = tenancies[0].create_login("auditing_app")
        with _tenancies(app_url, {"owner_url": owner_url}) as tenancies:
            _print("PostgreSQL, psycopg, rows", tenancies, rounds)


@contextlib.contextmanager
def _tenancies(url: str, logins: dict[str, str]) -> Iterator[tuple[Tenancy, Tenancy, Tenancy]]:
    """Opens three tenancies of one database: of one an audit is made, of another it captures."""
    made = (Tenancy(url, Base, **logins), Tenancy(url, Base, **logins), Tenancy(url, Base, **logins))
    Audit(made[0])
    made[0].install(create_tables=True)
    yield made
    for tenancy in made:
        tenancy.close()


def _print(where: str, tenancies: tuple[Tenancy, Tenancy, Tenancy], rounds: int) -> None:
    plain, recording, capturing = tenancies
    for slug in ("without", "recorded", "captured", "verified"):
        plain.tenants.create(slug)
    audit = Audit(recording)
    Audit(capturing).capture(Order)
    contestants = {
        "without": _inserting(plain, "without"),
        "audit.record()": _inserting(recording, "recorded", audit),
        "audit.capture(Order)": _inserting(capturing, "captured"),
    }
    print(table(f"{where}: insert and commit", timed(contestants, rounds)), flush=True)
    _verify(where, recording, audit)


def _inserting(tenancy: Tenancy, slug: str, audit: Audit | None = None) -> Turn:
    def turn(number: int) -> None:
        with tenancy.session(slug) as session:
            session.add(Order(item="lamp", amount=number))
            if audit is not None:
                _record(audit, session, number)
            session.commit()

    return turn


def _record(audit: Audit, session: TenantSession, number: int) -> None:
    audit.record(
        session,
        event_type="order.placed",
        category="sales",
        description="Placed an order",
        changes={"item": {"after": "lamp"}, "amount": {"after": number}},
    )


def _verify(where: str, tenancy: Tenancy, audit: Audit) -> None:
    for start in range(0, _CHAIN, _BATCH):
        with tenancy.transaction("verified") as session:
            for number in range(start, start + _BATCH):
                _record(audit, session, number)
    begun = time.perf_counter()
    findings = audit.verify("verified")
    spent = time.perf_counter() - begun
    print(f"\n{where}: {_CHAIN} entries verified in {spent:.2f} s, {len(findings)} findings", flush=True)
