"""Companies to try the assistant with: made up, or read out of logs of real calls and conversations."""

from __future__ import annotations

import csv
import datetime
import gzip
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tenantry.errors import ConfigurationError
from tenantry.packs.assistant.base import COMPANY_KIND, slug_of
from tenantry.packs.assistant.metering import Call, Meter
from tenantry.packs.assistant.models_chats import AgentLog, Conversation, Message, TokenUsage
from tenantry.packs.assistant.models_documents import Document, DocumentChunk
from tenantry.packs.assistant.models_reports import Profile, SavedReport
from tenantry.packs.assistant.words import MessageRole, Operation, ProcessingStatus, Provider, Scope
from tenantry.samples import Sample
from tenantry.types import Isolation

Row = dict[str, Any]

_BEGINNING: Final = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
_INDUSTRIES: Final = ("ITeS", "Manufacturing", "Hospitality")
_TOPICS: Final = ("solar", "wind", "storage", "tariffs", "demand")
_AGENTS: Final = (("research", "retrieve"), ("grounding", "verify"), ("explainability", "explain"))
_STATUSES: Final = (ProcessingStatus.COMPLETED, ProcessingStatus.COMPLETED, ProcessingStatus.PENDING)
_TALKS: Final = "topical_chat_valid_freq.jsonl.gz"
# By company: its name, and the log of real calls that are its own.
_TRACES: Final = (("Conversations", "azure_llm_trace_conv.csv.gz"), ("Code", "azure_llm_trace_code.csv.gz"))


def generated(*, tenants: int = 3, rows: int = 60) -> list[Sample]:
    """Returns made-up companies, numbered from 1, each with about *rows* rows; the same every time."""
    return [_generated(number, rows) for number in range(1, tenants + 1)]


def read(directory: str | Path) -> list[Sample]:
    """Returns two companies out of the logs below ``chat/``: real calls as their token usage, real conversations.

    Raises: ConfigurationError where a log is not there.
    """
    where = Path(directory) / "chat"
    missing = [name for name in (_TALKS, *(trace for _, trace in _TRACES)) if not (where / name).is_file()]
    if missing:
        raise ConfigurationError(
            what=f"There is no {missing[0]} in {where.name}.", fix="Give the directory of the data."
        )
    talks = [json.loads(line) for line in _lines(where / _TALKS)]
    return [
        _sample(number, name, {**_talked(talks[number - 1 :: len(_TRACES)]), TokenUsage: _used(where / trace, name)})
        for number, (name, trace) in enumerate(_TRACES, 1)
    ]


def _sample(number: int, name: str, rows: dict[type, Sequence[Row]]) -> Sample:
    numbered = {model: [_of(model, number, row) for row in found] for model, found in rows.items()}
    return Sample(
        slug=slug_of(number),
        name=name,
        isolation=Isolation.DATABASE,
        identities=[(COMPANY_KIND, str(number))],
        rows=numbered,
    )


def _of(model: type[Any], company_id: int, row: Row) -> Row:
    return {**row, "company_id": company_id} if hasattr(model, "company_id") else row


def _generated(number: int, rows: int) -> Sample:
    draw = random.Random(number)  # noqa: S311  # the same rows every time is what it is for
    documents = [_document(draw, each) for each in range(1, max(2, rows // 6) + 1)]
    ready = [row["id"] for row in documents if row["is_processed"]]
    talks = [_talk(each) for each in range(1, max(2, rows // 12) + 1)]
    messages = [_message(draw, each, talks[(each - 1) // 2]) for each in range(1, 2 * len(talks) + 1)]
    answers = [row for row in messages if row["role"] == MessageRole.ASSISTANT]
    return _sample(
        number,
        f"{_INDUSTRIES[(number - 1) % len(_INDUSTRIES)]} {number}",
        {
            Document: documents,
            DocumentChunk: [_chunk(place, ready) for place in range(2 * len(ready))],
            Conversation: talks,
            Message: messages,
            AgentLog: [_log(draw, each, answers) for each in range(1, len(answers) * len(_AGENTS) + 1)],
            TokenUsage: [_usage(each, row) for each, row in enumerate(answers, 1)],
            Profile: [_profile(draw, number)],
            SavedReport: [_report(each) for each in range(1, max(1, rows // 20) + 1)],
        },
    )


def _at(minutes: int) -> datetime.datetime:
    return _BEGINNING + datetime.timedelta(minutes=minutes)


def _document(draw: random.Random, number: int) -> Row:
    topic, status = draw.choice(_TOPICS), _STATUSES[number % len(_STATUSES)]
    done = status is ProcessingStatus.COMPLETED
    return {
        "id": number,
        "filename": f"{topic}-{number}.pdf",
        "original_filename": f"{topic} {number}.pdf",
        "file_path": f"uploads/{topic}-{number}.pdf",
        "file_size": draw.randrange(10_000, 5_000_000),
        "file_type": "application/pdf",
        "scope": Scope.COMPANY.value,
        "processing_status": status.value,
        "is_processed": done,
        "summary": f"What there is to know of {topic}." if done else None,
        "keywords": [topic] if done else None,
        "topics": [topic] if done else None,
        "content_type": "report" if done else None,
        "uploaded_at": _at(number),
        "processed_at": _at(number + 5) if done else None,
    }


def _chunk(place: int, ready: Sequence[int]) -> Row:
    half, document = place % 2, ready[place // 2]
    content = f"Part {half + 1} of what document {document} says."
    return {"id": place + 1, "document_id": document, "chunk_index": half, "content": content, "token_count": 9}


def _talk(number: int) -> Row:
    at = _at(60 * number)
    named = {"id": number, "title": f"Question {number}", "llm_provider": Provider.CUSTOM.value}
    return {**named, "created_at": at, "updated_at": at}


def _message(draw: random.Random, number: int, talk: Row) -> Row:
    answers = number % 2 == 0
    confidence = round(draw.uniform(0.3, 1.0), 2) if answers else None
    counts = {"prompt_tokens": draw.randrange(100, 4000), "completion_tokens": draw.randrange(20, 600)}
    return {
        "id": number,
        "conversation_id": talk["id"],
        "role": (MessageRole.ASSISTANT if answers else MessageRole.USER).value,
        "content": f"About {draw.randrange(10, 90)} %." if answers else "How much of our power is renewable?",
        "confidence": confidence,
        "low_confidence_warning": answers and (confidence or 0) < 0.5,
        "token_usage": {**counts, "total_tokens": sum(counts.values())} if answers else None,
        "timestamp": talk["created_at"] + datetime.timedelta(seconds=30 * (number % 2 == 0)),
    }


def _log(draw: random.Random, number: int, answers: Sequence[Row]) -> Row:
    answer, (agent, operation) = answers[(number - 1) // len(_AGENTS)], _AGENTS[(number - 1) % len(_AGENTS)]
    return {
        "id": number,
        "agent_type": agent,
        "operation": operation,
        "confidence": round(draw.uniform(0.5, 1.0), 2),
        "execution_time_ms": round(draw.uniform(5, 400), 1),
        "message_id": answer["id"],
        "created_at": answer["timestamp"],
    }


def _usage(number: int, answer: Row) -> Row:
    counts = answer["token_usage"]
    call = Call(Provider.CUSTOM, "DeepSeek-V3", counts["prompt_tokens"], counts["completion_tokens"])
    return _call_row(number, call, at=answer["timestamp"], operation_id=str(answer["id"]))


def _call_row(number: int, call: Call, *, at: datetime.datetime, operation_id: str | None) -> Row:
    return {
        "id": number,
        "operation_type": Operation.CHAT.value,
        "operation_id": operation_id,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "estimated_cost": Meter().cost(call),
        "llm_provider": str(call.provider),
        "model_name": call.model,
        "created_at": at,
    }


def _profile(draw: random.Random, number: int) -> Row:
    return {
        "id": 1,
        "industry": _INDUSTRIES[(number - 1) % len(_INDUSTRIES)],
        "location": draw.choice(("Pune", "Porto", "Perth")),
        "target_year": 2030 + draw.randrange(15),
        "renewable_percentage_increase": float(draw.randrange(5, 40)),
        "budget": float(draw.randrange(100_000, 2_000_000)),
        "total_consumption_kwh": float(draw.randrange(10_000, 900_000)),
        "current_renewable_percentage": float(draw.randrange(5, 80)),
        "onboarding_completed": True,
        "created_at": _BEGINNING,
        "updated_at": _BEGINNING,
    }


def _report(number: int) -> Row:
    return {
        "id": number,
        "report_id": f"report-{number}",
        "report_type": "energy_mix",
        "report_data": {"renewable": number / 100},
        "title": f"Energy mix {number}",
        "tags": ["sample"],
        "generated_at": _at(1000 + number),
        "saved_at": _at(1001 + number),
    }


def _talked(talks: Sequence[Any]) -> dict[type, Sequence[Row]]:
    conversations, messages = [], []
    numbers = itertools.count(1)
    for number, talk in enumerate(talks, 1):
        at = _at(10 * number)
        named = {"id": number, "title": talk["id"], "llm_provider": Provider.CUSTOM.value}
        conversations.append({**named, "created_at": at, "updated_at": at})
        for place, (speaker, said, mood) in enumerate(talk["turns"]):
            messages.append(
                {
                    "id": next(numbers),
                    "conversation_id": number,
                    "role": (MessageRole.USER if speaker == "agent_1" else MessageRole.ASSISTANT).value,
                    "content": said or "…",
                    "reasoning_chain": [{"mood": mood}],
                    "timestamp": at + datetime.timedelta(seconds=20 * place),
                }
            )
    return {Conversation: conversations, Message: messages}


def _used(trace: Path, model: str) -> list[Row]:
    found = []
    for number, line in enumerate(csv.DictReader(_lines(trace)), 1):
        call = Call(Provider.CUSTOM, model.lower(), int(line["ContextTokens"]), int(line["GeneratedTokens"]))
        # The log has a digit more than a microsecond.
        at = datetime.datetime.fromisoformat(line["TIMESTAMP"][:26]).replace(tzinfo=datetime.UTC)
        found.append(_call_row(number, call, at=at, operation_id=None))
    return found


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from lines
