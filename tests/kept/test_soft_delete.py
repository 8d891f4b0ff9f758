"""Soft delete: twenty shapes in which a stamped row could show, block, or be left behind, on both databases."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cells import Ground, Place, opened
from sqlalchemy import Column, ForeignKey, Table, Uuid, and_, delete, exists, func, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
    with_polymorphic,
)

from tenantry.models import SoftDelete, TenantOwned
from tenantry.repository import Repository

from .places import everywhere

ASKED = {"include_deleted": True}


class Base(DeclarativeBase):
    pass


ticket_tags = Table(
    "ticket_tags",
    Base.metadata,
    Column("ticket_id", Uuid, ForeignKey("tickets.id"), primary_key=True),
    Column("tag_id", Uuid, ForeignKey("tags.id"), primary_key=True),
)


class Team(SoftDelete, TenantOwned, Base):
    __tablename__ = "teams"
    name: Mapped[str] = mapped_column(unique=True)
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("teams.id"))
    tickets: Mapped[list[Ticket]] = relationship(back_populates="team", cascade="all, delete-orphan")
    agents: Mapped[list[Agent]] = relationship(back_populates="team")
    badge: Mapped[Badge | None] = relationship(cascade="all")
    parts: Mapped[list[Team]] = relationship(cascade="all")


class Badge(SoftDelete, TenantOwned, Base):
    __tablename__ = "badges"
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"))


class Agent(TenantOwned, SoftDelete, Base):
    __tablename__ = "agents"
    email: Mapped[str] = mapped_column(unique=True)
    team_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("teams.id"))
    team: Mapped[Team | None] = relationship(back_populates="agents")


class Ticket(SoftDelete, TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    team_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("teams.id"))
    team: Mapped[Team | None] = relationship(back_populates="tickets")
    comments: Mapped[list[Comment]] = relationship(cascade="all", order_by="Comment.body")
    tags: Mapped[list[Tag]] = relationship(secondary=ticket_tags, back_populates="tickets", order_by="Tag.label")


class Comment(SoftDelete, TenantOwned, Base):
    __tablename__ = "comments"
    body: Mapped[str]
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))


class Tag(SoftDelete, TenantOwned, Base):
    __tablename__ = "tags"
    label: Mapped[str]
    tickets: Mapped[list[Ticket]] = relationship(secondary=ticket_tags, back_populates="tags")


class Asset(SoftDelete, TenantOwned, Base):
    __tablename__ = "assets"
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(unique=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "asset"}  # noqa: RUF012 - read by SQLAlchemy


class Vehicle(Asset):
    __tablename__ = "vehicles"
    wheels: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "vehicle"}  # noqa: RUF012 - read by SQLAlchemy


Shape = Callable[[Session], None]
SHAPES: dict[str, Shape] = {}


def shape(work: Shape) -> Shape:
    SHAPES[work.__name__] = work
    return work


@pytest.fixture(scope="module")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with opened(postgres, tmp_path_factory.mktemp("soft_delete"), Base, lambda _: None) as ground:
        yield ground


def plant(session: Session) -> Team:
    """Returns a team with a hidden and a live row of each kind, in a session that has forgotten them."""
    team = Team(name=f"team {uuid.uuid4()}")
    for word in ("live", "gone"):
        ticket = Ticket(subject=word, comments=[Comment(body=f"{word} {kind}") for kind in ("a", "b")])
        ticket.tags = [Tag(label="gone"), Tag(label="live")]
        team.tickets.append(ticket)
        team.agents.append(Agent(email=f"{uuid.uuid4()}"))
        session.add(team)
        session.flush()
        ticket.tags[0].soft_delete()
    ticket.soft_delete(by="ann")
    team.agents[-1].soft_delete()
    session.flush()
    session.expunge_all()
    return session.get_one(Team, team.id)


@shape
def plain_reads(session: Session) -> None:
    team = plant(session)
    mine = select(Ticket.subject).where(Ticket.team_id == team.id)
    assert session.scalars(mine).all() == ["live"]
    assert sorted(session.scalars(mine, execution_options=ASKED)) == ["gone", "live"]
    assert sorted(session.scalars(mine.execution_options(**ASKED))) == ["gone", "live"]


@shape
def get(session: Session) -> None:
    team = plant(session)
    mine = select(Ticket.id).where(Ticket.team_id == team.id, Ticket.is_deleted).execution_options(**ASKED)
    gone = session.scalars(mine).one()
    assert session.get(Ticket, gone) is None
    assert session.get(Ticket, gone, execution_options=ASKED).subject == "gone"  # type: ignore[union-attr]  # it is there
    assert session.get(Ticket, gone) is None, "nor now that the session knows it"


@shape
def count_and_exists(session: Session) -> None:
    team = plant(session)
    own, gone = Ticket.team_id == team.id, Ticket.subject == "gone"
    assert session.scalar(select(func.count()).select_from(Ticket).where(own)) == 1
    assert session.scalar(select(func.count(Ticket.id)).where(own)) == 1
    assert session.scalar(select(func.count()).select_from(select(Ticket.id).where(own).subquery())) == 1
    assert session.scalar(select(select(Ticket).where(own).exists())) is True
    assert session.scalar(select(select(Ticket).where(own, gone).exists())) is False
    assert session.scalar(select(exists().where(own, gone))) is False
    assert session.query(Ticket).filter(own).count() == 1
    assert session.query(Ticket).filter(own, gone).first() is None


@shape
def relationship_loads(session: Session) -> None:
    team = plant(session)
    assert [ticket.subject for ticket in team.tickets] == ["live"]
    assert [len(ticket.comments) for ticket in team.tickets] == [2]
    assert len(team.agents) == 1


@shape
def many_to_one(session: Session) -> None:
    team = plant(session)
    ticket = team.tickets[0]
    ticket.team.soft_delete()  # type: ignore[union-attr]  # it has one
    ticket.restore()
    session.flush()
    identity = ticket.id
    session.expunge_all()
    found = session.get_one(Ticket, identity)
    assert found.team_id == team.id
    assert found.team is None
    session.expire(found)
    session.get(Team, team.id, execution_options=ASKED)
    assert found.team is None, "nor now that the session knows it"


@shape
def eager_loads(session: Session) -> None:
    team = plant(session)
    for eagerly in (selectinload, joinedload, subqueryload):
        session.expunge_all()
        option = eagerly(Team.tickets).options(eagerly(Ticket.comments), eagerly(Ticket.tags))
        found = session.scalars(select(Team).where(Team.id == team.id).options(option)).unique().one()
        (ticket,) = inspect(found).dict["tickets"]
        assert [tag.label for tag in inspect(ticket).dict["tags"]] == ["live"], eagerly
    session.expunge_all()
    found = session.get_one(Team, team.id, options=[selectinload(Team.tickets)])
    assert len(inspect(found).dict["tickets"]) == 1


@shape
def eager_loads_that_ask(session: Session) -> None:
    team = plant(session)
    for eagerly in (selectinload, joinedload, subqueryload):
        session.expunge_all()
        asked = select(Team).where(Team.id == team.id).options(eagerly(Team.tickets)).execution_options(**ASKED)
        found = session.scalars(asked).unique().one()
        assert sorted(ticket.subject for ticket in found.tickets) == ["gone", "live"], eagerly
        assert len(found.agents) == 2, "what was asked for so shows its lazy collections whole too"


@shape
def aliases_and_joins(session: Session) -> None:
    team = plant(session)
    other = aliased(Ticket)
    joined = select(func.count()).select_from(Team).join(other, Team.tickets.of_type(other)).where(Team.id == team.id)
    assert session.scalar(joined) == 1
    outer = select(Team.id, Ticket.id).outerjoin(Team.tickets.and_(Ticket.subject == "gone")).where(Team.id == team.id)
    assert [row[1] for row in session.execute(outer)] == [None]
    related = select(Team.id).where(Team.id == team.id, Team.tickets.any(Ticket.subject == "gone"))
    assert session.scalars(related).all() == []
    alias = aliased(Ticket)
    of_alias = Team.tickets.of_type(alias).any(alias.subject.in_(["gone", "live"]))
    assert session.scalars(select(Team.id).where(Team.id == team.id, ~of_alias)).all() == []
    deep = Team.tickets.any(and_(Ticket.subject == "live", Ticket.tags.any(Tag.label == "gone")))
    assert session.scalars(select(Team.id).where(Team.id == team.id, deep)).all() == []
    assert session.scalars(select(Team.id).where(Team.id == team.id, deep), execution_options=ASKED).all() == [team.id]
    up = Comment.ticket_id.in_(select(Ticket.id).where(Ticket.team.has(Team.id == team.id)))
    assert session.scalar(select(func.count(Comment.id)).where(up)) == 2
    to_one = (
        select(func.count(Comment.id)).join(Ticket, Comment.ticket_id == Ticket.id).where(Ticket.team_id == team.id)
    )
    assert session.scalar(to_one) == 2


@shape
def subqueries(session: Session) -> None:
    team = plant(session)
    own = select(Ticket.id).where(Ticket.team_id == team.id)
    assert session.scalars(select(Comment.body).where(Comment.ticket_id.in_(own)).order_by(Comment.body)).all() == [
        "live a",
        "live b",
    ]
    whole = aliased(Ticket, select(Ticket).where(Ticket.team_id == team.id).subquery())
    assert [ticket.subject for ticket in session.scalars(select(whole))] == ["live"]
    scalar = select(func.count(Ticket.id)).where(Ticket.team_id == Team.id).correlate(Team).scalar_subquery()
    assert session.scalar(select(scalar).where(Team.id == team.id)) == 1
    common = select(Ticket.subject).where(Ticket.team_id == team.id).cte()
    assert session.scalars(select(common.c.subject)).all() == ["live"]


@shape
def unions(session: Session) -> None:
    team = plant(session)
    own = select(Ticket.subject).where(Ticket.team_id == team.id)
    assert session.scalars(own.union_all(own)).all() == ["live", "live"]
    assert [
        ticket.subject for ticket in session.scalars(select(Ticket).from_statement(own.with_only_columns(Ticket)))
    ] == ["live"]


@shape
def refreshed(session: Session) -> None:
    ticket = plant(session).tickets[0]
    ticket.soft_delete()
    session.flush()
    session.refresh(ticket)
    session.expire(ticket)
    assert ticket.is_deleted
    assert ticket.subject == "live"


@shape
def merged(session: Session) -> None:
    ticket = plant(session).tickets[0]
    ticket.soft_delete()
    session.flush()
    session.expunge_all()
    ticket.restore()
    assert session.merge(ticket).subject == "live"
    session.flush()
    assert session.get(Ticket, ticket.id) is not None


@shape
def stamped_by(session: Session) -> None:
    session.info["actor"] = uuid.UUID(int=7)
    ticket = plant(session).tickets[0]
    ticket.comments[0].soft_delete()
    ticket.comments[1].soft_delete(by="ann")
    assert [comment.deleted_by for comment in ticket.comments] == [str(uuid.UUID(int=7)), "ann"]
    assert all(comment.deleted_at.tzinfo is datetime.UTC for comment in ticket.comments if comment.deleted_at)
    stamps = {comment.deleted_at for comment in ticket.comments}
    ticket.comments[0].soft_delete(by="again")
    assert {comment.deleted_at for comment in ticket.comments} == stamps
    assert len(stamps) == 2


@shape
def unique_among_live(session: Session) -> None:
    name = f"once {uuid.uuid4()}"
    first = Team(name=name)
    session.add(first)
    session.flush()
    first.soft_delete()
    session.add(Team(name=name))
    session.flush()
    with pytest.raises(IntegrityError):
        _within(session, first.restore)
    session.refresh(first)
    with pytest.raises(IntegrityError):
        _within(session, lambda: session.add(Team(name=name)))


def _within(session: Session, work: Callable[[], None]) -> None:
    with session.begin_nested():
        work()
        session.flush()


@shape
def upserted(session: Session) -> None:
    teams = Repository(session, model=Team)
    name = f"again {uuid.uuid4()}"
    first = teams.upsert({"name": name}, key=["name"])
    assert teams.upsert({"name": name}, key=["name"]) is first
    teams.delete(first)
    second = teams.upsert({"name": name}, key=["name"])
    assert second.id != first.id
    assert teams.count(name=name) == 1


@shape
def cascade_and_restore(session: Session) -> None:
    team = plant(session)
    ticket = team.tickets[0]
    ticket.comments[0].soft_delete(by="earlier")
    session.flush()
    team.soft_delete(by="ann")
    session.flush()
    stamped = session.scalars(select(Ticket).where(Ticket.team_id == team.id), execution_options=ASKED).all()
    assert {found.deleted_by for found in stamped} == {"ann"}
    assert len({found.deleted_at for found in stamped}) == 2, "what was gone keeps its own stamp"
    assert session.scalars(select(Comment).where(Comment.ticket_id == ticket.id)).all() == []
    assert session.scalars(select(Agent).where(Agent.team_id == team.id)).all() != [], "a delete leaves them too"
    team.restore()
    session.flush()
    session.expire_all()
    assert [found.subject for found in team.tickets] == ["live"]
    assert [comment.body for comment in team.tickets[0].comments] == ["live b"]


@shape
def cascade_of_what_is_not_flushed(session: Session) -> None:
    team = Team(name=f"new {uuid.uuid4()}", tickets=[Ticket(subject="new", comments=[Comment(body="new")])])
    team.soft_delete()
    assert all(row.is_deleted for row in (team, *team.tickets, *team.tickets[0].comments))
    session.add(team)
    session.flush()
    team.restore()
    assert not team.tickets[0].comments[0].is_deleted


@shape
def hard_delete_of_a_parent(session: Session) -> None:
    team = plant(session)
    team.parts = [Team(name=f"part {uuid.uuid4()}", badge=Badge())]
    session.flush()
    team.parts[0].soft_delete()
    session.flush()
    session.expire_all()
    identity = team.id
    assert len(team.tickets) == 1, "loaded before, without what is hidden"
    session.delete(team)
    session.flush()
    tickets = select(func.count()).select_from(Ticket.__table__).where(Ticket.__table__.c.team_id == identity)
    assert session.scalar(tickets) == 0
    agents = select(func.count()).select_from(Agent.__table__).where(Agent.__table__.c.team_id == identity)
    assert session.scalar(agents) == 0, "let go, not deleted"


@shape
def many_to_many(session: Session) -> None:
    ticket = plant(session).tickets[0]
    assert [tag.label for tag in ticket.tags] == ["live"]
    ticket.tags[0].soft_delete()
    session.flush()
    session.expire_all()
    assert ticket.tags == []
    links = select(func.count()).select_from(ticket_tags).where(ticket_tags.c.ticket_id == ticket.id)
    assert session.scalar(links) == 2, "the links stay"
    session.delete(ticket)
    session.flush()
    assert session.scalar(links) == 0, "and go with the row itself"


@shape
def bulk_statements(session: Session) -> None:
    team = plant(session)
    own = Ticket.team_id == team.id
    fetched = {"synchronize_session": "fetch"}
    assert session.execute(update(Ticket).where(own).values(subject="changed"), execution_options=fetched).rowcount == 1  # type: ignore[attr-defined]  # a cursor's result
    asked = update(Ticket).where(own, Ticket.is_deleted).values(deleted_at=None, deleted_by=None)
    assert session.execute(asked, execution_options={**ASKED, **fetched}).rowcount == 1  # type: ignore[attr-defined]  # as above
    session.execute(
        update(Ticket).where(own, Ticket.subject == "gone").values(deleted_at=Ticket.__table__.c.deleted_at)
    )
    comments = Comment.ticket_id.in_(select(Ticket.id).where(own))
    session.execute(update(Comment).where(comments, Comment.body == "live a").values(deleted_at=_now()))
    assert session.execute(delete(Comment).where(comments)).rowcount == 1  # type: ignore[attr-defined]  # as above
    assert session.execute(delete(Comment).where(comments), execution_options=ASKED).rowcount == 3  # type: ignore[attr-defined]  # as above


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@shape
def repository(session: Session) -> None:
    team = plant(session)
    tickets = Repository(session, model=Ticket)
    assert tickets.count(team_id=team.id) == 1
    assert not tickets.exists(team_id=team.id, subject="gone")
    assert tickets.page(1, 10, Ticket.team_id == team.id).total == 1
    live = tickets.one(team_id=team.id)
    tickets.delete(live.id)
    assert tickets.get(live.id) is None
    assert tickets.query().include_deleted().filter_by(team_id=team.id).count() == 2
    assert tickets.query().include_deleted().filter_by(team_id=team.id, subject="gone").exists()
    assert tickets.restore(live.id) is live
    assert tickets.get(live.id) is live


@shape
def purge(session: Session) -> None:
    team = plant(session)
    tickets = Repository(session, model=Ticket)
    assert tickets.purge(older_than=datetime.timedelta(days=30)) == 0
    assert tickets.purge(older_than=_now() + datetime.timedelta(seconds=1)) >= 1
    left = select(func.count()).select_from(Ticket.__table__).where(Ticket.__table__.c.team_id == team.id)
    assert session.scalar(left) == 1


@shape
def inheritance(session: Session) -> None:
    name = f"car {uuid.uuid4()}"
    gone = Vehicle(name=name, wheels=4)
    session.add(gone)
    session.flush()
    gone.soft_delete()
    session.add(Vehicle(name=name, wheels=3))
    session.flush()
    session.expunge_all()
    every = with_polymorphic(Asset, [Vehicle])
    assert [car.wheels for car in session.scalars(select(Vehicle).where(Vehicle.name == name))] == [3]
    assert len(session.scalars(select(every).where(every.name == name)).all()) == 1
    assert session.scalar(select(func.count()).select_from(Asset).where(Asset.name == name)) == 1
    assert session.get(Asset, gone.id) is None


@shape
def core_and_text_see_all(session: Session) -> None:
    team = plant(session)
    table = Ticket.__table__
    assert session.scalar(select(func.count()).select_from(table).where(table.c.team_id == team.id)) == 2
    both = text("SELECT count(*) FROM tickets WHERE subject IN ('live', 'gone')")
    assert session.scalar(both) >= 2


def test_there_are_twenty_shapes() -> None:
    assert len(SHAPES) >= 20


@everywhere("place")
def test_every_shape(ground: Ground, place: Place) -> None:
    failed = []
    for name, work in SHAPES.items():
        with ground.session(place) as door:
            try:
                door.run(work)
                door.commit()
            except (AssertionError, InvalidRequestError, IntegrityError, TypeError, AttributeError) as error:
                failed.append((name, repr(error)[:300]))
    assert failed == []
