"""A document's way from draft to published to archived, and what is on the record of it."""

from __future__ import annotations

import datetime
import secrets
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.archive import Archive, Erasing, KeyRing
from tenantry.errors import ConfigurationError, IllegalStep, RecordNotFound, TenantryError, VersionConflict
from tenantry.packs.documents import (
    Analysis,
    Content,
    Document,
    Documents,
    DocumentsBase,
    GraphNodeRepository,
    SummaryRepository,
    TopicRepository,
    User,
    UserRepository,
)
from tenantry.session.core import TenantSession

from .cells import Ground, Place

CELLS = ("postgresql-rows", "sqlite-file", "sqlite-rows")


@pytest.fixture(params=CELLS)
def at(request: pytest.FixtureRequest, ground: Ground) -> tuple[Documents, str]:
    return ground.pack(Place(request.param, "sync")), f"acme-{request.param}"


def drafted(pack: Documents, slug: str) -> uuid.UUID:
    with pack.tenancy.transaction(slug) as session:
        owner = session.scalars(select(User)).one()
        return pack.documents(session).create(title="Paper", content="a b c", owner_id=owner.id).id


def found(pack: Documents, slug: str, key: uuid.UUID) -> Document:
    with pack.tenancy.session(slug) as session:
        return pack.documents(session).get_one(key)


def recorded(pack: Documents, session: TenantSession, key: uuid.UUID) -> list[tuple[str, str]]:
    entries = pack.audit.entries(session)
    return [(entry.event_type, entry.status) for entry in entries if entry.resource_id == str(key)]


def analyse(content: Content) -> Analysis:
    assert (content.version, content.title, content.text) == (1, "Paper", "a b c")
    return Analysis(summary="abc", agent_name="reader", topics={"Letters": 0.8}, prompt_tokens=3)


@pytest.mark.ledger("S2-031", "S2-055")
def test_a_document_is_processed_published_and_archived(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key = drafted(pack, slug)
    pack.processing.process(slug, key, analyse)
    with pack.tenancy.transaction(slug) as session:
        assert pack.documents(session).get_one(key).status == "published"
        (summary,) = SummaryRepository(session).of_document(key)
        assert (summary.summary_text, summary.agent_name, summary.document_version) == ("abc", "reader", 1)
        assert [topic.name for topic in TopicRepository(session).of_document(key)] == ["Letters"]
        pack.processing.archive(session, key)
        assert recorded(pack, session, key) == [
            ("document.processing_began", "success"),
            ("document.published", "success"),
            ("document.archived", "success"),
        ]
        with pytest.raises(IllegalStep):
            pack.processing.begin(session, key)
        pack.editing.delete(session, key)


@pytest.mark.ledger("S2-043")
def test_what_fails_is_a_draft_again_and_leaves_nothing_but_its_record(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key = drafted(pack, slug)

    def fails(_: Content) -> Analysis:
        raise RuntimeError("no model answers")

    with pytest.raises(RuntimeError):
        pack.processing.process(slug, key, fails)
    too_sure = Analysis(summary="x", topics={"Never": 7.0})
    with pytest.raises(Exception, match="relevance_score"):
        pack.processing.process(slug, key, lambda _: too_sure)
    with pack.tenancy.transaction(slug) as session:
        assert pack.documents(session).get_one(key).status == "draft"
        assert SummaryRepository(session).of_document(key) == []
        assert TopicRepository(session).get_by_name("Never") is None
        assert (
            recorded(pack, session, key)
            == [
                ("document.processing_began", "success"),
                ("document.processing_failed", "failure"),
            ]
            * 2
        )
        pack.editing.delete(session, key)


@pytest.mark.ledger("S2-030", "S2-043")
def test_what_was_changed_meanwhile_is_not_published(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key = drafted(pack, slug)

    def slowly(_: Content) -> Analysis:
        with pack.tenancy.transaction(slug) as session:
            pack.documents(session).create_version(key, content="d e f")
        return Analysis(summary="abc")

    with pytest.raises(VersionConflict):
        pack.processing.process(slug, key, slowly)
    assert found(pack, slug, key).status == "draft"
    with pack.tenancy.transaction(slug) as session:
        pack.editing.delete(session, key)


@pytest.mark.ledger("S2-082")
def test_of_two_that_begin_one_does(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key = drafted(pack, slug)
    outcomes: list[str] = []

    def begin() -> None:
        try:
            with pack.tenancy.transaction(slug) as session:
                pack.processing.begin(session, key)
            outcomes.append("began")
        except IllegalStep:
            outcomes.append("refused")
        except Exception as error:  # a thread's error would be lost
            outcomes.append(repr(error))

    threads = [threading.Thread(target=begin) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["began", "refused", "refused"]
    with pack.tenancy.transaction(slug) as session:
        pack.editing.delete(session, key)


@pytest.mark.ledger("S2-055")
def test_what_people_do_is_on_the_record(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key = drafted(pack, slug)
    with pack.tenancy.transaction(slug) as session:
        session.info["actor"] = "ann"
        pack.documents(session).create_version(key, content="new")
        assert pack.editing.restore_version(session, key, 1).version == 3
        pack.editing.delete(session, key)
        assert pack.editing.restore(session, key).title == "Paper"
        pack.editing.delete(session, key)
        user = session.scalars(select(User)).one()
        pack.editing.set_role(session, user.id, "viewer")
        pack.editing.set_role(session, user.id, "member")
        assert [event for event, _ in recorded(pack, session, key)] == [
            "document.version_restored",
            "document.deleted",
            "document.restored",
            "document.deleted",
        ]
        changed = [entry for entry in pack.audit.entries(session) if entry.event_type == "user.role_changed"]
        assert changed[-1].changes == {"role": {"before": "viewer", "after": "member"}}
        assert changed[-1].actor == "ann"
        with pytest.raises(RecordNotFound):
            pack.editing.delete(session, uuid.uuid4())
    assert pack.audit.verify(slug) == []


@pytest.mark.ledger("S2-043")
def test_what_was_deleted_long_ago_goes_for_good(at: tuple[Documents, str]) -> None:
    pack, slug = at
    key, kept = drafted(pack, slug), drafted(pack, slug)
    with pack.tenancy.transaction(slug) as session:
        pack.documents(session).create_version(key, content="more")
        node = GraphNodeRepository(session).for_document(pack.documents(session).get_one(key)).id
        pack.editing.delete(session, key)
        with pytest.raises(ConfigurationError, match="versions"):
            pack.documents(session).purge(older_than=datetime.timedelta())
    assert pack.purge(slug, older_than=datetime.timedelta(days=1), reason="a test") == 0
    assert pack.purge(slug, older_than=datetime.timedelta(), reason="a test") >= 1
    with pack.tenancy.transaction(slug) as session:
        assert pack.documents(session).get_versions(key) == []
        assert session.get(Document, key, execution_options={"include_deleted": True}) is None
        assert GraphNodeRepository(session).get_one(node).document_id is None
        GraphNodeRepository(session).delete(node)
        assert len(pack.documents(session).get_versions(kept)) == 1
        pack.editing.delete(session, kept)
    with pack.tenancy.session(slug.replace("acme", "rival")) as session:
        assert pack.documents(session).count() == 6


@pytest.mark.ledger("S2-042")
@pytest.mark.parametrize("place", [Place("postgresql-rows", "asyncpg"), Place("sqlite-file", "aiosqlite")], ids=str)
def test_processing_awaited(ground: Ground, place: Place) -> None:
    pack, slug = ground.pack(place), f"acme-{place.cell}"
    key = drafted(ground.pack(Place(place.cell, "sync")), slug)

    async def answer(content: Content) -> Analysis:
        return analyse(content)

    async def fail(_: Content) -> Analysis:
        raise RuntimeError("no model answers")

    with pytest.raises(RuntimeError):
        ground.runner.run(pack.processing.process_async(slug, key, fail))
    ground.runner.run(pack.processing.process_async(slug, key, answer))

    async def look() -> Any:
        async with pack.tenancy.aio.transaction(slug) as session:
            document = await session.run_sync(lambda inner: pack.documents(inner).get_one(key))
            await session.run_sync(lambda inner: pack.editing.delete(inner, key))
            return document.status

    assert ground.runner.run(look()) == "published"


@pytest.mark.ledger("S2-043")
def test_a_person_is_forgotten_once_the_documents_are_handed_over(tmp_path: Path) -> None:
    """The versions stay as they were written, and name nobody who is there."""
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=DocumentsBase)
    pack = Documents(tenancy)
    tenancy.install(create_tables=True)
    acme = tenancy.tenants.create("acme", record={"name": "Acme"})
    with tenancy.transaction(acme) as session:
        ann, bob = (UserRepository(session).create(email=f"{name}@acme.example").id for name in ("ann", "bob"))
        key = pack.documents(session).create(title="Paper", content="old", owner_id=ann).id
        pack.documents(session).create_version(key, content="new", changed_by=ann)
        with pytest.raises(RecordNotFound):
            pack.documents(session).create_version(key, content="forged", changed_by=uuid.uuid4())
    keys = KeyRing({"k": secrets.token_bytes(32)}, "k")
    erasing = Erasing(Archive(tenancy, tmp_path / "backups", keys=keys))
    with pytest.raises(TenantryError, match="owner_id"):
        erasing.person(acme, "ann@acme.example")
    with tenancy.transaction(acme) as session:
        assert pack.editing.hand_over(session, ann, bob) == 1
    assert erasing.person(acme, "ann@acme.example").clean
    with tenancy.transaction(acme) as session:
        assert [user.email for user in UserRepository(session).list()] == ["bob@acme.example"]
        newest = pack.documents(session).get_version(key, 2)
        assert (newest.content, newest.changed_by, newest.author, newest.document.owner_id) == ("new", ann, None, bob)
    tenancy.close()
