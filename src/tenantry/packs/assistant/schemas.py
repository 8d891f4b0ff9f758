"""What the assistant's API takes and gives of a company's rows; bodies refuse what they do not name."""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tenantry.packs.assistant.metering import Call
from tenantry.packs.assistant.services import Answer, Findings, Piece, Step
from tenantry.packs.assistant.words import Provider
from tenantry.web.bodies import Document, Items

T = TypeVar("T")

# What no column's text may hold, on PostgreSQL at least.
_TEXT = r"^[^\x00]*$"
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=_TEXT)]
Text = Annotated[str, Field(min_length=1, max_length=200_000, pattern=_TEXT)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Few = Annotated[Items, Field(max_length=100)]


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")


class Reply(BaseModel):
    """What a client gets, read from rows."""

    model_config = ConfigDict(from_attributes=True)


class Listing(Reply, Generic[T]):
    """A run of a list; *total* counts all there is."""

    items: Sequence[T]
    total: int
    limit: int
    offset: int


class CallIn(Body):
    """One call of a language model."""

    provider: Line = Field(examples=[Provider.CUSTOM.value])
    model: Line = Field(examples=["DeepSeek-V3"])
    prompt_tokens: Count = Field(default=0, examples=[1200])
    completion_tokens: Count = Field(default=0, examples=[350])

    def call(self) -> Call:
        """Returns it as the services take it."""
        return Call(self.provider, self.model, self.prompt_tokens, self.completion_tokens)


class DocumentIn(Body):
    """A document that was uploaded."""

    filename: Line = Field(examples=["report-2026.pdf"])
    original_filename: Line | None = None
    file_path: Line = Field(examples=["uploads/report-2026.pdf"])
    file_size: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    file_type: Line | None = Field(default=None, examples=["application/pdf"])
    scope: Literal["company", "user"] = "user"


class DocumentOut(Reply):
    """A document, the company's or everybody's."""

    id: int
    filename: str
    original_filename: str
    file_size: int | None
    file_type: str | None
    scope: str
    processing_status: str
    is_processed: bool
    summary: str | None
    keywords: list[Any] | None
    topics: list[Any] | None
    content_type: str | None
    uploaded_by_id: int | None
    uploaded_at: datetime.datetime
    processed_at: datetime.datetime | None


class ChunkOut(Reply):
    """A piece of a document."""

    id: int
    document_id: int
    chunk_index: int
    content: str
    token_count: int | None
    page_number: int | None


class FoundOut(Reply):
    """A piece that was found, of which document, and how near it is: 1.0 is the same."""

    filename: str
    score: float
    chunk: ChunkOut


class PieceIn(Body):
    """A piece of a document's text."""

    content: Text
    token_count: Count | None = None
    page_number: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class ProcessedIn(Body):
    """What processing made of a document."""

    pieces: Annotated[list[PieceIn], Field(max_length=10_000)]
    summary: Text | None = None
    keywords: Annotated[list[Line], Field(max_length=100)] = []
    topics: Annotated[list[Line], Field(max_length=100)] = []
    content_type: Line | None = Field(default=None, examples=["report"])
    call: CallIn | None = None

    def parts(self) -> list[Piece]:
        """Returns the pieces as the services take them."""
        return [Piece(piece.content, piece.token_count, piece.page_number) for piece in self.pieces]

    def findings(self) -> Findings:
        """Returns what was said of the document as the services take it."""
        call = None if self.call is None else self.call.call()
        return Findings(self.summary, self.keywords, self.topics, self.content_type, call)


class FailureIn(Body):
    """Why processing failed."""

    reason: Line = Field(examples=["The file is encrypted."])


class ConversationIn(Body):
    """A new conversation."""

    title: Line | None = Field(default=None, examples=["Renewables in 2026"])
    llm_provider: Line | None = None
    selected_document_ids: Annotated[list[Number], Field(max_length=1000)] | None = None


class MessageOut(Reply):
    """What was said."""

    id: int
    role: str
    content: str
    confidence: float | None
    sources: list[Any] | None
    reasoning_chain: list[Any] | None
    low_confidence_warning: bool
    token_usage: dict[str, Any] | None
    timestamp: datetime.datetime


class ConversationOut(Reply):
    """A conversation."""

    id: int
    title: str | None
    user_id: int | None
    llm_provider: str
    selected_document_ids: list[Any] | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


class TalkOut(ConversationOut):
    """A conversation with what was said."""

    messages: list[MessageOut]


class QuestionIn(Body):
    """What the user says."""

    content: Text = Field(examples=["How much of our power is renewable?"])


class StepIn(Body):
    """What one agent did."""

    agent_type: Line = Field(examples=["grounding"])
    operation: Line | None = Field(default=None, examples=["verify"])
    confidence: Share | None = None
    execution_time_ms: Amount | None = None
    vote: Document | None = None
    call: CallIn | None = None

    def step(self) -> Step:
        """Returns it as the services take it."""
        return Step(
            self.agent_type,
            self.operation,
            confidence=self.confidence,
            vote=self.vote,
            execution_time_ms=self.execution_time_ms,
            call=None if self.call is None else self.call.call(),
        )


class AnswerIn(Body):
    """What the assistant says, and how it came to it."""

    content: Text = Field(examples=["About 42 %."])
    confidence: Share | None = Field(default=None, examples=[0.83])
    sources: Few = []
    reasoning_chain: Few = []
    call: CallIn | None = None
    steps: Annotated[list[StepIn], Field(max_length=100)] = []

    def answer(self) -> Answer:
        """Returns it as the services take it."""
        return Answer(
            self.content,
            call=None if self.call is None else self.call.call(),
            confidence=self.confidence,
            sources=self.sources,
            reasoning_chain=self.reasoning_chain,
            steps=[step.step() for step in self.steps],
        )


class LogOut(Reply):
    """What an agent did."""

    id: int
    agent_type: str
    operation: str | None
    confidence: float | None
    is_council_vote: bool
    vote_data: dict[str, Any] | None
    execution_time_ms: float | None
    token_usage: dict[str, Any] | None
    created_at: datetime.datetime


class ReportIn(Body):
    """A report to be kept."""

    report_type: Line = Field(examples=["energy_mix"])
    title: Line | None = Field(default=None, examples=["Energy mix, third quarter"])
    report_data: Document = Field(examples=[{"renewable": 0.42}])
    tags: Annotated[list[Line], Field(max_length=50)] = []
    confidence: Share | None = None
    call: CallIn | None = None


class ReportOut(Reply):
    """A report."""

    report_id: str
    report_type: str | None
    title: str | None
    report_data: Any
    tags: list[Any] | None
    confidence: float | None
    token_usage: dict[str, Any] | None
    user_id: int | None
    generated_at: datetime.datetime
    saved_at: datetime.datetime


class ProfileIn(Body):
    """What of the company's profile is to change; the three weights sum to 1."""

    industry: Line | None = None
    location: Line | None = None
    target_year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    renewable_percentage_increase: Percent | None = None
    budget: Amount | None = None
    total_consumption_kwh: Amount | None = None
    current_renewable_percentage: Percent | None = None
    sustainability_score: Amount | None = None
    energy_mix_weight: Share = 0.4
    price_optimization_weight: Share = 0.35
    portfolio_decision_weight: Share = 0.25


class ProfileOut(Reply):
    """The company's profile."""

    industry: str | None
    location: str | None
    target_year: int | None
    renewable_percentage_increase: float | None
    budget: float | None
    historical_data_uploaded: bool
    total_consumption_kwh: float | None
    current_renewable_percentage: float | None
    sustainability_score: float | None
    onboarding_completed: bool
    energy_mix_weight: float
    price_optimization_weight: float
    portfolio_decision_weight: float
    updated_at: datetime.datetime


class TotalOut(Reply):
    """What some calls used; the unpriced ones count without a cost."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Decimal
    unpriced: int


class UsageOut(Reply):
    """What the company used, in all and by a key."""

    total: TotalOut
    by: str
    totals: dict[str, TotalOut]
