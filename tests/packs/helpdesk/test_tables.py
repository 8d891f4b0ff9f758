"""The tables beside the tickets: what they hold, refuse and take along, in every cell."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import AppendOnlyViolation, CrossTenant, IllegalStep, SecretRefused
from tenantry.packs import helpdesk
from tenantry.packs.helpdesk import (
    Agent,
    Article,
    Attachment,
    BackupRecord,
    Category,
    Company,
    Contact,
    Conversation,
    Folder,
    Group,
    HelpdeskBase,
    IntegratedObject,
    ProcessingLog,
    SchemaVersion,
    Summary,
    SyncJob,
    Tag,
    TenantSetting,
    Ticket,
    TicketField,
    TicketTag,
    VectorLink,
    integrated_id,
)

from .cells import SYNC_PLACES, Desk, Place, often


@pytest.fixture(params=often(SYNC_PLACES), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


# Every column of the document's tables and of what it implies, with its length where it has one.
COLUMNS = {
    Company: "name:255 platform:50 subscription_plan:50 domain:255 settings is_active",
    Agent: "agent_id:100 name:255 email:320 company_id platform:50 role:30 group_id is_active",
    Ticket: "ticket_id:100 subject:500 description status:30 priority:20 company_id requester_email:320 platform:50 "
    "agent_id requester_id group_id type:50 source:30 due_by first_responded_at resolved_at closed_at custom_fields "
    "deleted_at",
    Conversation: "ticket_id:100 content conversation_id:100 company_id platform:50 author_type:20 author_id:100 "
    "body_html is_private attachments",
    IntegratedObject: "id:255 original_id:100 platform:50 object_type:50 title:500 content tenant_id object_metadata "
    "content_hash:64 embedding_status:20 vector_id:255 synced_at summary",
    Group: "group_id:100 name:255 description is_active company_id platform:50",
    Contact: "contact_id:100 name:255 email:320 phone:50 organization:255 is_active company_id platform:50",
    Attachment: "attachment_id:100 name:255 content_type:127 size storage_key:1024 sha256:64 ticket_pk "
    "conversation_pk company_id",
    Tag: "name:100 company_id",
    TicketTag: "ticket_pk tag_id",
    TicketField: "name:100 label:255 field_type:30 choices required position company_id platform:50",
    Category: "name:255 description position company_id platform:50",
    Folder: "category_id name:255 description position company_id platform:50",
    Article: "article_id:100 folder_id title:500 description status:20 author_id views published_at company_id "
    "platform:50",
    Summary: "object_id:255 summary_text model:100 language:10 prompt_tokens completion_tokens quality_score tenant_id",
    VectorLink: "object_id:255 collection:100 vector_id:255 model:100 dim content_hash:64 status:20 attempts error "
    "synced_at tenant_id",
    SyncJob: "job_type:50 status:20 cursor:255 started_at finished_at total processed failed error company_id",
    ProcessingLog: "object_type:50 object_id:255 step:50 status:20 message duration_ms company_id",
    TenantSetting: "key:100 value is_secret_ref company_id platform:50",
    SchemaVersion: "version:64 description checksum:64 applied_at success duration_ms",
    BackupRecord: "filename:255 path:1024 size sha256:64 kind:20 status:20 error started_at finished_at",
}


@pytest.mark.ledger("S0-003", "S0-057", "S0-M02", "S0-M03", "S0-M06")
@pytest.mark.parametrize("model", COLUMNS, ids=lambda model: model.__name__)
def test_columns(model: Any) -> None:
    table = model.__table__
    for said in COLUMNS[model].split():
        name, _, length = said.partition(":")
        assert getattr(table.c[name].type, "length", None) == (int(length) if length else None), said
    kept = {"created_at"} if model is ProcessingLog else {"created_at", "updated_at"}
    assert model is TicketTag or kept <= set(table.c.keys())
    assert table in HelpdeskBase.metadata.tables.values()
    assert getattr(helpdesk, model.__name__) is model


@pytest.mark.ledger("S0-M06")
def test_everything_that_a_company_has(desk: Desk) -> None:
    def work(session: Session) -> None:
        company = session.scalars(select(Company)).one()
        agent = session.scalars(select(Agent).limit(1)).one()
        group = Group(name="First line", agents=[agent], company=company)
        contact = Contact(name="Ann", email="ann@example.com")
        ticket = Ticket(subject="all", requester=contact, group=group, tags=[Tag(name="new"), Tag(name="red")])
        ticket.attachments.append(Attachment(name="a.txt", storage_key="x/1", size=3))
        said = Conversation(content="look", files=[Attachment(name="b.txt", storage_key="x/2")])
        ticket.conversations.append(said)
        article = Article(title="How", description="So", author=agent)
        category = Category(name="All", folders=[Folder(name="One", articles=[article])])
        field = TicketField(name="browser", field_type="choice", choices=["lynx"])
        setting = TenantSetting(key="language", value="en")
        rows = [group, ticket, category, field, setting, SyncJob(job_type="tickets"), SchemaVersion(version="1")]
        session.add_all([*rows, BackupRecord(filename="b.sql")])
        session.flush()
        session.expire_all()
        assert {row.platform for row in (*rows, contact, article, said)} == {"freshdesk"}
        assert [tag.name for tag in sorted(ticket.tags, key=lambda tag: tag.name)] == ["new", "red"]
        assert ticket.tags[0].tickets == [ticket]
        assert group.agents == [agent]
        assert agent.groups == [group]
        assert (said.ticket_pk, ticket.agent_pk, contact.tickets) == (ticket.id, None, [ticket])
        assert (article.status, article.views, article.folder.category) == ("draft", 0, category)
        assert (setting.value, company.tenant_settings, company.categories) == ("en", [setting], [category])
        session.delete(category)
        session.delete(contact)
        session.flush()
        session.expire_all()
        assert (ticket.requester_id, article.folder_id, session.query(Folder).count()) == (None, None, 0)
        session.delete(company)
        session.flush()
        assert sum(session.query(model).count() for model in COLUMNS if model is not ProcessingLog) == 0

    desk.run(work)


@pytest.mark.ledger("S0-052", "S0-053", "S0-M05")
def test_an_object_gets_the_id_that_its_company_platform_and_number_make(desk: Desk) -> None:
    def work(session: Session) -> None:
        made = IntegratedObject(original_id="7", object_type="ticket", content="one", tenant_id="wedosoft")
        session.add(made)
        session.flush()
        assert (made.id, made.platform, made.embedding_status) == ("wedosoft_freshdesk_7", "freshdesk", "pending")
        first, made.embedding_status = made.content_hash, "synced"
        session.flush()
        made.content = "two"
        session.flush()
        assert made.content_hash != first
        assert made.embedding_status == "pending"
        made.summaries.append(Summary(summary_text="s", prompt_tokens=2, completion_tokens=3))
        made.vector_links.append(VectorLink(collection="documents", vector_id="v"))
        session.flush()
        assert made.summaries[0].tokens == 5
        session.delete(made)
        session.flush()
        assert session.query(Summary).count() == session.query(VectorLink).count() == 0
        session.add(IntegratedObject(original_id="8", object_type="ticket", tenant_id="rival"))
        with pytest.raises(CrossTenant):
            session.flush()

    desk.run(work)


@pytest.mark.ledger("S0-057")
def test_no_two_objects_have_one_id() -> None:
    assert integrated_id("wedosoft", "freshdesk", "a_1") == "wedosoft_freshdesk_a_1"
    parts = ["a", "a_b", "b", "b_c", "a%5Fb", "c", "_", "article:1", "1"]
    made = {
        integrated_id(company, platform, original, object_type=kind): (company, platform, original, kind)
        for company in parts
        for platform in parts
        for original in parts
        for kind in ("ticket", "article", "a:b", "article:1")
    }
    assert len(made) == len(parts) ** 3 * 4
    long = integrated_id("a" * 255, "b" * 50, "c" * 100)
    assert len(long) == 255
    assert long != integrated_id("a" * 255, "b" * 50, "d" * 100)


@pytest.mark.ledger("S0-057")
def test_a_log_stays_as_it_was_written(desk: Desk) -> None:
    def work(session: Session) -> None:
        line = ProcessingLog(object_type="ticket", object_id="1", step="embed", status="done")
        session.add(line)
        session.flush()
        assert line.company_id == line.tenant_id
        line.status = "failed"
        with pytest.raises(AppendOnlyViolation):
            session.flush()

    desk.run(work)


@pytest.mark.ledger("S0-057")
def test_a_setting_leads_to_a_secret_and_never_holds_one(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.add(TenantSetting(key="api", value="env:FRESHDESK_KEY", is_secret_ref=True))
        session.add_all(TenantSetting(key=f"k{n}", value=value) for n, value in enumerate([1, True, ["a"], {"b": 1}]))
        session.flush()
        session.expire_all()
        values = session.scalars(select(TenantSetting.value).order_by(TenantSetting.key)).all()
        assert values == ["env:FRESHDESK_KEY", 1, True, ["a"], {"b": 1}]
        session.add(TenantSetting(key="key", value="hunter2", is_secret_ref=True))
        with pytest.raises(SecretRefused):
            session.flush()

    desk.run(work)


@pytest.mark.ledger("S0-057")
@pytest.mark.parametrize(
    "row",
    [
        lambda: Attachment(name="a", storage_key="k", size=-1),
        lambda: Article(title="t", description="d", status="lost"),
        lambda: Article(title="t", description="d", views=-1),
        lambda: Summary(object_id="none", summary_text="x"),
        lambda: VectorLink(object_id="none", collection="c", vector_id="v"),
        lambda: SyncJob(job_type="x", processed=-1),
        lambda: SyncJob(job_type="x", status="done"),
        lambda: BackupRecord(filename="x", status="lost"),
        lambda: IntegratedObject(original_id="1", object_type="ticket", embedding_status="lost"),
        lambda: Agent(agent_id="agent_9", name="x", company_id=uuid.UUID(int=7)),
    ],
)
def test_what_no_row_may_hold(desk: Desk, row: Callable[[], Any]) -> None:
    def work(session: Session) -> None:
        def add() -> None:
            session.add(row())
            session.flush()

        with pytest.raises((IntegrityError, IllegalStep)):
            add()

    desk.run(work)
