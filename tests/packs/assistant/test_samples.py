"""Samples of the assistant: the same rows every time, loaded once; real logs where they are given."""

from __future__ import annotations

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.access import Passwords
from tenantry.errors import ConfigurationError
from tenantry.packs.assistant import (
    Assistant,
    AssistantBase,
    Conversation,
    Document,
    DocumentRepository,
    Message,
    Profile,
    TokenUsage,
    TokenUsageRepository,
)
from tenantry.packs.assistant.samples import generated, read
from tenantry.samples import load

TALK = {"id": "t-1", "turns": [["agent_1", "Do you like wind?", "Neutral"], ["agent_2", "", "Happy"]]}
TRACE = [("2023-11-16 18:15:46.6805900", 374, 44), ("2023-11-16 18:15:50.9951690", 396, 109)]


def opened(directory: Path) -> Assistant:
    tenancy = Tenancy(f"sqlite:///{directory}", models=AssistantBase)
    pack = Assistant(tenancy, passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
    tenancy.install(create_tables=True)
    return pack


def test_made_up_companies_are_the_same_every_time_and_loaded_once(tmp_path: Path) -> None:
    pack, samples = opened(tmp_path), generated(tenants=2, rows=24)
    assert samples == generated(tenants=2, rows=24)
    assert [load(pack.tenancy, sample) for sample in samples] == [sample.size for sample in samples]
    assert [load(pack.tenancy, sample) for sample in samples] == [0, 0]
    assert pack.prepare({"TENANTRY_ADMIN_PASSWORD": "a password of some length"}) is not None
    assert [(company.id, company.name) for company in pack.companies.list()] == [(1, "ITeS 1"), (2, "Manufacturing 2")]
    assert pack.companies.register() == 0
    with pack.tenancy.transaction(("company", "2")) as db:
        assert {
            row.company_id
            for model in (Document, Conversation, TokenUsage, Profile)
            for row in db.scalars(select(model))
        } == {2}
        total = TokenUsageRepository(db).total()
        assert total.cost == db.scalar(select(func.sum(TokenUsage.estimated_cost))) > 0
        # Numbers go on after the samples' own.
        highest = db.scalar(select(func.max(Document.id))) or 0
        new = DocumentRepository(db).create(filename="n", original_filename="n", file_path="n")
        assert new.id == highest + 1
    pack.tenancy.close()


def test_real_logs_become_usage_and_conversations(tmp_path: Path) -> None:
    where = tmp_path / "data" / "chat"
    where.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="chat"):
        read(tmp_path / "data")
    with gzip.open(where / "topical_chat_valid_freq.jsonl.gz", "wt") as file:
        file.write(json.dumps(TALK) + "\n" + json.dumps({**TALK, "id": "t-2"}) + "\n")
    for name in ("conv", "code"):
        with gzip.open(where / f"azure_llm_trace_{name}.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows([("TIMESTAMP", "ContextTokens", "GeneratedTokens"), *TRACE])
    pack = opened(tmp_path / "rows")
    assert [load(pack.tenancy, sample) for sample in read(tmp_path / "data")] == [5, 5]
    with pack.tenancy.session(("company", "1")) as db:
        total = TokenUsageRepository(db).total()
        assert (total.requests, total.prompt_tokens, total.completion_tokens) == (2, 770, 153)
        assert total.cost == Decimal("0.010760")
        assert db.scalar(select(func.min(TokenUsage.created_at))).isoformat() == "2023-11-16T18:15:46.680590+00:00"  # type: ignore[union-attr]
        assert db.scalars(select(Conversation.title)).all() == ["t-1"]
        said = db.scalars(select(Message).order_by(Message.id)).all()
        assert [(row.role, row.content) for row in said] == [("user", "Do you like wind?"), ("assistant", "…")]
    pack.tenancy.close()
