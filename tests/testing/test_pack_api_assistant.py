"""The suite for APIs finds nothing in the API of the assistant, whose callers have logged in to their companies."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.access import Passwords
from tenantry.packs.assistant import (
    PUBLIC,
    Assistant,
    AssistantBase,
    CompanyCard,
    Document,
    DocumentChunk,
    Piece,
    router,
)
from tenantry.testing.apps import Caller, leaks_of
from tenantry.web import application

from .serving import SIDES, installed

pytestmark = pytest.mark.soak

PLACES = ("postgresql-database", "postgresql-rows", "sqlite-database", "sqlite-rows")
PASSWORD = uuid.uuid4().hex
# Whoever is of a company is refused there: test_http.py tries these, and who may.
PLATFORMS = "/admin/"
# It ends the token that the callers go on with: test_http.py tries it.
ENDING = "/auth/logout"


class Letters:
    """Counts letters, so that texts of like words are near."""

    dimensions = 26
    model = "letters"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[text.count(chr(97 + place)) + 0.01 for place in range(26)] for text in texts]


@pytest.fixture(params=PLACES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    engine, _, isolation = request.param.partition("-")
    tables = set(AssistantBase.metadata.tables)
    tenancy = Tenancy("postgresql://app@production.invalid/assistant", models=AssistantBase)
    pack = Assistant(tenancy, embedder=Letters(), passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
    with installed(engine, tenancy, postgres, tmp_path):
        pack.prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": PASSWORD})
        pack.library.publish("law.pdf", pieces=[Piece("everybody's")])
        callers = [_caller(pack, side, isolation) for side in SIDES]
        access = pack.access
        options: dict[str, Any] = {"tokens": access.tokens, "access": access, "public": PUBLIC}
        yield application(tenancy, [router(pack)], title="Assistant", **options), callers
    # Other tests compare the pack's tables with its history.
    for name in set(AssistantBase.metadata.tables) - tables:
        AssistantBase.metadata.remove(AssistantBase.metadata.tables[name])


def _caller(pack: Assistant, side: str, isolation: str) -> Caller:
    made = pack.companies.create(f"{side} {secrets.token_hex(4)}", isolation=isolation)
    assert made.tenant is not None
    for name in (side, f"{side}-leaver"):
        told = {"email": f"{name}@x.example", "password": PASSWORD, "role": "admin", "company_id": made.id}
        pack.on_platform(lambda db, name=name, told=told: pack.users.create(db, name, **told))
    first, second = (pack.log_in(name, PASSWORD) for name in (side, side))
    _shelve(pack, made)
    leaver = {"username": f"{side}-leaver", "password": PASSWORD}
    bodies = {
        "POST /auth/login": {"username": side, "password": PASSWORD},
        "POST /auth/refresh": {"refresh_token": second.refresh},
        "POST /auth/password": {**leaver, "new_password": "{mark}-{mark}"},
        "POST /users": {"username": "{mark}", "email": "{mark}@x.example", "password": PASSWORD, "role": "viewer"},
        "PATCH /users/{username}": {"role": "viewer"},
        "PUT /profile": {"industry": "{mark}"},
        "PATCH /me": {"preferred_llm": "ollama"},
    }
    names = [made.name, made.tenant.slug, str(made.tenant.id)]
    ids = {"username": [f"{side}-leaver"]}
    return Caller({"Authorization": f"Bearer {first.access}"}, names, ids, bodies)


def _shelve(pack: Assistant, company: CompanyCard) -> None:
    """Adds a document that can be found by what it means: no route puts vectors away."""
    assert pack.retrieval is not None
    with pack.tenancy.transaction(pack.companies.key(company.id)) as db:
        name = f"of {company.name}"
        document = Document(filename=name, original_filename=name, file_path=name, scope="company")
        document.chunks = [DocumentChunk(chunk_index=0, content=f"wind {name}")]
        db.add(document)
        db.flush()
        pack.retrieval.index(db, document.id)


def test_nothing_is_found_in_the_assistant(served: tuple[Any, list[Caller]]) -> None:
    app, (near, far) = served
    told = app.openapi()
    left = {path: each for path, each in told["paths"].items() if path != ENDING and not path.startswith(PLATFORMS)}
    assert leaks_of(app, a=near, b=far, description={**told, "paths": left}) == []
