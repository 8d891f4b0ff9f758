"""What is done with a company's rows: processing, chats, reports, sums; alike in every cell through every door."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from tenantry.errors import IllegalStep, InvalidPage, InvalidUsage, RecordNotFound
from tenantry.models.columns import utc_now
from tenantry.packs.assistant import (
    PRICES,
    AgentLog,
    Answer,
    Call,
    Conversation,
    Document,
    Findings,
    Message,
    Meter,
    Piece,
    Step,
    TokenUsage,
)

from .cells import ANN, BOB, Desk

CALL = Call("custom", "DeepSeek-V3", prompt_tokens=1_000, completion_tokens=500)


@pytest.fixture
def pending(desk: Desk) -> int:
    """The number of a document that waits to be processed."""
    return desk.run(lambda session: session.scalars(select(Document.id).filter_by(filename="all.txt")).one())


@pytest.fixture
def talk(desk: Desk) -> int:
    """The number of a conversation."""
    return desk.run(lambda session: session.scalars(select(Conversation.id)).one())


@pytest.mark.ledger("S3-033")
def test_a_document_is_processed_step_by_step(desk: Desk, pending: int) -> None:
    processing = desk.pack.processing
    with pytest.raises(IllegalStep):
        desk.call(processing.complete, pending, pieces=[])
    assert desk.call(processing.begin, pending).processing_status == "processing"
    with pytest.raises(IllegalStep):
        desk.call(processing.begin, pending)
    findings = Findings("short", ["wind"], ["power"], "report", call=CALL)
    done = desk.call(processing.complete, pending, pieces=[Piece("one", 1, 1), Piece("two")], findings=findings)
    assert (done.processing_status, done.is_processed, done.summary) == ("completed", True, "short")
    assert done.processed_at is not None
    chunks = desk.repository("ChunkRepository").of_document(pending)
    assert [(chunk.chunk_index, chunk.content, chunk.page_number) for chunk in chunks] == [
        (0, "one", 1),
        (1, "two", None),
    ]
    used = desk.repository("TokenUsageRepository").list()
    assert [(each.operation_type, each.operation_id, each.user_id) for each in used] == [
        ("document_processing", str(pending), ANN)
    ]


@pytest.mark.ledger("S3-033")
def test_a_failed_document_says_why_and_can_be_tried_again(desk: Desk, pending: int) -> None:
    processing = desk.pack.processing
    desk.call(processing.begin, pending)
    assert desk.call(processing.fail, pending, reason="encrypted").processing_status == "failed"
    (log,) = desk.repository("AgentLogRepository").by_agent("document_processing")
    assert (log.output_data, log.user_id) == ({"reason": "encrypted"}, ANN)
    again = desk.call(processing.again, pending)
    assert (again.processing_status, again.is_processed, again.processed_at) == ("pending", False, None)
    assert [row.id for row in desk.repository("DocumentRepository").get_by_status("pending")].count(pending) == 1
    with pytest.raises(RecordNotFound):
        desk.call(processing.begin, 999)


@pytest.mark.ledger("S3-034")
def test_an_answer_is_kept_with_what_it_took(desk: Desk, talk: int) -> None:
    asked = desk.call(desk.pack.chats.ask, talk, "How much?")
    steps = [
        Step("research", "retrieve", {"query": "how much"}, {"found": 2}, 0.9, execution_time_ms=12.5),
        Step("council", "vote", vote={"agent": "grounding", "vote": "yes"}, call=Call("openai", "gpt", 10, 5)),
    ]
    answer = Answer("42 %", call=CALL, confidence=0.4, sources=["law.pdf"], reasoning_chain=["looked"], steps=steps)
    said = desk.call(desk.pack.chats.answer, talk, answer)
    assert (said.role, said.low_confidence_warning, said.sources) == ("assistant", True, ["law.pdf"])
    assert said.token_usage == {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    logs = desk.repository("AgentLogRepository")
    assert [log.agent_type for log in logs.of_message(said.id)] == ["research", "council"]
    (vote,) = logs.council_votes(said.id)
    assert (vote.vote_data, vote.user_id) == ({"agent": "grounding", "vote": "yes"}, ANN)
    assert logs.average_times() == {"research": 12.5}
    assert [each.role for each in desk.repository("MessageRepository").of_conversation(talk)] == [
        "user",
        "user",
        "assistant",
    ]
    assert [each.id for each in desk.repository("MessageRepository").get_low_confidence()] == [said.id]
    assert asked.content == "How much?"


@pytest.mark.ledger("S3-034", "S3-038")
def test_what_was_used_is_summed_up_by_user_and_provider(desk: Desk, talk: int) -> None:
    usage = desk.repository("TokenUsageRepository")
    nothing = usage.total(user_id=ANN)
    assert (nothing.requests, nothing.total_tokens, nothing.cost) == (0, 0, Decimal(0))
    desk.call(desk.pack.chats.answer, talk, Answer("a", call=CALL))
    desk.call(desk.pack.chats.answer, talk, Answer("b", call=Call("ollama", "llama", 7, 7)))
    desk.call(desk.pack.reports.save, report_type="mix", report_data={}, user_id=BOB, call=Call("openai", "gpt", 9, 1))
    total = usage.total(user_id=ANN, since=utc_now() - datetime.timedelta(hours=1))
    # 1000 prompt tokens at 0.01 a thousand, and 500 completion tokens at 0.02.
    assert (total.requests, total.total_tokens, total.cost, total.unpriced) == (2, 1514, Decimal("0.020000"), 0)
    assert usage.total(user_id=ANN, since=utc_now() + datetime.timedelta(hours=1)).requests == 0
    assert usage.total(provider="openai").unpriced == 1
    by = usage.totals(by="provider")
    assert {name: each.total_tokens for name, each in by.items()} == {"custom": 1500, "ollama": 14, "openai": 10}
    assert by["nobody"].requests == 0
    assert {key: each.requests for key, each in usage.totals(by="user").items()} == {ANN: 2, BOB: 1}
    assert set(usage.totals(by="model")) == {("custom", "DeepSeek-V3"), ("ollama", "llama"), ("openai", "gpt")}
    assert set(usage.totals(by="operation")) == {"chat", "report_generation"}
    with pytest.raises(InvalidUsage):
        usage.totals(by="weather")


@pytest.mark.ledger("S3-034")
def test_prices_are_the_documents_and_the_applications() -> None:
    meter = Meter({**PRICES, ("openai", "gpt"): PRICES["custom"]})
    assert meter.cost(CALL) == Decimal("0.020000")
    assert meter.cost(Call("openai", "gpt", 1000, 0)) == Decimal("0.010000")
    assert meter.cost(Call("openai", "other", 1000, 0)) is None
    assert meter.cost(Call("openai", "other", 1, 1, cost=Decimal("0.5"))) == Decimal("0.5")


@pytest.mark.ledger("S3-033")
def test_counts_that_are_none_are_refused(desk: Desk, talk: int) -> None:
    with pytest.raises(InvalidUsage):
        desk.call(desk.pack.chats.answer, talk, Answer("a", call=Call("custom", "m", -1, 0)))


@pytest.mark.ledger("S3-033")
def test_a_conversation_over_documents_that_its_user_may_read(desk: Desk) -> None:
    def ids(session: Session) -> dict[str, int]:
        return {row.filename: row.id for row in session.execute(select(Document.filename, Document.id))}

    known = desk.run(ids)
    chosen = [known["ann's.txt"], known["all.txt"]]
    started = desk.call(desk.pack.chats.start, user_id=ANN, title="t", selected_document_ids=chosen)
    assert (started.selected_document_ids, started.llm_provider, started.user_id) == (chosen, "custom", ANN)
    with pytest.raises(RecordNotFound):
        desk.call(desk.pack.chats.start, user_id=BOB, selected_document_ids=chosen)


@pytest.mark.ledger("S3-033")
def test_what_a_user_may_read_is_theirs_the_companys_and_everybodys(desk: Desk) -> None:
    documents = desk.repository("DocumentRepository")
    shelf = documents.readable(ANN)
    assert [each.filename for each in shelf.items][-1] == "law.pdf"
    assert ({each.filename for each in shelf.items}, shelf.total) == ({"ann's.txt", "all.txt", "law.pdf"}, 3)
    pages = [documents.readable(BOB, limit=1, offset=number) for number in range(4)]
    assert [each.filename for page in pages for each in page.items][2:] == ["law.pdf"]
    assert {each.filename for page in pages for each in page.items} == {"bob's.txt", "all.txt", "law.pdf"}
    assert {page.total for page in pages} == {3}
    with pytest.raises(InvalidPage):
        documents.readable(ANN, limit=-1)
    known = {each.filename: each.id for each in shelf.items}
    assert documents.read_one(known["ann's.txt"], user_id=BOB) is None
    assert documents.read_one(known["ann's.txt"], user_id=ANN).filename == "ann's.txt"
    assert documents.count_by_status() == {"pending": 3}
    read = desk.repository("LibraryRepository").list()
    found = desk.repository("LibraryRepository").get_with_chunks(read[0].id)
    assert [chunk.content for chunk in found.chunks] == ["first", "second"]


@pytest.mark.ledger("S3-036", "S3-037")
def test_parts_are_loaded_with_the_whole_by_one_more_statement(desk: Desk, pending: int, talk: int) -> None:
    desk.call(desk.pack.processing.begin, pending)
    desk.call(desk.pack.processing.complete, pending, pieces=[Piece(str(number)) for number in range(3)])
    desk.run(lambda session: session.expunge_all())
    statements: list[str] = []
    engine = desk.run(lambda session: session.get_bind())

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        (done,) = desk.repository("DocumentRepository").get_with_chunks(ANN, processed=True)
        found = desk.repository("ConversationRepository").get_with_messages(talk)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert (len(done.chunks), [each.content for each in found.messages]) == (3, ["hello from acme"])
    assert len([each for each in statements if each.startswith("SELECT")]) == 4


@pytest.mark.ledger("S3-033")
def test_reports_and_the_profile(desk: Desk) -> None:
    reports = desk.repository("SavedReportRepository")
    saved = desk.call(
        desk.pack.reports.save,
        report_type="mix",
        report_data={"wind": 0.4},
        title="Mix",
        tags=["q3"],
        user_id=ANN,
        call=CALL,
    )
    assert reports.get_by_report_id(saved.report_id).report_data == {"wind": 0.4}
    assert [each.id for each in reports.of_user(ANN)] == [each.id for each in reports.by_type("mix")] == [saved.id]
    assert saved.token_usage["total_tokens"] == 1500
    assert desk.repository("ProfileRepository").get_own() is None
    first = desk.call(desk.pack.reports.profile, industry="Manufacturing", target_year=2035)
    second = desk.call(desk.pack.reports.profile, energy_mix_weight=0.5, price_optimization_weight=0.25)
    assert second.id == first.id
    assert (second.industry, second.target_year, second.energy_mix_weight) == ("Manufacturing", 2035, 0.5)


@pytest.mark.ledger("S3-033")
def test_search_and_lists_of_one_user(desk: Desk, talk: int) -> None:
    messages = desk.repository("MessageRepository")
    assert [each.conversation_id for each in messages.search_messages("HELLO")] == [talk]
    assert messages.search_messages("100%") == []
    conversations = desk.repository("ConversationRepository")
    assert [each.id for each in conversations.of_user(ANN)] == [talk]
    assert conversations.of_user(BOB) == []


@pytest.mark.ledger("S3-033")
def test_a_step_of_another_companys_rows_is_a_missing_one(desk: Desk, talk: int) -> None:
    def forged(session: Session) -> None:
        session.add(AgentLog(agent_type="a", message_id=1))
        session.add(TokenUsage(operation_id="1"))
        session.flush()

    desk.run(forged)
    for work in (desk.pack.chats.ask, desk.pack.chats.answer):
        with pytest.raises(RecordNotFound):
            desk.call(work, 2**30, "x" if work == desk.pack.chats.ask else Answer("x"))
    assert desk.run(lambda session: len(session.scalars(select(Message)).all())) == 1
