"""An object gets its tenant once, and keeps it."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, synonym

from tenantry.errors import TenantImmutable
from tenantry.models import TenantOwned, TenantRecord, stamp

from .conftest import created
from .shapes import statements

MINE, THEIRS = uuid.uuid4(), uuid.uuid4()


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str | None]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    kind: Mapped[str] = mapped_column(default="ticket")
    org_id: Mapped[uuid.UUID] = synonym("tenant_id")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "ticket"}  # noqa: RUF012


class Bug(Ticket):
    __tablename__ = "bugs"
    __mapper_args__ = {"polymorphic_identity": "bug"}  # noqa: RUF012


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    created(Base.metadata, engine)
    with Session(engine) as session:
        yield session


def test_a_new_object_is_stamped_once() -> None:
    ticket = Ticket()
    assert stamp(ticket, MINE)
    assert ticket.tenant_id == ticket.org_id == MINE
    assert stamp(ticket, MINE)
    assert not stamp(ticket, THEIRS)
    assert ticket.tenant_id == MINE


def test_a_record_gets_the_tenants_id() -> None:
    company = Company()
    assert stamp(company, MINE)
    assert (company.id, company.tenant_id) == (MINE, MINE)
    assert not stamp(company, THEIRS)
    assert not stamp(Company(id=THEIRS), MINE)
    assert stamp(Company(tenant_id=MINE), MINE)


def test_a_record_that_was_not_stamped_takes_its_tenant_at_insert(session: Session) -> None:
    company = Company(tenant_id=MINE)
    session.add(company)
    session.commit()
    assert company.id == MINE


def test_stamping_an_expired_row_sends_nothing(session: Session) -> None:
    ticket, company = Ticket(tenant_id=MINE), Company(tenant_id=MINE)
    session.add_all([ticket, company])
    session.commit()
    with statements(session) as sent:
        assert stamp(ticket, MINE)
        assert stamp(company, MINE)
        assert not stamp(ticket, THEIRS)
        assert not stamp(company, THEIRS)
    assert sent == []


@pytest.mark.parametrize("model", [Ticket, Bug, Company])
def test_the_tenant_of_an_object_cannot_change(model: type[Ticket | Company]) -> None:
    row = model(tenant_id=MINE)
    row.tenant_id = MINE
    with pytest.raises(TenantImmutable, match=f"The tenant of a {model.__name__} cannot change"):
        row.tenant_id = THEIRS
    assert row.tenant_id == MINE


def test_a_synonym_is_guarded_too() -> None:
    ticket = Ticket(org_id=MINE)
    with pytest.raises(TenantImmutable):
        ticket.org_id = THEIRS


def test_an_unsaved_object_may_be_freed_but_a_row_may_not(session: Session) -> None:
    ticket = Ticket(tenant_id=MINE)
    ticket.tenant_id = None
    ticket.tenant_id = THEIRS
    session.add(ticket)
    session.commit()
    for value in (None, MINE):
        with pytest.raises(TenantImmutable):
            ticket.tenant_id = value


def test_an_expired_row_is_guarded_and_so_is_a_detached_one(session: Session) -> None:
    ticket, bug = Ticket(tenant_id=MINE), Bug(tenant_id=MINE)
    session.add_all([ticket, bug])
    session.commit()
    with pytest.raises(TenantImmutable):
        bug.tenant_id = THEIRS
    session.refresh(ticket)
    session.expunge(ticket)
    for value in (None, THEIRS):
        with pytest.raises(TenantImmutable):
            ticket.tenant_id = value
    thawed = pickle.loads(pickle.dumps(ticket))
    with pytest.raises(TenantImmutable):
        thawed.tenant_id = THEIRS
    assert copy.copy(ticket.tenant_id) == MINE


def test_merging_keeps_the_tenant(session: Session) -> None:
    ticket = Ticket(tenant_id=MINE)
    session.add(ticket)
    session.commit()
    assert session.merge(Ticket(tenant_id=MINE, id=ticket.id)) is ticket
    copied = session.merge(Ticket(tenant_id=THEIRS, id=ticket.id))
    assert copied is not ticket
    assert (ticket.tenant_id, copied.tenant_id) == (MINE, THEIRS)
