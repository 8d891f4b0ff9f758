"""The words that the assistant's columns hold."""

from __future__ import annotations

import enum


class Scope(enum.StrEnum):
    """Who may read a document: everybody, its company, or who uploaded it."""

    GLOBAL = "global"
    COMPANY = "company"
    USER = "user"


class ProcessingStatus(enum.StrEnum):
    """How far the processing of a document has come."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class MessageRole(enum.StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


class Provider(enum.StrEnum):
    """Whose language models answer unless somebody says another."""

    CUSTOM = "custom"
    OLLAMA = "ollama"
    OPENAI = "openai"


class Explainability(enum.StrEnum):
    """How much of its reasoning the assistant shows."""

    BASIC = "basic"
    DETAILED = "detailed"
    DEBUG = "debug"


class RoleName(enum.StrEnum):
    """The roles that every installation begins with."""

    SUPER_ADMIN = "super_admin"
    ADMIN = "admin"
    ANALYST = "analyst"
    VIEWER = "viewer"


class Operation(enum.StrEnum):
    """What tokens were used for."""

    CHAT = "chat"
    REPORT_GENERATION = "report_generation"
    DOCUMENT_PROCESSING = "document_processing"
