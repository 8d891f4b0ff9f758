"""Chunks found by what they mean: of documents that a user may read, of one company."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.access import Passwords
from tenantry.packs.assistant import (
    PUBLIC,
    Assistant,
    AssistantBase,
    ChunkRepository,
    Document,
    DocumentChunk,
    router,
)
from tenantry.web import application

WORDS = ("wind", "sun", "water")
ANN, BOB = 101, 102
PASSWORD = uuid.uuid4().hex


class Counting:
    """Makes vectors of how often a text holds each of three words."""

    model = "counting"
    dimensions = 4

    def embed(self, texts: Sequence[str], /) -> list[list[float]]:
        return [[float(text.count(word)) for word in WORDS] + [0.1] for text in texts]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    # A table of vectors is the models' from now on: it has none of the other tests' tenancies.
    tables = dict(AssistantBase.metadata.tables)
    tenancy = Tenancy(f"sqlite:///{tmp_path_factory.mktemp('retrieval')}", models=AssistantBase)
    found = Assistant(tenancy, embedder=Counting(), passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
    tenancy.install(create_tables=True)
    for number in (1, 2):
        found.companies.create(f"Company {number}")
        with tenancy.transaction(found.companies.key(number)) as db:
            for name, scope, owner in (("all", "company", ANN), ("ann's", "user", ANN), ("bob's", "user", BOB)):
                document = Document(filename=name, original_filename=name, file_path=name, scope=scope, user_id=owner)
                pieces = [f"wind of {name} {number}", f"sun sun of {name} {number}"]
                document.chunks = [DocumentChunk(chunk_index=place, content=text) for place, text in enumerate(pieces)]
                db.add(document)
    yield found
    tenancy.close()
    for name in set(AssistantBase.metadata.tables) - set(tables):
        AssistantBase.metadata.remove(AssistantBase.metadata.tables[name])


@pytest.mark.ledger("S3-026", "S3-M07.1")
def test_the_nearest_chunks_that_a_user_may_read(pack: Assistant) -> None:
    retrieval = pack.retrieval
    assert retrieval is not None
    with pack.tenancy.transaction(("company", "1")) as db:
        numbers = {row.filename: row.id for row in db.query(Document)}
        assert [retrieval.index(db, number) for number in numbers.values()] == [2, 2, 2]
        assert retrieval.index(db, numbers["all"]) == 0
        found = retrieval.search(db, "wind", user_id=ANN)
        assert {each.chunk.document.filename for each in found} == {"all", "ann's"}
        assert [each.chunk.content[:4] for each in found][:2] == ["wind", "wind"]
        assert found[0].score > found[-1].score
        only = retrieval.search(db, [0.0, 1.0, 0.0, 0.0], user_id=BOB, document_ids=[numbers["bob's"]], limit=1)
        assert [each.chunk.content for each in only] == ["sun sun of bob's 1"]
        chunks = ChunkRepository(db).of_document(numbers["all"])
        assert [chunk.embedding_id for chunk in chunks] == [f"chunk-{chunk.id}" for chunk in chunks]
    with pack.tenancy.session(("company", "2")) as db:
        assert retrieval.search(db, "wind", user_id=ANN) == []
    with pack.tenancy.session(("company", "1")) as db:
        # Who may read it says the document, and not what was known when its vectors were made.
        db.get_one(Document, numbers["all"]).scope = "user"
        assert {each.chunk.document.filename for each in retrieval.search(db, "wind", user_id=BOB)} == {"bob's"}
        db.get_one(Document, numbers["bob's"]).uploaded_by_id = ANN
        assert retrieval.search(db, "wind", user_id=BOB) == []


@pytest.mark.ledger("S3-026")
def test_a_document_that_goes_takes_its_vectors_along(pack: Assistant) -> None:
    retrieval = pack.retrieval
    assert retrieval is not None

    async def work() -> list[str]:
        async with pack.tenancy.aio.session(("company", "2")) as db:
            document = await db.run_sync(lambda session: session.query(Document).filter_by(filename="all").one())
            assert await retrieval.aio.index(db, document.id) == 2
            assert len(await retrieval.aio.search(db, "wind", user_id=ANN)) == 2
            await retrieval.aio.forget(db, document)
            found = await retrieval.aio.search(db, "wind", user_id=ANN)
        await pack.tenancy.aio.close()
        return [each.chunk.content for each in found]

    assert asyncio.run(work()) == []


def kept(pack: Assistant) -> int:
    """Returns how many vectors the first company has."""
    with pack.tenancy.session(("company", "1")) as db:
        vectors = AssistantBase.metadata.tables["document_chunk_vectors"]
        return db.scalar(select(func.count()).select_from(vectors)) or 0


@pytest.mark.ledger("S3-026")
def test_a_question_over_http(pack: Assistant) -> None:
    access, retrieval = pack.access, pack.retrieval
    assert retrieval is not None
    pack.prepare({"TENANTRY_ADMIN_PASSWORD": PASSWORD})
    told = {"email": "v@x", "password": PASSWORD, "role": "viewer", "company_id": 1}
    pack.on_platform(lambda session: pack.users.create(session, "vic", **told))
    with pack.tenancy.transaction(("company", "1")) as db:
        for document in db.query(Document):
            retrieval.index(db, document.id)
    app = application(
        pack.tenancy, [router(pack)], tokens=access.tokens, access=access, title="Assistant", public=PUBLIC
    )
    with TestClient(app) as client:
        token = client.post("/auth/login", json={"username": "vic", "password": PASSWORD}).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        found = client.get("/search", params={"q": "sun"}, headers=headers).json()
        # Vic may read the company's documents, and nobody's own.
        assert [(each["filename"], each["chunk"]["content"]) for each in found] == [
            ("all", "sun sun of all 1"),
            ("all", "wind of all 1"),
        ]
        assert found[0]["score"] > found[1]["score"]
        pack.on_platform(lambda session: pack.users.change(session, "vic", role="admin"))
        number = found[0]["chunk"]["document_id"]
        assert kept(pack) == 6
        for step, told in (("begin", {}), ("fail", {"reason": "lost"}), ("again", {})):
            assert client.post(f"/documents/{number}/{step}", json=told, headers=headers).status_code == 200
        # Its pieces are gone, and so are their vectors.
        assert client.get("/search", params={"q": "sun"}, headers=headers).json() == []
        assert kept(pack) == 4
        assert client.get("/search", params={"q": ""}, headers=headers).status_code == 422
        assert client.get("/search", params={"q": "sun"}).status_code == 401
