"""Who logs in to which company, and what they may: as the primary's tables say, at every request."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tenantry.access import SEEDED, act_as, can, require
from tenantry.access.permissions import Permission as Granted
from tenantry.errors import (
    AccountExists,
    CompanyUnknown,
    ConfigurationError,
    ImpersonationRefused,
    LogInRefused,
    PasswordChangeRequired,
    PermissionDenied,
    RecordNotFound,
    TenantExists,
    TenantUnavailable,
    TokenRefused,
)
from tenantry.packs.assistant import (
    MATRIX,
    Assistant,
    Conversation,
    Document,
    GlobalDocument,
    Permission,
    Piece,
    Role,
    User,
    grant,
    has_permission,
    permissions_of,
    require_permission,
    seed_roles,
)

from .cells import PASSWORD, SYNC, Ground, Place

FILE = Place("sqlite-file", "sync")
EXAMPLES = ("documents:create", "documents:read", "reports:generate", "users:manage", "admin:access")


@pytest.fixture
def pack(ground: Ground) -> Assistant:
    return ground.pack(FILE)


def user(pack: Assistant, name: str) -> User:
    return pack.look(lambda session: pack.users.get(session, name))


@pytest.mark.ledger("S3-002", "S3-003", "S3-015")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_log_in_leads_to_the_users_company(ground: Ground, place: Place) -> None:
    pack, number = ground.pack(place), place.company()
    claims = pack.access.verify(pack.log_in(f"ANN{number}", PASSWORD).access)
    assert (claims.subject, claims.tenant) == (f"ann{number}", pack.companies.get(number).tenant.id)  # type: ignore[union-attr]
    person = pack.person(claims)
    assert (person.username, person.company_id, person.role, person.is_super_admin) == (
        f"ann{number}",
        number,
        "admin",
        False,
    )
    assert user(pack, f"ann{number}").last_login is not None
    with pack.tenancy.session(claims.tenant) as session:  # type: ignore[arg-type]
        act_as(session, claims)
        assert can(session, "documents:create")
        assert {each.file_path.partition("/")[0] for each in session.scalars(select(Document))} == {"acme"}


@pytest.mark.ledger("S3-003")
def test_a_token_is_held_against_the_primary_at_each_request(pack: Assistant) -> None:
    token = pack.log_in("bob1", PASSWORD).access
    assert pack.access.verify(token).subject == "bob1"

    def set_active(session: Session, *, active: bool) -> None:
        pack.users.change(session, "bob1", is_active=active)

    pack.on_platform(lambda session: set_active(session, active=False))
    with pytest.raises(TokenRefused):
        pack.access.verify(token)
    with pytest.raises(LogInRefused):
        pack.log_in("bob1", PASSWORD)
    pack.on_platform(lambda session: set_active(session, active=True))
    assert pack.access.verify(token).subject == "bob1"

    def move(session: Session, number: int) -> None:
        pack.users.get(session, "bob1").company_id = number

    pack.on_platform(lambda session: move(session, 2))
    with pytest.raises(TokenRefused):
        pack.access.verify(token)
    pack.on_platform(lambda session: move(session, 1))


@pytest.mark.ledger("S3-M02.5")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_closed_company_lets_nobody_in(ground: Ground, place: Place) -> None:
    pack, number = ground.pack(place), place.company("rival")
    token = pack.log_in(f"ann{number}", PASSWORD).access
    assert not pack.companies.close(number).is_active
    with pytest.raises(TokenRefused):
        pack.access.verify(token)
    with pytest.raises(LogInRefused):
        pack.log_in(f"ann{number}", PASSWORD)
    with pytest.raises(TenantUnavailable):
        pack.tenancy.session(pack.companies.key(number))
    assert not has_permission(user(pack, f"ann{number}"), "documents:read")
    assert pack.companies.reopen(number).is_active
    assert pack.access.verify(token).subject == f"ann{number}"


@pytest.mark.ledger("S3-020", "S3-024", "S3-023")
@pytest.mark.parametrize("role", [*SEEDED])
def test_each_role_may_what_the_matrix_says(pack: Assistant, role: str) -> None:
    names = {"super_admin": "root", "admin": "ann1", "analyst": "bob1", "viewer": "vic1"}
    asked = user(pack, names[role])
    resources = ("documents", "reports", "users", "conversations", "chat", "usage", "settings", "admin", "agents")
    actions = ("create", "read", "update", "delete", "generate", "manage", "access")
    claims = pack.access.verify(pack.log_in(names[role], PASSWORD).access)
    for wanted in (f"{resource}:{action}" for resource in resources for action in actions):
        assert has_permission(asked, wanted) == MATRIX.allows(role, wanted) == can(claims, wanted)


@pytest.mark.ledger("S3-021", "S3-022", "S3-035")
def test_permissions_are_rows_of_a_resource_and_an_action(pack: Assistant) -> None:
    viewer = user(pack, "vic1")
    assert permissions_of(viewer) == {"conversations:read", "documents:read", "reports:read"}
    assert {each.resource for each in viewer.role.permissions} == {"conversations", "documents", "reports"}  # type: ignore[union-attr]
    assert viewer.company.name == "acme sqlite-file"  # type: ignore[union-attr]
    assert [has_permission(viewer, each) for each in EXAMPLES] == [False, True, False, False, False]
    require_permission(viewer, "documents:read")
    with pytest.raises(PermissionDenied):
        require_permission(viewer, "documents:create")
    with pytest.raises(ConfigurationError):
        has_permission(viewer, "documents")
    assert {str(Granted(each)) for each in EXAMPLES} == set(EXAMPLES)


@pytest.mark.ledger("S3-023", "S3-024")
def test_the_tables_say_what_a_role_may_and_not_the_program(pack: Assistant) -> None:
    def add(session: Session) -> None:
        role = Role(name="auditor", description="reads everything")
        session.add(role)
        session.flush()
        grant(session, role, ["*:read", "documents:read"])
        pack.users.change(session, "vic1", role="auditor")

    def take(session: Session) -> None:
        role = session.scalars(select(Role).filter_by(name="auditor")).one()
        role.permissions.remove(next(each for each in role.permissions if each.resource == "*"))

    token = pack.log_in("vic1", PASSWORD).access
    pack.on_platform(add)
    assert can(pack.access.verify(token), "usage:read")
    pack.on_platform(take)
    assert not can(pack.access.verify(token), "usage:read")
    with pytest.raises(PermissionDenied):
        require(pack.access.verify(token), "reports:read")
    pack.on_platform(lambda session: pack.users.change(session, "vic1", role="viewer"))


@pytest.mark.ledger("S3-040")
def test_the_first_administrator_is_made_once(ground: Ground, pack: Assistant) -> None:
    before = pack.look(lambda session: len(session.scalars(select(Permission.id)).all()))
    assert pack.prepare({}) is None
    assert pack.look(lambda session: len(session.scalars(select(Permission.id)).all())) == before
    assert pack.look(lambda session: {role.name: role.description for role in session.scalars(select(Role))})[
        "analyst"
    ] == ("Can create reports, chat, upload documents")
    with pack.tenancy.platform() as session:
        assert seed_roles(session) == 0
        for account in session.scalars(select(User).where(User.username == "root")):
            account.username = "former"
            account.role_id = None
        session.flush()
        made = pack.users.first_administrator(session, {})
        assert made is not None
        assert len(made.password or "") > 20
        assert made.password not in repr(made)
        assert pack.users.first_administrator(session, {}) is None
        account = pack.users.by_name(session, "admin")
        assert account is not None
        assert account.must_change
        assert pack.users.passwords.check(made.password or "", account.password_hash)
        session.rollback()


@pytest.mark.ledger("S3-020")
def test_a_password_that_was_made_up_is_good_for_choosing_another(pack: Assistant) -> None:
    once = uuid.uuid4().hex
    pack.on_platform(
        lambda session: pack.users.create(session, "new1", email="n@x", password=once, role="viewer", one_time=True)
    )
    with pytest.raises(PasswordChangeRequired):
        pack.log_in("new1", once)
    pack.access.change_password("new1", once, PASSWORD)
    assert pack.access.verify(pack.log_in("new1", PASSWORD).access).tenant is None
    pack.on_platform(lambda session: session.delete(pack.users.get(session, "new1")))


@pytest.mark.ledger("S3-020")
def test_users_that_cannot_be(pack: Assistant) -> None:
    def made(**given: Any) -> None:
        told = {"email": "e@x", "password": PASSWORD, "role": "viewer", "company_id": 1, **given}
        pack.on_platform(lambda session: pack.users.create(session, told.pop("name", "x"), **told))

    with pytest.raises(AccountExists):
        made(name="Ann1")
    with pytest.raises(AccountExists):
        made(email="ann1@acme.example")
    with pytest.raises(CompanyUnknown):
        made(company_id=99)
    with pytest.raises(RecordNotFound):
        made(role="king")
    assert pack.look(lambda session: pack.users.by_name(session, "x")) is None
    assert pack.look(lambda session: pack.users.by_name(session, "a\x00b")) is None
    pack.on_platform(lambda session: pack.users.create(session, "mute", email="m@x", role="viewer", company_id=1))
    with pytest.raises(LogInRefused):
        pack.log_in("mute", "none")
    pack.on_platform(lambda session: session.delete(pack.users.get(session, "mute")))


@pytest.mark.ledger("S3-004")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_super_admin_looks_into_a_company_on_the_record(ground: Ground, place: Place) -> None:
    pack, number, admin = ground.pack(place), place.company(), ground.admin(place)
    assert admin.tenant is None
    assert pack.person(admin).is_super_admin
    with pack.as_company(number, "ticket 4711", actor=admin) as session:
        assert len(session.scalars(select(Document)).all()) == 3
        assert (can(session, "documents:read"), can(session, "documents:create")) == (True, False)
        (entry,) = pack.audit.entries(session, event_type="access.impersonated", newest_first=True, limit=1)
        assert (entry.description, entry.impersonator) == ("ticket 4711", "root")
    bob = pack.access.verify(pack.log_in(f"bob{number}", PASSWORD).access)
    for actor, reason in ((admin, "  "), (bob, "curious")):
        with pytest.raises(ImpersonationRefused), pack.as_company(number, reason, actor=actor):
            pass
    other = dataclasses.replace(admin, login=uuid.uuid4())
    with pytest.raises(TokenRefused), pack.as_company(number, "forged", actor=other):
        pass


@pytest.mark.ledger("S3-020")
def test_a_look_can_be_awaited(ground: Ground) -> None:
    place = Place("sqlite-file", "aiosqlite")
    pack, admin = ground.pack(place), ground.admin(place)

    async def look() -> int:
        async with pack.aio.as_company(1, "ticket 4712", actor=admin, role="admin") as session:
            return len((await session.scalars(select(Conversation))).all())

    assert ground.runner.run(look()) == 1
    assert ground.runner.run(pack.aio.person(admin)).username == "root"


@pytest.mark.ledger("S3-041")
def test_companies_are_made_once_and_found_by_their_numbers(ground: Ground, pack: Assistant) -> None:
    made = pack.companies.create("Brand new", industry="ITeS")
    assert made.tenant is not None
    assert (made.database_name, made.tenant.slug) == (f"company_{made.id}.db", f"company-{made.id}")
    assert pack.companies.initialise(made.id) == made == pack.companies.get(made.id)
    assert pack.companies.ensure("whatever", company_id=made.id) == made
    with pytest.raises(TenantExists):
        pack.companies.create("Brand new")
    with pytest.raises(CompanyUnknown):
        pack.companies.initialise(99)
    assert [company.id for company in pack.companies.list(limit=2)] == [1, 2]
    assert pack.companies.count() == len(pack.companies.list())
    # Half made: the tenant stands, and the primary does not know yet.
    pack.on_platform(lambda session: _forget_tenant(session, made.id))
    assert pack.companies.initialise(made.id) == made
    pack.tenancy.tenants.erase(made.tenant, confirm=made.tenant.slug)
    pack.on_platform(lambda session: session.delete(_company(session, made.id)))


@pytest.mark.ledger("S3-020")
def test_what_the_primary_knows_of_a_company_is_forgotten_with_it(pack: Assistant) -> None:
    made = pack.companies.create("Going")
    assert made.tenant is not None
    for name in ("gil", "guy"):
        told = {"email": f"{name}@x", "password": PASSWORD, "role": "viewer", "company_id": made.id}
        pack.on_platform(lambda session, name=name, told=told: pack.users.create(session, name, **told))
        pack.log_in(name, PASSWORD)
    # One account and its one log-in; called again there is nothing left.
    assert [pack.forget(made.tenant.id, ["Gil"]) for _ in range(2)] == [1 + 1, 0]
    assert pack.look(lambda session: pack.users.by_name(session, "guy")) is not None
    pack.tenancy.tenants.erase(made.tenant, confirm=made.tenant.slug)
    assert [pack.forget(made.tenant.id, None) for _ in range(2)] == [1 + 1 + 1, 0]
    with pytest.raises(CompanyUnknown):
        pack.companies.get(made.id)
    assert user(pack, "ann1").username == "ann1"


def _company(session: Session, number: int) -> Any:
    return session.get(User.company.property.mapper.class_, number)


def _forget_tenant(session: Session, number: int) -> None:
    _company(session, number).tenant = None


@pytest.mark.ledger("S3-020")
def test_users_of_rows_come_from_the_primary_in_one_statement(ground: Ground, pack: Assistant) -> None:
    ann, theirs = user(pack, "ann1"), user(pack, "ann2")
    with ground.session(FILE) as desk:
        rows = [
            Document(filename="a", original_filename="a", file_path="a", user_id=number)
            for number in (ann.id, theirs.id)
        ]
        desk.session.add_all([*rows, Conversation(user_id=ann.id)])
        desk.session.flush()
        found = pack.users_of(rows)
        # The neighbour's user is nobody here.
        assert {number: each.username for number, each in found.items()} == {ann.id: "ann1"}
        assert pack.users_of([]) == {}
        # Nor where a row that was written past the models says that it is theirs.
        desk.session.execute(update(Document).values(company_id=2, uploaded_by_id=theirs.id))
        desk.session.expire_all()
        assert {row.company_id for row in rows} == {2}
        assert pack.users_of(rows) == {}


@pytest.mark.ledger("S3-M01.1", "S3-M02.1")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_number_is_never_another_users(ground: Ground, place: Place) -> None:
    pack, name = ground.pack(place), uuid.uuid4().hex
    tenant = pack.companies.get(place.company()).tenant
    assert tenant is not None

    def made(session: Session) -> int:
        told = {"email": f"{name}@x.example", "role": "viewer", "company_id": place.company()}
        return pack.users.create(session, name, **told).id

    gone = pack.on_platform(made)
    assert pack.forget(tenant.id, [name]) == 1
    again = pack.on_platform(made)
    pack.forget(tenant.id, [name])
    # Rows of the company bear it still, and what its bearer alone may read.
    assert again > gone


@pytest.mark.ledger("S3-020")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_document_for_everybody_stands_once_and_is_withdrawn_once(ground: Ground, place: Place) -> None:
    pack = ground.pack(place)
    number = pack.library.publish("rules.pdf", pieces=[Piece("be kind")])
    names = []
    for side in ("acme", "rival"):
        with ground.session(place, side) as desk:
            names.append(
                [each.filename for each in desk.session.scalars(select(GlobalDocument).order_by(GlobalDocument.id))]
            )
    assert names == [["law.pdf", "rules.pdf"]] * 2
    pack.library.withdraw(number)
    with ground.session(place) as desk:
        assert desk.session.scalars(select(GlobalDocument.filename)).all() == ["law.pdf"]
    with pytest.raises(RecordNotFound):
        pack.library.withdraw(number)
