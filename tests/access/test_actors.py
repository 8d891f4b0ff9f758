"""Services, repositories and routes ask who may: of whoever the session was told, and of nobody else."""

from __future__ import annotations

import dataclasses
import inspect
import types
import uuid
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tenantry.access import SEEDED, Actor, Permitted, act_as, can, require, requires
from tenantry.errors import ConfigurationError, PermissionDenied
from tenantry.repository import AsyncRepository, Repository

from .stage import DOORS, Document, Stage


class Documents(Permitted, Repository[Document]):
    permissions = "documents"

    def titles(self) -> list[str]:
        return [found.title for found in self.session.scalars(select(Document))]


class AsyncDocuments(Permitted, AsyncRepository[Document]):
    permissions: ClassVar = {"read": "documents:read", "create": "documents:create", "delete": "documents:manage"}


class Reading(Documents):
    permissions: ClassVar = {"titles": "documents:read", "read": "usage:read"}


def actor(stage: Stage, role: str, tenant: str | None = "near", **options: Any) -> Actor:
    home = None if tenant is None else stage.tenant(tenant).id
    return Actor("ann", home, frozenset({role}), SEEDED.permissions([role]), **options)


def new_repository(kind: Any, permissions: Any) -> Any:
    """Returns a class of permitted repositories."""
    return types.new_class("New", (Permitted, kind), exec_body=lambda body: body.update(permissions=permissions))


def asked(stage: Stage, who: Actor | None, ask: Any, slug: str = "near") -> Any:
    """Returns what *ask* gives with a session of the tenant, through the stage's door; nothing is committed."""

    async def through_aio() -> Any:
        async with stage.tenancy.aio.session(slug) as session:
            if who is not None:
                act_as(session, who)
            found = ask(session)
            return await found if inspect.isawaitable(found) else found

    if stage.awaited:
        return stage.runner.run(through_aio())
    with stage.tenancy.session(slug) as session:
        if who is not None:
            act_as(session, who)
        return ask(session)


@pytest.mark.parametrize("door", DOORS)
def test_a_service_asks_before_it_does_anything(stage: Stage) -> None:
    done = []

    @requires("documents:create")
    def write(title: str, *, db: Any = None) -> str:
        done.append(title)
        return title

    @requires("documents:create")
    async def write_async(db: Any, title: str) -> str:
        done.append(title)
        return title

    def call(session: Any) -> Any:
        return write_async(session, "a") if stage.awaited else write("a", db=session)

    for refused in (actor(stage, "viewer"), None):
        with pytest.raises(PermissionDenied, match="documents:create"):
            asked(stage, refused, call)
    assert done == []
    assert asked(stage, actor(stage, "analyst"), call) == "a"
    assert asked(stage, actor(stage, "analyst"), lambda session: require(session, "documents:create").subject) == "ann"
    assert not asked(stage, actor(stage, "viewer"), lambda session: can(session, "documents:create"))
    assert done == ["a"]


def test_a_decorated_function_keeps_its_signature_and_asks_whoever_is_there() -> None:
    @requires("documents:read")
    def route(document: uuid.UUID, db: Any) -> str:
        """Reads."""
        return "read"

    assert list(inspect.signature(route).parameters) == ["document", "db"]
    assert (route.__name__, route.__doc__) == ("route", "Reads.")
    own = Actor("ann", permissions=frozenset({"documents:read"}))
    assert route(uuid.uuid4(), db=own) == "read"

    class Request:
        """As Starlette's: to ask for its session without the middleware is an error."""

        @property
        def session(self) -> Any:
            raise AssertionError("nobody asks for this")

    for nobody in (None, "ann", {"session": own}, Request()):
        with pytest.raises(PermissionDenied, match="nobody has said who asks"):
            route(uuid.uuid4(), nobody)
    with pytest.raises(ConfigurationError):
        requires("documents")
    with pytest.raises(ConfigurationError):
        act_as(Request(), own)


@pytest.mark.parametrize("door", DOORS)
def test_a_session_is_told_once_and_by_its_own_tenant_s(stage: Stage) -> None:
    def told(session: Any) -> Any:
        act_as(session, actor(stage, "viewer"))
        with pytest.raises(PermissionDenied, match="somebody else's"):
            act_as(session, actor(stage, "admin"))
        return dict(session.info)

    own = actor(stage, "viewer", impersonator="root") if stage.awaited else actor(stage, "viewer")
    told_of = asked(stage, None if stage.awaited else own, told)
    assert (told_of["actor"], told_of["impersonator"]) == ("ann", None)
    for foreign in (actor(stage, "admin", "far"), actor(stage, "super_admin", None)):
        with pytest.raises(PermissionDenied, match="another tenant"):
            asked(stage, foreign, lambda session: None)
    with stage.tenancy.platform() as platform:
        act_as(platform, actor(stage, "super_admin", None))
        assert can(platform, "companies:create")
    with stage.tenancy.platform() as platform, pytest.raises(PermissionDenied):
        act_as(platform, actor(stage, "admin"))


@pytest.mark.parametrize("door", DOORS)
def test_a_repository_asks_at_every_method(stage: Stage) -> None:
    kind = AsyncDocuments if stage.awaited else Documents
    with pytest.raises(PermissionDenied, match="documents:create"):
        asked(stage, actor(stage, "viewer"), lambda session: kind(session).create(title="a"))
    with pytest.raises(PermissionDenied, match="nobody has said"):
        asked(stage, None, lambda session: kind(session).list())
    assert asked(stage, actor(stage, "viewer"), lambda session: kind(session).list()) == []
    assert asked(stage, actor(stage, "analyst"), lambda session: kind(session).create(title="a")).title == "a"
    with pytest.raises(PermissionDenied, match=r"documents:(delete|manage)"):
        asked(stage, actor(stage, "analyst"), lambda session: kind(session).delete(uuid.uuid4()))
    for only in ("create", "update"):
        half = dataclasses.replace(actor(stage, "viewer"), permissions=frozenset({f"documents:{only}"}))
        with pytest.raises(PermissionDenied if kind is Documents else ConfigurationError):
            asked(stage, half, lambda session: kind(session).upsert({"title": "a"}, key=["title"]))
    with stage.tenancy.session("near") as session:
        assert session.scalar(select(func.count()).select_from(Document)) == 0


@pytest.mark.parametrize("kind", [Repository, AsyncRepository])
def test_no_method_of_a_repository_is_without_a_permission(kind: type) -> None:
    made: Any = new_repository(kind[Document], "documents")  # type: ignore[index]
    methods = {
        name
        for base in kind.__mro__
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert len(methods) >= 18
    repository = made(Session())
    for name in methods:
        method = getattr(repository, name)
        call = (lambda method=method: method().send(None)) if inspect.iscoroutinefunction(method) else method
        with pytest.raises(PermissionDenied):
            call()


@pytest.mark.parametrize("door", ["sqlite-sync"])
def test_a_method_that_nobody_named_cannot_be_called(stage: Stage) -> None:
    def titles(session: Any) -> Any:
        return Documents(session).titles()

    with pytest.raises(ConfigurationError, match=r"does not say who may call titles\(\)"):
        asked(stage, actor(stage, "super_admin"), titles)
    with pytest.raises(ConfigurationError, match=r"update\(\)"):
        asked(stage, actor(stage, "admin"), lambda session: AsyncDocuments(session).update(uuid.uuid4()).send(None))
    # A class that declares anew is asked by what it declares.
    assert asked(stage, actor(stage, "analyst"), lambda session: Reading(session).titles()) == []
    assert asked(stage, actor(stage, "analyst"), lambda session: Reading(session).list()) == []
    with pytest.raises(PermissionDenied, match="usage:read"):
        asked(stage, actor(stage, "viewer"), lambda session: Reading(session).list())
    for wrong in ("", {}, {"read": "documents"}, {"read": "documents:*"}, "Documents"):
        with pytest.raises(ConfigurationError):
            new_repository(Repository[Document], wrong)
    with pytest.raises(ConfigurationError, match="declares no permissions"):
        types.new_class("Silent", (Permitted, Repository[Document]))
