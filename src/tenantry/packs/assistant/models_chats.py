"""Conversations, their messages, what the agents did, and what it used."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, Integer, String, Text, false
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tenantry.models import AppendOnly, CreatedAt, JSONDocument, Timestamps, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.packs.assistant.base import AssistantBase, Numbered, OfCompany, one_of
from tenantry.packs.assistant.words import MessageRole, Provider
from tenantry.usage import Money


def _total_of_row(context: DefaultExecutionContext) -> int:
    row: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare
    return int(row.get("prompt_tokens") or 0) + int(row.get("completion_tokens") or 0)


class Conversation(OfCompany, Timestamps, AssistantBase):
    """A user's talk with the assistant, over all documents or the selected ones."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "user_id", "created_at"),)

    title: Mapped[str | None] = mapped_column(String)
    user_id: Mapped[int | None] = mapped_column(Integer)
    llm_provider: Mapped[str] = mapped_column(String, default=Provider.CUSTOM)
    selected_document_ids: Mapped[list[Any] | None] = mapped_column(JSONDocument)

    messages: Mapped[list[Message]] = relationship(
        back_populates="conversation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Message.timestamp, Message.id",
    )


class Message(Numbered, AssistantBase):
    """What the user or the assistant said, and how the assistant came to it."""

    __tablename__ = "messages"
    __table_args__ = (
        one_of(MessageRole, table="messages", column="role"),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_messages_confidence"),
        Index(None, "conversation_id", "timestamp"),
    )

    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String)
    content: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float | None] = mapped_column(Float)
    sources: Mapped[list[Any] | None] = mapped_column(JSONDocument)
    reasoning_chain: Mapped[list[Any] | None] = mapped_column(JSONDocument)
    low_confidence_warning: Mapped[bool] = mapped_column(default=False, server_default=false())
    token_usage: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)
    timestamp: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)

    conversation: Mapped[Conversation] = relationship(back_populates="messages")


class AgentLog(AppendOnly, OfCompany, CreatedAt, AssistantBase):
    """What an agent did on the way to a message; it outlives the message that it names."""

    __tablename__ = "agent_logs"
    __table_args__ = (
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_agent_logs_confidence"),
        CheckConstraint("execution_time_ms >= 0", name="ck_agent_logs_execution_time_ms"),
        Index(None, "message_id"),
        Index(None, "agent_type", "created_at"),
    )

    agent_type: Mapped[str] = mapped_column(String)
    operation: Mapped[str | None] = mapped_column(String)
    input_data: Mapped[Any | None] = mapped_column(JSONDocument)
    output_data: Mapped[Any | None] = mapped_column(JSONDocument)
    confidence: Mapped[float | None] = mapped_column(Float)
    is_council_vote: Mapped[bool] = mapped_column(default=False)
    vote_data: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)
    execution_time_ms: Mapped[float | None] = mapped_column(Float)
    token_usage: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)
    message_id: Mapped[int | None] = mapped_column(Integer)
    user_id: Mapped[int | None] = mapped_column(Integer)


class TokenUsage(AppendOnly, OfCompany, CreatedAt, AssistantBase):
    """What one call of a language model used; the cost is None where no price was known."""

    __tablename__ = "token_usage"
    __table_args__ = (
        CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0", name="ck_token_usage_tokens"),
        CheckConstraint("total_tokens = prompt_tokens + completion_tokens", name="ck_token_usage_total"),
        CheckConstraint("estimated_cost >= 0", name="ck_token_usage_cost"),
        Index(None, "user_id", "created_at"),
        Index(None, "operation_type", "operation_id"),
    )

    operation_type: Mapped[str | None] = mapped_column(String)
    operation_id: Mapped[str | None] = mapped_column(String)
    prompt_tokens: Mapped[int] = mapped_column(Integer, default=0)
    completion_tokens: Mapped[int] = mapped_column(Integer, default=0)
    total_tokens: Mapped[int] = mapped_column(Integer, default=_total_of_row)
    estimated_cost: Mapped[Decimal | None] = mapped_column(Money())
    llm_provider: Mapped[str | None] = mapped_column(String)
    model_name: Mapped[str | None] = mapped_column(String)
    user_id: Mapped[int | None] = mapped_column(Integer)
