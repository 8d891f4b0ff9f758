"""The assistant's tables: columns, defaults, constraints and cascades, alike in every cell."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Boolean, Float, Integer, String, Text, Uuid, delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import AppendOnlyViolation, CrossTenant, IllegalStep, ScopeRefused
from tenantry.models import JSONDocument, Ownership, UTCDateTime, is_append_only, lint, ownership
from tenantry.packs.assistant import (
    AgentLog,
    AssistantBase,
    Company,
    Conversation,
    Document,
    DocumentChunk,
    GlobalDocument,
    Message,
    Permission,
    Profile,
    Role,
    RolePermission,
    SavedReport,
    TokenUsage,
    User,
)
from tenantry.usage import Money

from .cells import ANN, SYNC, Desk, Ground, Place

WORDS, WHOLE, FLAG, TIME, JSON, SHARE, LONG = String, Integer, Boolean, UTCDateTime, JSONDocument, Float, Text

# By table: each column of the document, its type, and whether it may be null.
PRIMARY: dict[type[Any], dict[str, tuple[Any, bool]]] = {
    User: {
        "id": (WHOLE, False),
        "username": (WORDS, False),
        "email": (WORDS, False),
        "hashed_password": (WORDS, False),
        "full_name": (WORDS, True),
        "company_id": (WHOLE, True),
        "role_id": (WHOLE, True),
        "preferred_llm": (WORDS, False),
        "explainability_level": (WORDS, False),
        "has_completed_onboarding": (FLAG, False),
        "is_active": (FLAG, False),
        "created_at": (TIME, False),
        "last_login": (TIME, True),
    },
    Company: {
        "id": (WHOLE, False),
        "name": (WORDS, False),
        "industry": (WORDS, True),
        "database_name": (WORDS, True),
        "is_active": (FLAG, False),
        "created_at": (TIME, False),
        "tenant": (Uuid, True),
    },
    Role: {"id": (WHOLE, False), "name": (WORDS, False), "description": (WORDS, True)},
    Permission: {
        "id": (WHOLE, False),
        "resource": (WORDS, False),
        "action": (WORDS, False),
        "description": (WORDS, True),
    },
    RolePermission: {"role_id": (WHOLE, False), "permission_id": (WHOLE, False)},
}
_DOCUMENT = {
    "id": (WHOLE, False),
    "filename": (WORDS, False),
    "original_filename": (WORDS, False),
    "file_path": (WORDS, False),
    "file_size": (WHOLE, True),
    "file_type": (WORDS, True),
    "scope": (WORDS, False),
    "processing_status": (WORDS, False),
    "is_processed": (FLAG, False),
    "summary": (LONG, True),
    "keywords": (JSON, True),
    "topics": (JSON, True),
    "content_type": (WORDS, True),
    "uploaded_by_id": (WHOLE, True),
    "uploaded_at": (TIME, False),
    "processed_at": (TIME, True),
}
COMPANYS: dict[type[Any], dict[str, tuple[Any, bool]]] = {
    Document: {**_DOCUMENT, "company_id": (WHOLE, True)},
    DocumentChunk: {
        "id": (WHOLE, False),
        "document_id": (WHOLE, False),
        "chunk_index": (WHOLE, False),
        "content": (LONG, False),
        "token_count": (WHOLE, True),
        "embedding_id": (WORDS, True),
        "page_number": (WHOLE, True),
    },
    Conversation: {
        "id": (WHOLE, False),
        "title": (WORDS, True),
        "user_id": (WHOLE, True),
        "company_id": (WHOLE, True),
        "llm_provider": (WORDS, False),
        "selected_document_ids": (JSON, True),
        "created_at": (TIME, False),
        "updated_at": (TIME, False),
    },
    Message: {
        "id": (WHOLE, False),
        "conversation_id": (WHOLE, False),
        "role": (WORDS, False),
        "content": (LONG, False),
        "confidence": (SHARE, True),
        "sources": (JSON, True),
        "reasoning_chain": (JSON, True),
        "low_confidence_warning": (FLAG, False),
        "token_usage": (JSON, True),
        "timestamp": (TIME, False),
    },
    AgentLog: {
        "id": (WHOLE, False),
        "agent_type": (WORDS, False),
        "operation": (WORDS, True),
        "input_data": (JSON, True),
        "output_data": (JSON, True),
        "confidence": (SHARE, True),
        "is_council_vote": (FLAG, False),
        "vote_data": (JSON, True),
        "execution_time_ms": (SHARE, True),
        "token_usage": (JSON, True),
        "message_id": (WHOLE, True),
        "user_id": (WHOLE, True),
        "company_id": (WHOLE, True),
        "created_at": (TIME, False),
    },
    TokenUsage: {
        "id": (WHOLE, False),
        "operation_type": (WORDS, True),
        "operation_id": (WORDS, True),
        "prompt_tokens": (WHOLE, False),
        "completion_tokens": (WHOLE, False),
        "total_tokens": (WHOLE, False),
        "estimated_cost": (Money, True),
        "llm_provider": (WORDS, True),
        "model_name": (WORDS, True),
        "user_id": (WHOLE, True),
        "company_id": (WHOLE, True),
        "created_at": (TIME, False),
    },
    Profile: {
        "id": (WHOLE, False),
        "company_id": (WHOLE, True),
        "industry": (WORDS, True),
        "location": (WORDS, True),
        "target_year": (WHOLE, True),
        "renewable_percentage_increase": (SHARE, True),
        "budget": (SHARE, True),
        "historical_data_uploaded": (FLAG, False),
        "chroma_collection_name": (WORDS, True),
        "total_consumption_kwh": (SHARE, True),
        "current_renewable_percentage": (SHARE, True),
        "sustainability_score": (SHARE, True),
        "onboarding_completed": (FLAG, False),
        "energy_mix_weight": (SHARE, False),
        "price_optimization_weight": (SHARE, False),
        "portfolio_decision_weight": (SHARE, False),
        "created_at": (TIME, False),
        "updated_at": (TIME, False),
    },
    SavedReport: {
        "id": (WHOLE, False),
        "report_id": (WORDS, False),
        "report_type": (WORDS, True),
        "report_data": (JSON, True),
        "title": (WORDS, True),
        "tags": (JSON, True),
        "confidence": (SHARE, True),
        "token_usage": (JSON, True),
        "user_id": (WHOLE, True),
        "company_id": (WHOLE, True),
        "generated_at": (TIME, False),
        "saved_at": (TIME, False),
    },
}


# Each cell, and each driver once: what a column holds is the same behind every door of a cell.
@pytest.fixture(params=[*SYNC, Place("postgresql-rows", "asyncpg"), Place("sqlite-file", "aiosqlite")], ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


def shape(model: type[Any]) -> dict[str, tuple[Any, bool]]:
    """Returns a table's columns but the tenant's own."""
    columns = inspect(model).local_table.columns
    return {each.name: (type(each.type), each.nullable) for each in columns if each.name != "tenant_id"}


def keys(model: type[Any]) -> set[tuple[str, ...]]:
    """Returns what is unique or indexed in a table, without the tenant's column."""
    table = inspect(model).local_table
    named = [constraint.columns for constraint in table.constraints if constraint.__visit_name__ == "unique_constraint"]
    found = [[column.name for column in columns] for columns in [*named, *(index.columns for index in table.indexes)]]
    return {tuple(name for name in names if name != "tenant_id") for names in found}


@pytest.mark.ledger("S3-015", "S3-016", "S3-017", "S3-018", "S3-019")
@pytest.mark.parametrize("model", PRIMARY, ids=lambda model: model.__tablename__)
def test_the_primarys_tables_have_the_documents_columns(model: type[Any]) -> None:
    assert shape(model) == PRIMARY[model]
    assert ownership(inspect(model).local_table) is Ownership.PLATFORM


@pytest.mark.ledger("S3-025", "S3-026", "S3-027", "S3-028", "S3-029")
@pytest.mark.parametrize("model", [*COMPANYS], ids=lambda model: model.__tablename__)
def test_a_companys_tables_have_the_documents_columns(model: type[Any]) -> None:
    assert shape(model) == COMPANYS[model]
    assert ownership(inspect(model).local_table) is Ownership.TENANT
    assert [column.name for column in inspect(model).local_table.primary_key] == ["tenant_id", "id"]


@pytest.mark.ledger("S3-030", "S3-031", "S3-032")
def test_usage_and_logs_are_only_added_to_and_reports_and_profiles_change() -> None:
    kept = {model.__tablename__ for model in COMPANYS if is_append_only(inspect(model).local_table)}
    assert kept == {"agent_logs", "token_usage"}
    assert {"token_usage", "profiles", "saved_reports"} <= {model.__tablename__ for model in COMPANYS}


@pytest.mark.ledger("S3-M01.1", "S3-M02.1", "S3-M06.1", "S3-M07.1", "S3-M08.1")
def test_rows_are_numbered_from_one_in_each_company(desk: Desk) -> None:
    def work(session: Session) -> None:
        made = Document(
            filename="n", original_filename="n", file_path="n", chunks=[DocumentChunk(chunk_index=0, content="c")]
        )
        talk = Conversation(title="n")
        session.add_all([made, talk])
        session.flush()
        assert (type(made.id), type(talk.id), made.chunks[0].document_id) == (int, int, made.id)
        if not desk.place.cell.startswith("postgresql"):
            # PostgreSQL draws from one sequence for all who share a table; a number is unique in its company there.
            assert talk.id == 2
            assert made.id >= 4

    desk.run(work)
    users = desk.ground.packs["sqlite"].look(lambda session: [user.id for user in session.scalars(select(User))])
    assert users == sorted(set(users))
    assert all(type(number) is int for number in users)


@pytest.mark.ledger("S3-001")
def test_the_linter_finds_nothing(ground: Ground) -> None:
    assert lint(AssistantBase.metadata) == []


@pytest.mark.ledger("S3-M01.2", "S3-M01.3", "S3-M01.6", "S3-M01.7", "S3-M02.2")
def test_what_of_the_primary_is_unique_or_indexed() -> None:
    assert keys(User) == {("username",), ("email",), ("company_id", "email"), ("company_id",), ("role_id",)}
    assert [column.name for column in inspect(User).local_table.columns if column.unique] == ["username"]
    assert keys(Company) == {("name",), ("database_name",), ("tenant",)}


@pytest.mark.ledger("S3-M03.1", "S3-M04.1", "S3-M05.1", "S3-M02.4", "S3-M02.6")
def test_roles_hold_permissions_by_rows_of_their_own() -> None:
    assert keys(Role) == {("name",)}
    assert keys(Permission) == {("resource", "action")}
    assert [column.name for column in inspect(RolePermission).local_table.primary_key] == ["role_id", "permission_id"]
    ends = {key.target_fullname for key in inspect(RolePermission).local_table.foreign_keys}
    assert ends == {"roles.id", "permissions.id"}
    for model, name, other in ((Role, "permissions", "roles"), (Role, "users", "role"), (Company, "users", "company")):
        assert inspect(model).relationships[name].back_populates == other
    assert inspect(Role).relationships["permissions"].secondary.name == "role_permissions"


@pytest.mark.ledger("S3-M01.5", "S3-M01.8", "S3-M01.9", "S3-M01.10", "S3-M01.11")
def test_what_a_new_user_begins_with(ground: Ground) -> None:
    def work(session: Session) -> None:
        user = User(username="  Zoë ", email="z@x.example", hashed_password="kept")
        session.add(user)
        session.flush()
        began = (user.preferred_llm, user.explainability_level, user.has_completed_onboarding, user.is_active)
        assert began == ("custom", "detailed", False, True)
        assert (user.full_name, user.company_id, user.role_id, user.last_login) == (None, None, None, None)
        assert user.username == "zoë"
        assert user.created_at.utcoffset() == datetime.timedelta(0)
        session.rollback()

    ground.packs["sqlite"].look(lambda _: None)
    with ground.packs["sqlite"].tenancy.platform() as session:
        work(session)


@pytest.mark.ledger("S3-M01.4", "S3-M01.12", "S3-M01.13")
def test_a_user_as_a_dictionary_keeps_the_password_to_itself(ground: Ground) -> None:
    with ground.packs["sqlite"].tenancy.platform() as session:
        user = session.scalars(select(User).where(User.username == "root")).one()
        told = user.to_dict()
    assert "hashed_password" not in told
    assert user.hashed_password not in json.dumps(told)
    assert told["created_at"].endswith("+00:00")
    assert told["username"] == "root"


@pytest.mark.ledger("S3-M02.3", "S3-M02.5")
def test_what_a_new_company_begins_with(ground: Ground) -> None:
    with ground.packs["sqlite"].tenancy.platform() as session:
        company = Company(name="Fresh", industry="Hospitality")
        session.add(company)
        session.flush()
        assert (company.is_active, company.database_name, company.tenant) == (True, None, None)
        session.add(Company(name="Fresh"))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


@pytest.mark.ledger("S3-M06.2", "S3-M06.5", "S3-M06.6", "S3-M06.10", "S3-M06.11")
def test_what_a_new_document_begins_with(desk: Desk) -> None:
    def work(session: Session) -> None:
        document = Document(filename="a", original_filename="b", file_path="c")
        session.add(document)
        session.flush()
        assert (document.scope, document.processing_status, document.is_processed) == ("user", "pending", False)
        assert document.company_id == desk.place.company()
        assert document.uploaded_at.utcoffset() == datetime.timedelta(0)
        assert [document.file_size, document.file_type, document.processed_at] == [None, None, None]

    desk.run(work)
    assert ("processing_status",) in keys(Document)


@pytest.mark.ledger("S3-M06.7", "S3-M06.12")
def test_a_documents_flag_and_time_keep_step_with_its_status(desk: Desk) -> None:
    def work(session: Session) -> None:
        document = session.scalars(select(Document).filter_by(filename="all.txt")).one()
        document.processing_status = "processing"
        assert not document.is_processed
        document.processing_status = "completed"
        document.keywords = ["power"]
        session.flush()
        document.keywords.append("wind")
        session.flush()
        session.expire(document)
        assert (document.is_processed, document.keywords) == (True, ["power", "wind"])
        assert document.processed_at is not None
        with pytest.raises(IllegalStep):
            document.processing_status = "processing"
        talk = Conversation(title="new")
        session.add(talk)
        session.flush()
        assert talk.updated_at == talk.created_at

    desk.run(work)


@pytest.mark.ledger("S3-M06.3", "S3-M06.4", "S3-M06.8", "S3-M06.9")
def test_a_document_says_who_uploaded_it_by_both_names(desk: Desk) -> None:
    def work(session: Session) -> None:
        told = {"summary": "s", "keywords": ["k"], "topics": ["t"], "content_type": "report"}
        document = Document(
            filename="a", original_filename="a", file_path="a", file_size=7, file_type="text/plain", user_id=ANN, **told
        )
        session.add(document)
        session.flush()
        session.expire(document)
        assert (document.uploaded_by_id, document.user_id) == (ANN, ANN)
        assert {name: getattr(document, name) for name in told} == told
        found = session.scalars(select(Document).where(Document.user_id == ANN, Document.file_size == 7)).all()
        assert found == [document]

    desk.run(work)
    assert ("uploaded_by_id",) in keys(Document)
    assert not inspect(Document).local_table.c.uploaded_by_id.foreign_keys


@pytest.mark.ledger("S3-M06.5")
def test_a_document_for_everybody_is_no_companys(desk: Desk) -> None:
    with pytest.raises(ScopeRefused, match=r"library\.publish"):
        Document(filename="a", original_filename="a", file_path="a", scope="global")

    def work(session: Session) -> None:
        assert session.scalars(select(GlobalDocument.filename)).all() == ["law.pdf"]
        bulk = insert(Document).values(
            tenant_id=session.info["tenant"].id, filename="a", original_filename="a", file_path="a", scope="global"
        )
        with pytest.raises(IntegrityError):
            session.execute(bulk)

    desk.run(work)


@pytest.mark.ledger("S3-M06.13", "S3-M08.1", "S3-M09.1", "S3-M07.1")
def test_parts_go_with_the_whole(desk: Desk) -> None:
    def work(session: Session) -> None:
        document = session.scalars(select(Document).filter_by(filename="all.txt")).one()
        document.chunks = [DocumentChunk(chunk_index=number, content=str(number)) for number in (0, 1)]
        session.flush()
        document.chunks.pop()
        session.flush()
        assert session.scalars(select(DocumentChunk.content)).all() == ["0"]
        session.delete(document)
        talk = session.scalars(select(Conversation)).one()
        assert [message.content for message in talk.messages] == ["hello from acme"]
        session.delete(talk)
        session.flush()
        counts = [session.scalar(select(func.count()).select_from(model)) for model in (DocumentChunk, Message)]
        assert counts == [0, 0]

    desk.run(work)
    assert {("document_id", "chunk_index"), ("embedding_id",)} <= keys(DocumentChunk)
    assert ("conversation_id", "timestamp") in keys(Message)
    assert ("user_id", "created_at") in keys(Conversation)


@pytest.mark.ledger("S3-M10.1", "S3-M11.1")
def test_logs_and_usage_stay_as_they_were_written(desk: Desk) -> None:
    def work(session: Session) -> None:
        talk = session.scalars(select(Message.id)).one()
        log = AgentLog(agent_type="research", message_id=talk, vote_data={"vote": "yes"}, is_council_vote=True)
        used = TokenUsage(prompt_tokens=3, completion_tokens=4, estimated_cost=Decimal("0.000007"))
        session.add_all([log, used])
        session.flush()
        assert (used.total_tokens, used.company_id, log.company_id) == (7, desk.place.company(), desk.place.company())
        assert log.created_at.utcoffset() == datetime.timedelta(0)
        for statement in (update(AgentLog).values(operation="x"), delete(TokenUsage)):
            with pytest.raises(AppendOnlyViolation):
                session.execute(statement)
        # The log outlives what it tells of.
        session.delete(session.scalars(select(Conversation)).one())
        session.flush()
        assert session.scalars(select(AgentLog.message_id)).all() == [talk]

    desk.run(work)
    assert {("message_id",), ("agent_type", "created_at")} <= keys(AgentLog)
    assert ("user_id", "created_at") in keys(TokenUsage)


@pytest.mark.ledger("S3-001")
def test_costs_are_summed_exactly(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.add_all(TokenUsage(prompt_tokens=1, estimated_cost=Decimal("0.1")) for _ in range(10))
        session.flush()
        assert session.scalar(select(func.sum(TokenUsage.estimated_cost))) == Decimal(1)
        session.add(TokenUsage(prompt_tokens=1, total_tokens=5))
        with pytest.raises(IntegrityError):
            session.flush()

    desk.run(work)


@pytest.mark.ledger("S3-M12.1", "S3-M13.1")
def test_what_a_new_profile_and_a_new_report_begin_with(desk: Desk) -> None:
    def work(session: Session) -> None:
        profile, report = Profile(), SavedReport(report_data={"rows": [1]})
        session.add_all([profile, report])
        session.flush()
        weights = (profile.energy_mix_weight, profile.price_optimization_weight, profile.portfolio_decision_weight)
        assert weights == (0.4, 0.35, 0.25)
        assert (profile.company_id, report.company_id) == (desk.place.company(), desk.place.company())
        assert (profile.onboarding_completed, profile.historical_data_uploaded) == (False, False)
        assert profile.updated_at == profile.created_at
        assert report.report_id
        assert report.saved_at.utcoffset() == report.generated_at.utcoffset() == datetime.timedelta(0)

    desk.run(work)
    assert ("company_id",) in keys(Profile)
    assert ("report_id",) in keys(SavedReport)


IMPOSSIBLE: dict[str, Callable[[], Any]] = {
    "weights above one": lambda: Profile(energy_mix_weight=0.9),
    "a negative weight": lambda: Profile(energy_mix_weight=-0.1, price_optimization_weight=0.85),
    "a percentage above 100": lambda: Profile(current_renewable_percentage=101),
    "a negative increase": lambda: Profile(renewable_percentage_increase=-1),
    "a status": lambda: Message(conversation_id=1, role="system", content="x"),
    "a confidence": lambda: AgentLog(agent_type="a", confidence=1.5),
    "negative tokens": lambda: TokenUsage(prompt_tokens=-1),
    "no name": lambda: Document(original_filename="a", file_path="a"),
    "no such document": lambda: DocumentChunk(document_id=999, chunk_index=0, content="x"),
    "no such conversation": lambda: Message(conversation_id=999, role="user", content="x"),
}


@pytest.mark.ledger("S3-M09.1", "S3-M12.1", "S3-049")
@pytest.mark.parametrize("row", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_what_no_row_may_hold(ground: Ground, place: Place, row: Callable[[], Any]) -> None:
    with ground.session(place) as desk:
        desk.session.add(row())
        with pytest.raises(IntegrityError):
            desk.session.flush()


@pytest.mark.ledger("S3-001")
def test_the_neighbour_has_the_same_numbers_and_its_own_rows(ground: Ground, desk: Desk) -> None:
    with ground.session(desk.place, "rival") as rival:
        theirs = rival.run(lambda session: session.scalars(select(Document).order_by(Document.id)).all())

    def work(session: Session) -> None:
        mine = session.scalars(select(Document).order_by(Document.id)).all()
        assert {row.file_path.partition("/")[0] for row in mine} == {"acme"}
        assert [row.filename for row in mine] == [row.filename for row in theirs]
        with pytest.raises(CrossTenant):
            session.add(theirs[0])
        if desk.place.cell in ("postgresql-schema", "postgresql-database", "sqlite-file", "sqlite-rows"):
            assert session.get(Document, theirs[0].id) is mine[0]

    desk.run(work)


@pytest.mark.ledger("S3-001")
@pytest.mark.parametrize("place", SYNC, ids=str)
def test_a_companys_session_does_not_reach_the_primary(ground: Ground, place: Place) -> None:
    with ground.session(place) as desk, pytest.raises(DBAPIError):
        desk.session.execute(select(User.username)).all()
    with ground.pack(place).tenancy.platform() as session, pytest.raises(DBAPIError):
        session.execute(text("select * from documents")).all()


@pytest.mark.ledger("S3-001")
def test_rows_of_another_company_are_refused_whatever_number_they_carry(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.add(Conversation(title="x", company_id=desk.place.company("rival")))
        with pytest.raises(CrossTenant):
            session.flush()

    desk.run(work)


@pytest.mark.ledger("S3-001")
def test_bulk_rows_get_their_companys_number_and_their_total(desk: Desk) -> None:
    def work(session: Session) -> None:
        tenant = session.info["tenant"].id
        rows = [{"tenant_id": tenant, "prompt_tokens": number, "completion_tokens": 1} for number in range(3)]
        session.execute(insert(TokenUsage), rows)
        found = session.execute(select(TokenUsage.total_tokens, TokenUsage.company_id).order_by(TokenUsage.id)).all()
        assert [tuple(row) for row in found] == [(number + 1, desk.place.company()) for number in range(3)]

    desk.run(work)
