"""Relationship shapes: ordinary models, and for each shape a scenario that any session of one tenant must carry out.

``SHAPES`` maps a shape's name to its scenario. A scenario takes a Session, creates, reads, nulls, deletes and merges,
commits as it goes, raises AssertionError where a relationship does anything but what plain SQLAlchemy does, and
leaves rows behind that no other scenario looks at.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, String, Table, UniqueConstraint, event, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    backref,
    contains_eager,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
    synonym,
)

from tenantry.models import TenantOwned, TenantRecord, references, tenant_table


class Base(DeclarativeBase):
    pass


# --- many-to-one, one-to-many --------------------------------------------------------------------------------------


class Team(TenantOwned, Base):
    __tablename__ = "teams"
    name: Mapped[str] = mapped_column(String(80), unique=True)
    players: Mapped[list[Player]] = relationship(back_populates="team", order_by="Player.name")


class Player(TenantOwned, Base):
    __tablename__ = "players"
    __table_args__ = (UniqueConstraint("team_id", "name"),)
    name: Mapped[str]
    team_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("teams.id"), index=True)
    team: Mapped[Team | None] = relationship(back_populates="players")
    org_id: Mapped[uuid.UUID] = synonym("tenant_id")


# --- one-to-one ----------------------------------------------------------------------------------------------------


class Pilot(TenantOwned, Base):
    __tablename__ = "pilots"
    name: Mapped[str]
    licence: Mapped[Licence | None] = relationship(back_populates="pilot", uselist=False)


class Licence(TenantOwned, Base):
    __tablename__ = "licences"
    pilot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pilots.id"), unique=True)
    pilot: Mapped[Pilot | None] = relationship(back_populates="licence")


# --- self-reference, with and without remote_side -------------------------------------------------------------------


class Folder(TenantOwned, Base):
    __tablename__ = "folders"
    name: Mapped[str]
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
    parent: Mapped[Folder | None] = relationship(back_populates="children", remote_side="Folder.id")
    children: Mapped[list[Folder]] = relationship(back_populates="parent")


class Reply(TenantOwned, Base):
    __tablename__ = "replies"
    text: Mapped[str]
    previous_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("replies.id"))
    previous: Mapped[Reply | None] = relationship(back_populates="following")
    following: Mapped[list[Reply]] = relationship(back_populates="previous")


# --- many-to-many: an association Table, a tenant_table, and a table that links a class with itself ------------------

article_topics = Table(
    "article_topics",
    Base.metadata,
    Column("article_id", ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True),
    Column("topic_id", ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True),
)


class Article(TenantOwned, Base):
    __tablename__ = "articles"
    title: Mapped[str]
    topics: Mapped[list[Topic]] = relationship(secondary=article_topics, back_populates="articles")
    readers: Mapped[set[Reader]] = relationship(secondary="article_readers")


class Topic(TenantOwned, Base):
    __tablename__ = "topics"
    name: Mapped[str]
    articles: Mapped[list[Article]] = relationship(secondary=article_topics, back_populates="topics")


class Reader(TenantOwned, Base):
    __tablename__ = "readers"
    name: Mapped[str]


tenant_table("article_readers", Base.metadata, references("articles.id"), references("readers.id"))

friendships = Table(
    "friendships",
    Base.metadata,
    Column("left_id", ForeignKey("persons.id"), primary_key=True),
    Column("right_id", ForeignKey("persons.id"), primary_key=True),
)


class Person(TenantOwned, Base):
    __tablename__ = "persons"
    name: Mapped[str]
    friends: Mapped[list[Person]] = relationship(
        secondary=friendships,
        primaryjoin=lambda: Person.id == friendships.c.left_id,
        secondaryjoin=lambda: Person.id == friendships.c.right_id,
        back_populates="friend_of",
    )
    friend_of: Mapped[list[Person]] = relationship(
        secondary="friendships",
        primaryjoin="Person.id == friendships.c.right_id",
        secondaryjoin="Person.id == friendships.c.left_id",
        back_populates="friends",
    )


# --- association object ----------------------------------------------------------------------------------------------


class Course(TenantOwned, Base):
    __tablename__ = "courses"
    title: Mapped[str]
    enrolments: Mapped[list[Enrolment]] = relationship(back_populates="course", cascade="all, delete-orphan")


class Student(TenantOwned, Base):
    __tablename__ = "students"
    name: Mapped[str]
    enrolments: Mapped[list[Enrolment]] = relationship(back_populates="student", cascade="all, delete-orphan")


class Enrolment(TenantOwned, Base):
    __tablename__ = "enrolments"
    course_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("courses.id"), primary_key=True)
    student_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("students.id"), primary_key=True)
    grade: Mapped[str | None]
    course: Mapped[Course] = relationship(back_populates="enrolments")
    student: Mapped[Student] = relationship(back_populates="enrolments")


# --- joined and single-table inheritance -----------------------------------------------------------------------------


class Vehicle(TenantOwned, Base):
    __tablename__ = "vehicles"
    kind: Mapped[str]
    garage_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("garages.id"))
    garage: Mapped[Garage | None] = relationship(back_populates="vehicles")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012 - read by SQLAlchemy


class Truck(Vehicle):
    __tablename__ = "trucks"
    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("vehicles.id"), primary_key=True)
    load: Mapped[int]
    depot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("garages.id"))
    depot: Mapped[Garage | None] = relationship(back_populates="trucks", foreign_keys="Truck.depot_id")
    trailers: Mapped[list[Trailer]] = relationship(back_populates="truck")
    __mapper_args__ = {"polymorphic_identity": "truck"}  # noqa: RUF012 - read by SQLAlchemy


class Tanker(Truck):
    __tablename__ = "tankers"
    litres: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "tanker"}  # noqa: RUF012 - read by SQLAlchemy


class Bicycle(Vehicle):
    gears: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "bicycle"}  # noqa: RUF012 - read by SQLAlchemy


class Trailer(TenantOwned, Base):
    __tablename__ = "trailers"
    truck_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("trucks.id"))
    truck: Mapped[Truck | None] = relationship(back_populates="trailers")


class Garage(TenantOwned, Base):
    __tablename__ = "garages"
    name: Mapped[str]
    vehicles: Mapped[list[Vehicle]] = relationship(back_populates="garage")
    trucks: Mapped[list[Truck]] = relationship(back_populates="depot", foreign_keys="Truck.depot_id")


# --- two keys to one target ------------------------------------------------------------------------------------------


class Address(TenantOwned, Base):
    __tablename__ = "addresses"
    street: Mapped[str]
    billed: Mapped[list[Order]] = relationship(back_populates="billing", foreign_keys="Order.billing_id")
    shipped: Mapped[list[Order]] = relationship(
        back_populates="shipping", primaryjoin="Address.id == Order.shipping_id"
    )


class Order(TenantOwned, Base):
    __tablename__ = "orders"
    billing_id: Mapped[uuid.UUID | None] = references("addresses.id")
    shipping_id: Mapped[uuid.UUID | None] = references("addresses.id")
    billing: Mapped[Address | None] = relationship(back_populates="billed", foreign_keys=[billing_id])
    shipping: Mapped[Address | None] = relationship(
        back_populates="shipped", primaryjoin=lambda: Order.shipping_id == Address.id
    )


# --- viewonly, backref, delete-orphan --------------------------------------------------------------------------------


class Project(TenantOwned, Base):
    __tablename__ = "projects"
    name: Mapped[str]
    tasks: Mapped[list[Task]] = relationship(backref=backref("project", lazy="select"), cascade="all, delete-orphan")
    open_tasks: Mapped[list[Task]] = relationship(
        viewonly=True, primaryjoin="and_(Project.id == Task.project_id, Task.done == False)"
    )


class Task(TenantOwned, Base):
    __tablename__ = "tasks"
    name: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id"))


# --- what the database does when a row goes --------------------------------------------------------------------------


class Shelf(TenantOwned, Base):
    __tablename__ = "shelves"
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="shelf", passive_deletes="all")
    labels: Mapped[list[Label]] = relationship(back_populates="shelf", cascade="all, delete", passive_deletes=True)


class Book(TenantOwned, Base):
    __tablename__ = "books"
    title: Mapped[str]
    shelf_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("shelves.id", ondelete="SET NULL"))
    shelf: Mapped[Shelf | None] = relationship(back_populates="books")


class Label(TenantOwned, Base):
    __tablename__ = "labels"
    text: Mapped[str]
    shelf_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("shelves.id", ondelete="CASCADE"))
    shelf: Mapped[Shelf] = relationship(back_populates="labels")


# --- integer ids -----------------------------------------------------------------------------------------------------


class Invoice(TenantOwned, Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)  # type: ignore[assignment]  # an integer where the mixin has a UUID
    lines: Mapped[list[InvoiceLine]] = relationship(back_populates="invoice", cascade="all, delete-orphan")


class InvoiceLine(TenantOwned, Base):
    __tablename__ = "invoice_lines"
    id: Mapped[int] = mapped_column(primary_key=True)  # type: ignore[assignment]  # an integer where the mixin has a UUID
    text: Mapped[str]
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    invoice: Mapped[Invoice] = relationship(back_populates="lines")


# --- the tenant's own record, and two tables that refer to each other ------------------------------------------------


class Organization(TenantRecord, Base):
    __tablename__ = "organizations"
    name: Mapped[str]
    offices: Mapped[list[Office]] = relationship(back_populates="organization", foreign_keys="Office.organization_id")


class Office(TenantOwned, Base):
    __tablename__ = "offices"
    city: Mapped[str]
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    head_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("clerks.id", use_alter=True))
    organization: Mapped[Organization | None] = relationship(back_populates="offices")
    head: Mapped[Clerk | None] = relationship(foreign_keys=[head_id], post_update=True)
    clerks: Mapped[list[Clerk]] = relationship(back_populates="office", foreign_keys="Clerk.office_id")


class Clerk(TenantOwned, Base):
    __tablename__ = "clerks"
    name: Mapped[str]
    office_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("offices.id"))
    office: Mapped[Office | None] = relationship(back_populates="clerks", foreign_keys=[office_id])


# --- scenarios -------------------------------------------------------------------------------------------------------


def many_to_one(session: Session) -> None:
    team, player = Team(name=_name("red")), Player(name="Ada")
    player.team_id = team.id
    _save(session, team, player)
    tenant = player.tenant_id
    assert player.team is team
    assert player.org_id == tenant
    session.expire(player, ["team"])
    assert player.team_id == team.id
    assert team.name
    with statements(session) as sent:
        assert player.team is team
    assert sent == [], "a many-to-one must come out of the identity map"
    player.team = None
    session.commit()
    assert (player.team_id, player.tenant_id) == (None, tenant)
    player.team = team
    session.commit()
    assert _column(session, Player.team_id, player) == team.id
    merged = session.merge(Player(tenant_id=tenant, id=player.id, name="Grace", team_id=None))
    session.commit()
    assert merged is player
    assert (player.name, player.team_id, player.team) == ("Grace", None, None)
    session.delete(player)
    session.commit()
    assert _count(session, Player, id=player.id) == 0
    assert _count(session, Team, id=team.id) == 1


def one_to_many(session: Session) -> None:
    team = Team(name=_name("blue"), players=[Player(name="b"), Player(name="a")])
    _save(session, team)
    tenant = team.tenant_id
    session.expire_all()
    assert [player.name for player in team.players] == ["a", "b"]
    for load in (joinedload, selectinload, subqueryload):
        session.expunge_all()
        query = select(Team).where(Team.id == team.id).options(load(Team.players))
        found = session.scalars(query).unique().one()
        with statements(session) as sent:
            assert [player.name for player in found.players] == ["a", "b"]
        assert sent == []
    other = Player(name="c")
    found.players.append(other)
    first = found.players[0]
    found.players.remove(first)
    session.commit()
    assert (first.team_id, first.tenant_id) == (None, tenant)
    assert other in found.players
    session.refresh(found)
    joined = select(func.count()).select_from(Team).join(Team.players).where(Team.id == found.id)
    assert session.scalar(joined) == 2
    assert session.scalar(select(func.count()).where(Team.players.any(name="c"), Team.id == found.id)) == 1
    assert session.scalars(select(Player).where(Player.team.has(id=found.id)).order_by(Player.name)).all()[1] is other
    session.delete(found)
    session.commit()
    assert (other.team_id, other.tenant_id) == (None, tenant)


def one_to_one(session: Session) -> None:
    pilot = Pilot(name="Amelia", licence=Licence())
    _save(session, pilot)
    first, tenant = pilot.licence, pilot.tenant_id
    assert first is not None
    assert first.pilot is pilot
    pilot.licence = Licence()
    session.commit()
    assert (first.pilot_id, first.tenant_id) == (None, tenant)
    first.pilot_id = pilot.id
    _refused(session)
    loaded = session.scalars(select(Pilot).where(Pilot.id == pilot.id).options(joinedload(Pilot.licence))).one()
    assert loaded.licence is not first
    pilot.licence = None
    session.commit()
    assert _count(session, Licence, pilot_id=pilot.id) == 0


def self_reference(session: Session) -> None:
    root = Folder(name="root", children=[Folder(name="a"), Folder(name="b", children=[Folder(name="c")])])
    _save(session, root)
    tenant = root.tenant_id
    session.expire_all()
    assert sorted(child.name for child in root.children) == ["a", "b"]
    deep = session.scalars(select(Folder).where(Folder.name == "c", Folder.tenant_id == tenant)).one()
    assert deep.parent is not None
    assert deep.parent.parent is root
    parent = aliased(Folder)
    query = select(Folder).join(Folder.parent.of_type(parent)).where(parent.id == root.id)
    assert len(session.scalars(query).all()) == 2
    moved = deep.parent
    moved.parent = None
    session.commit()
    assert (moved.parent_id, moved.tenant_id) == (None, tenant)
    root.children.append(moved)
    session.commit()
    assert moved.parent is root
    moved.children.remove(deep)
    session.delete(deep)
    session.commit()
    assert moved.children == []


def self_reference_by_cardinality(session: Session) -> None:
    first = Reply(text="first")
    second = Reply(text="second", previous=first)
    _save(session, second)
    assert second.previous_id == first.id
    session.expire_all()
    assert first.following == [second]
    assert second.previous is first
    assert first.previous is None
    second.previous = None
    session.commit()
    assert (second.previous_id, second.tenant_id) == (None, first.tenant_id)


def many_to_many(session: Session) -> None:
    news, sport = Topic(name="news"), Topic(name="sport")
    article = Article(title="x", topics=[news, sport])
    _save(session, article)
    links = select(article_topics.c.tenant_id).where(article_topics.c.article_id == article.id)
    assert session.scalars(links).all() == [article.tenant_id] * 2
    article.topics.remove(news)
    session.commit()
    assert news.articles == []
    assert sport.articles == [article]
    session.expunge_all()
    query = select(Article).where(Article.id == article.id).options(selectinload(Article.topics))
    loaded = session.scalars(query).one()
    assert [topic.name for topic in loaded.topics] == ["sport"]
    named = select(Article.title).join(Article.topics).where(Topic.name == "sport", Article.id == article.id)
    assert session.scalars(named).all() == ["x"]
    session.delete(loaded)
    session.commit()
    assert session.scalars(links).all() == []
    assert _count(session, Topic, id=sport.id) == 1


def many_to_many_by_tenant_table(session: Session) -> None:
    ada, bob = Reader(name="Ada"), Reader(name="Bob")
    article = Article(title="y", readers={ada, bob})
    _save(session, article)
    session.expire_all()
    assert article.readers == {ada, bob}
    article.readers = {bob}
    session.commit()
    assert article.readers == {bob}
    article.readers.clear()
    session.commit()
    assert session.scalars(select(Reader).where(Reader.id == bob.id)).one() is bob


def many_to_many_with_itself(session: Session) -> None:
    ada, bob, eve = Person(name="Ada"), Person(name="Bob"), Person(name="Eve")
    ada.friends = [bob, eve]
    _save(session, ada)
    session.expire_all()
    assert {friend.name for friend in ada.friends} == {"Bob", "Eve"}
    assert bob.friend_of == [ada]
    assert bob.friends == []
    ada.friends.remove(eve)
    session.commit()
    assert eve.friend_of == []
    session.delete(bob)
    session.commit()
    assert ada.friends == []


def association_object(session: Session) -> None:
    course, student = Course(title="Logic"), Student(name="Kurt")
    course.enrolments.append(Enrolment(student=student, grade="A"))
    _save(session, course)
    enrolment = student.enrolments[0]
    assert enrolment.course is course
    assert (enrolment.course_id, enrolment.student_id) == (course.id, student.id)
    query = select(Course).join(Course.enrolments).join(Enrolment.student).where(Student.id == student.id)
    assert session.scalars(query.options(contains_eager(Course.enrolments))).unique().one() is course
    session.add(Enrolment(tenant_id=course.tenant_id, course_id=course.id, student_id=student.id))
    with session.no_autoflush:
        session.expunge(enrolment)
    _refused(session)
    student.enrolments.clear()
    session.commit()
    assert _count(session, Enrolment, course_id=course.id) == 0


def joined_inheritance(session: Session) -> None:
    north, south = Garage(name="north"), Garage(name="south")
    truck = Truck(load=7, garage=north, depot=south, trailers=[Trailer()])
    tanker = Tanker(load=9, litres=4000, garage=south)
    _save(session, truck, tanker)
    tenant, truck_id, tanker_id, south_id = truck.tenant_id, truck.id, tanker.id, south.id
    session.expunge_all()
    found = session.scalars(select(Vehicle).where(Vehicle.id.in_([truck_id, tanker_id])).order_by(Vehicle.kind)).all()
    assert [type(vehicle) for vehicle in found] == [Tanker, Truck]
    loaded = session.scalars(select(Truck).where(Truck.id == truck_id).options(joinedload(Truck.depot))).one()
    assert (loaded.load, loaded.garage.name, loaded.depot.name) == (7, "north", "south")
    for table in (Vehicle.__table__, Truck.__table__):
        assert session.scalars(select(table.c.tenant_id).where(table.c.id == truck_id)).all() == [tenant]
    trailer = loaded.trailers[0]
    assert trailer.truck is loaded
    loaded.trailers.clear()
    loaded.depot = loaded.garage = None
    loaded.load = 8
    session.commit()
    assert (trailer.truck_id, loaded.depot_id, loaded.garage_id) == (None, None, None)
    assert {trailer.tenant_id, loaded.tenant_id} == {tenant}
    joined = select(func.count()).select_from(Tanker).join(Garage, Tanker.garage).where(Garage.id == south_id)
    assert session.scalar(joined) == 1
    assert [type(vehicle) for vehicle in session.merge(Garage(tenant_id=tenant, id=south_id)).vehicles] == [Tanker]
    for vehicle in (loaded, session.scalars(select(Tanker).where(Tanker.id == tanker_id)).one()):
        session.delete(vehicle)
    session.commit()
    assert _count(session, Vehicle, id=tanker_id) == 0


def single_table_inheritance(session: Session) -> None:
    garage = Garage(name="shed", vehicles=[Bicycle(gears=7), Vehicle()])
    _save(session, garage)
    session.expire_all()
    assert sorted(vehicle.kind for vehicle in garage.vehicles) == ["bicycle", "vehicle"]
    bicycle = session.scalars(select(Bicycle).join(Bicycle.garage).where(Garage.id == garage.id)).one()
    assert (bicycle.gears, bicycle.garage) == (7, garage)
    bicycle.garage = None
    session.commit()
    assert (bicycle.garage_id, bicycle.tenant_id) == (None, garage.tenant_id)


def two_keys_to_one_target(session: Session) -> None:
    home, work = Address(street="home"), Address(street="work")
    order = Order(billing=home, shipping=work)
    _save(session, order)
    session.expire_all()
    assert (home.billed, home.shipped, work.billed, work.shipped) == ([order], [], [], [order])
    order.billing, order.shipping = work, None
    session.commit()
    assert (order.billing_id, order.shipping_id, order.tenant_id) == (work.id, None, home.tenant_id)
    assert (home.billed, work.billed, work.shipped) == ([], [order], [])
    query = select(Order).where(Order.id == order.id).options(joinedload(Order.billing), joinedload(Order.shipping))
    assert session.scalars(query).one().billing is work


def viewonly(session: Session) -> None:
    project = Project(name="p", tasks=[Task(name="todo"), Task(name="done", done=True)])
    _save(session, project)
    session.expire_all()
    assert [task.name for task in project.open_tasks] == ["todo"]
    assert len(project.tasks) == 2
    query = select(Project).where(Project.id == project.id).options(selectinload(Project.open_tasks))
    assert len(session.scalars(query.execution_options(populate_existing=True)).one().open_tasks) == 1


def backref_and_delete_orphan(session: Session) -> None:
    project = Project(name="q", tasks=[Task(name="kept"), Task(name="dropped")])
    _save(session, project)
    kept, dropped = sorted(project.tasks, key=lambda task: task.name, reverse=True)
    assert kept.project is project  # type: ignore[attr-defined]  # a backref
    project.tasks.remove(dropped)
    session.commit()
    assert _count(session, Task, project_id=project.id) == 1
    session.delete(project)
    session.commit()
    assert _count(session, Task, id=kept.id) == 0


def set_null_by_the_database(session: Session) -> None:
    shelf = Shelf(name="s", books=[Book(title="b")])
    _save(session, shelf)
    book, tenant = shelf.books[0], shelf.tenant_id
    session.delete(shelf)
    session.commit()
    session.refresh(book)
    assert (book.shelf_id, book.shelf, book.tenant_id) == (None, None, tenant)


def cascade_by_the_database(session: Session) -> None:
    shelf = Shelf(name="t", labels=[Label(text="x"), Label(text="y")])
    _save(session, shelf)
    shelf_id = shelf.id
    session.expunge_all()
    with statements(session) as sent:
        session.delete(session.scalars(select(Shelf).where(Shelf.id == shelf_id)).one())
        session.commit()
    assert not any("DELETE FROM labels" in statement for statement in sent)
    assert _count(session, Label, shelf_id=shelf_id) == 0


def integer_ids(session: Session) -> None:
    invoice = Invoice(lines=[InvoiceLine(text="a"), InvoiceLine(text="b")])
    _save(session, invoice)
    assert all(isinstance(line.id, int) for line in invoice.lines)
    assert len({line.id for line in invoice.lines}) == 2
    second = Invoice()
    _save(session, second)
    assert second.id > invoice.id
    invoice.lines.pop()
    session.commit()
    assert _count(session, InvoiceLine, tenant_id=invoice.tenant_id, invoice_id=invoice.id) == 1
    session.delete(second)
    session.commit()
    third = Invoice()
    _save(session, third)
    assert third.id > second.id, "a number is not given twice"


def tenant_record(session: Session) -> None:
    office = Office(city="Oslo")
    _save(session, office)
    mine = select(Organization).where(Organization.id == office.tenant_id)
    organization = session.scalars(mine).first() or Organization(name="Acme")
    _save(session, organization)
    assert organization.id == organization.tenant_id
    office.organization = organization
    session.commit()
    assert office.organization_id == office.tenant_id
    office.organization = None
    session.commit()
    assert (office.organization_id, office.tenant_id) == (None, organization.id)


def mutual_references(session: Session) -> None:
    office = Office(city="Rome", clerks=[Clerk(name="Livia"), Clerk(name="Otto")])
    office.head = office.clerks[0]
    _save(session, office)
    session.expire_all()
    assert office.head is not None
    assert office.head.office is office
    office.head = None
    session.commit()
    assert (office.head_id, len(office.clerks)) == (None, 2)
    office.head = office.clerks[1]
    session.commit()
    for row in (office, *office.clerks):
        session.delete(row)
    session.commit()
    assert _count(session, Clerk, office_id=office.id) == 0


SHAPES: dict[str, Callable[[Session], None]] = {
    scenario.__name__: scenario
    for scenario in (
        many_to_one,
        one_to_many,
        one_to_one,
        self_reference,
        self_reference_by_cardinality,
        many_to_many,
        many_to_many_by_tenant_table,
        many_to_many_with_itself,
        association_object,
        joined_inheritance,
        single_table_inheritance,
        two_keys_to_one_target,
        viewonly,
        backref_and_delete_orphan,
        set_null_by_the_database,
        cascade_by_the_database,
        integer_ids,
        tenant_record,
        mutual_references,
    )
}


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    """Yields the list of the statements that the session sends meanwhile."""
    sent: list[str] = []
    engine = session.connection().engine

    def record(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", record)


def _name(stem: str) -> str:
    return f"{stem} {uuid.uuid4().hex[:8]}"


def _save(session: Session, *rows: Any) -> None:
    session.add_all(rows)
    session.commit()


def _count(session: Session, model: type[Base], **values: Any) -> int:
    return session.scalar(select(func.count()).select_from(model).filter_by(**values)) or 0


def _column(session: Session, column: Any, row: Any) -> Any:
    return session.scalar(select(column).where(type(row).id == row.id))


def _refused(session: Session) -> None:
    """Flushes what the database must refuse, and goes on with a clean transaction."""
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
        return
    raise AssertionError("the database accepted a row that breaks a key")
