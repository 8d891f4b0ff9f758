"""Chroma itself, in this process: a tenant's vectors are in a collection of its own, whatever a search asks for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings

from tenantry import Tenancy
from tenantry.archive import Archive, Erasing, KeyRing
from tenantry.errors import ConfigurationError, SearchRefused
from tenantry.outbox import Outbox, Relay
from tenantry.vectors import Mirror, Mirroring, Vectors
from tenantry.vectors.chroma import ChromaStore

from .toys import DIMENSIONS, Base, Ticket, Words, told


@pytest.fixture(scope="module")
def client() -> Any:
    return chromadb.EphemeralClient(Settings(anonymized_telemetry=False))


class Hall:
    """Two tenants whose tickets are mirrored in Chroma."""

    def __init__(self, directory: Path, client: Any) -> None:
        self.client = client
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=Base)
        self.outbox = Outbox(self.tenancy)
        store = ChromaStore(client, "tickets")
        self.vectors = Vectors(self.tenancy, "tickets", embedder=Words(), store=store)
        self.mirror = Mirror(
            self.vectors, self.outbox, Ticket, text=told, metadata=lambda row: {"to": row.priority, "deep": {"a": [1]}}
        )
        self.tenancy.install(create_tables=True)
        for slug in ("near", "far"):
            self.tenancy.tenants.create(slug)

    def add(self, slug: str, *subjects: str) -> None:
        with self.tenancy.transaction(slug) as session:
            session.add_all([Ticket(subject=subject) for subject in subjects])
        Relay(self.outbox).deliver(slug)

    def found(self, slug: str, wanted: Any, **options: Any) -> list[Any]:
        with self.tenancy.session(slug) as session:
            return self.vectors.search(session, wanted, **options)


@pytest.fixture
def hall(tmp_path: Path, client: Any) -> Iterator[Hall]:
    hall = Hall(tmp_path / "data", client)
    yield hall
    hall.tenancy.close()
    for collection in client.list_collections():
        client.delete_collection(collection.name)


def test_rows_are_found_with_their_metadata_and_the_cosine(hall: Hall) -> None:
    hall.add("near", "no paper", "wrong invoice", "paper paper")
    hits = hall.found("near", "no paper", limit=2, where={"to": [1, 2]})
    assert [hit.metadata for hit in hits] == [{"to": 1, "deep": {"a": [1]}}] * 2
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert hits[0].score > hits[1].score > 0.5
    assert hall.found("near", "no paper", where={"to": 7}) == []


def test_no_search_leads_into_another_tenants_collection(hall: Hall) -> None:
    hall.add("far", *(f"paper {number}" for number in range(20)))
    far = hall.tenancy.tenants.get("far").id
    assert hall.found("near", "paper 1") == []
    hall.add("near", "invoice")
    for where in ({}, {"to": 1}, {"tenant_id": str(far)}, {"tenant_id": [far.hex, str(far)]}):
        assert len(hall.found("near", "paper 1", limit=50, where=where)) == (not where or "to" in where)
    for name in ("$or", "$and", "tenantry.hash", "#document", "chroma:document"):
        with pytest.raises(SearchRefused):
            hall.found("near", "paper 1", where={name: "x"})
    for value in (None, {"$ne": 5}, [1, "x"], 2**63):
        with pytest.raises(SearchRefused):
            hall.found("near", "paper 1", where={"to": value})
    with hall.tenancy.session("near") as session:
        assert len(hall.vectors.known(session)) == 1
        with hall.tenancy.session("far") as far_session:
            theirs = list(hall.vectors.known(far_session))
        assert hall.vectors.known(session, theirs) == {}
        hall.vectors.delete(session, theirs)
    assert len(hall.found("far", "paper", limit=50)) == 20


def test_changed_and_deleted_rows_are_followed(hall: Hall) -> None:
    hall.add("near", "paper", "invoice")
    with hall.tenancy.transaction("near") as session:
        first, second = (session.get_one(Ticket, uuid.UUID(hit.key)) for hit in hall.found("near", "paper"))
        first.subject = "the mail"
        session.delete(second)
    Relay(hall.outbox).deliver("near")
    (hit,) = hall.found("near", "the mail")
    assert hit.score == pytest.approx(1.0, abs=1e-5)
    assert hall.mirror.refresh("near") == Mirroring()
    hall.client.delete_collection(f"tickets-{hall.tenancy.tenants.get('near').id.hex}")
    assert hall.mirror.refresh("near") == Mirroring(put=1)


def test_an_erased_tenant_is_gone_from_it_by_certificate(hall: Hall, tmp_path: Path) -> None:
    hall.add("near", "paper", "invoice")
    hall.add("far", "paper")
    gone, left = (hall.tenancy.tenants.get(slug).id for slug in ("near", "far"))
    erasing = Erasing(
        Archive(hall.tenancy, tmp_path / "archives", keys=KeyRing({"one": b"k" * 32}, "one")), copies=[hall.mirror]
    )
    assert erasing.tenant("near", confirm="near").clean
    assert [collection.name for collection in hall.client.list_collections()] == [f"tickets-{left.hex}"]
    assert hall.mirror.forget(gone, None) == 0


def test_a_name_that_chroma_would_not_take_is_refused(client: Any) -> None:
    for name in ("", "a b", "-a", "A", "x" * 63):
        with pytest.raises(ConfigurationError):
            ChromaStore(client, name)


def test_metadata_that_chroma_would_not_take_are_kept_whole_all_the_same(hall: Hall) -> None:
    odd = {"": 1, "$ne": 1, "#document": "x", "chroma:document": "x", "tenantry.hash": "x", "tenantry.metadata": "{}"}
    with hall.tenancy.session("near") as session:
        hall.vectors.put(session, {"one": [1.0] * DIMENSIONS}, metadata={"one": {**odd, "plain": 1}})
        (hit,) = hall.vectors.search(session, [1.0] * DIMENSIONS, where={"plain": 1})
        assert hit.metadata == {**odd, "plain": 1}
        assert hall.vectors.put(session, {"one": [1.0] * DIMENSIONS}, metadata={"one": {**odd, "plain": 1}}) == 0


def test_vectors_of_the_right_size_go_in_by_hand(hall: Hall) -> None:
    with hall.tenancy.session("near") as session:
        hall.vectors.put(session, {"one": [1.0] * DIMENSIONS, "two": [1.0, -1.0] * (DIMENSIONS // 2)})
        assert hall.vectors.put(session, {"one": [2.0] * DIMENSIONS}) == 0
        assert [hit.key for hit in hall.vectors.search(session, [3.0] * DIMENSIONS)] == ["one", "two"]
        hall.vectors.delete(session, [])
        assert hall.vectors.known(session, []) == {}
