"""Samples in every cell: all rows in, in an order that the keys allow, once, and the next number free."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cells import CELLS, SYNC_PLACES, Ground, Place, opened
from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.errors import ConfigurationError
from tenantry.models import Platform, SoftDelete, TenantOwned, TenantRecord
from tenantry.samples import BATCH, Sample, load, load_all, tenant_of


class Base(DeclarativeBase):
    pass


class Library(TenantRecord, Base):
    __tablename__ = "libraries"
    name: Mapped[str]


class Shelf(TenantOwned, Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    above: Mapped[int | None] = mapped_column(ForeignKey("shelves.id"))
    label: Mapped[str] = mapped_column(unique=True)


class Book(TenantOwned, SoftDelete, Base):
    __tablename__ = "books"
    title: Mapped[str]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    current_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("editions.id"))


class Edition(TenantOwned, Base):
    __tablename__ = "editions"
    book_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("books.id"))
    number: Mapped[int]


class Reader(TenantOwned, Base):
    __tablename__ = "readers"
    __table_args__ = (UniqueConstraint("card", "branch"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    card: Mapped[str]
    branch: Mapped[str]


class Publisher(Platform, Base):
    __tablename__ = "publishers"
    id: Mapped[int] = mapped_column(primary_key=True)


NAMES = uuid.UUID("7f0b7f0e-54a4-4f3c-9f8a-0d5d8a1c9b10")
SHELVES = [{"id": 1, "label": "top"}, {"id": 7, "label": "below", "above": 1}]


def identifier(name: str) -> uuid.UUID:
    return uuid.uuid5(NAMES, name)


def library(slug: str, *, books: int = 3, **place: Any) -> Sample:
    # The referring come first here, and two tables refer to each other.
    editions = [{"id": identifier(f"e{n}"), "book_id": identifier(f"b{n}"), "number": n} for n in range(books)]
    volumes = [
        {"id": identifier(f"b{n}"), "title": f"Book {n}", "shelf_id": 7, "current_id": identifier(f"e{n}")}
        for n in range(books)
    ]
    readers = [{"card": f"{n}", "branch": "north"} for n in range(books)]
    rows = {Edition: editions, Book: volumes, Reader: readers, Shelf: SHELVES}
    return Sample(slug, slug.title(), record={"name": slug}, identities=[("library", slug)], rows=rows, **place)


@pytest.fixture(scope="module")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("samples"), Base, lambda _: None) as ground:
        yield ground


@pytest.fixture(params=SYNC_PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def fresh(ground: Ground, place: Place) -> Iterator[tuple[Tenancy, Sample]]:
    """A tenancy and a sample whose tenant is not there yet."""
    tenancy, slug = ground.tenancy(place), f"lib-{uuid.uuid4().hex[:8]}"
    yield tenancy, library(slug, isolation=CELLS[place.cell])
    tenancy.tenants.erase(slug, confirm=slug)


def counted(db: Any) -> list[int]:
    return [db.scalar(select(func.count()).select_from(model)) for model in (Library, Shelf, Book, Edition, Reader)]


def test_a_tenant_is_made_and_filled_and_the_neighbour_is_not(fresh: Any, ground: Ground, place: Place) -> None:
    tenancy, sample = fresh
    heard: list[int] = []
    assert load(tenancy, sample, told=heard.append) == sample.size == sum(heard) == 11
    assert tenancy.tenants.get(("library", sample.slug)).name == sample.name
    with tenancy.session(sample.slug) as db:
        assert counted(db) == [1, 2, 3, 3, 3]
        book = db.get_one(Book, identifier("b1"))
        assert (book.title, book.shelf_id, book.current_id) == ("Book 1", 7, identifier("e1"))
    with ground.session(place) as neighbour:
        assert neighbour.run(counted) == [0, 0, 0, 0, 0]


def test_a_second_load_adds_nothing_and_changes_nothing(fresh: Any) -> None:
    tenancy, sample = fresh
    load(tenancy, sample)
    with tenancy.transaction(sample.slug) as db:
        db.get_one(Book, identifier("b0")).title = "Renamed"
        db.get_one(Book, identifier("b0")).current_id = identifier("e2")
        db.get_one(Book, identifier("b2")).soft_delete(db)
    heard: list[int] = []
    assert load(tenancy, sample, told=heard.append) == 0
    assert sum(heard) == sample.size
    with tenancy.session(sample.slug) as db:
        assert counted(db) == [1, 2, 2, 3, 3]
        renamed = db.get_one(Book, identifier("b0"))
        assert (renamed.title, renamed.current_id) == ("Renamed", identifier("e2"))


def test_what_was_interrupted_is_finished(fresh: Any) -> None:
    tenancy, sample = fresh
    tenant_of(tenancy, sample)
    half = replace(sample, rows={Shelf: SHELVES[:1], Reader: sample.rows[Reader][:1]})
    assert load(tenancy, half) == 2
    assert load(tenancy, sample) == sample.size - 2
    with tenancy.session(sample.slug) as db:
        assert counted(db) == [1, 2, 3, 3, 3]


def test_new_rows_are_numbered_behind_the_given_ones(fresh: Any) -> None:
    tenancy, sample = fresh
    load(tenancy, sample)
    with tenancy.transaction(sample.slug) as db:
        db.add_all([Shelf(label="new"), Reader(card="new", branch="north")])
    with tenancy.session(sample.slug) as db:
        assert db.scalars(select(Shelf.id).filter_by(label="new")).one() > 7
        assert counted(db) == [1, 3, 3, 3, 4]


def test_more_than_a_batch_comes_in_several(ground: Ground) -> None:
    place = Place("postgresql-rows", "sync")
    tenancy = ground.tenancy(place)
    samples = [library(f"many-{number}", books=BATCH + 1, isolation="rows") for number in range(2)]
    heard: list[int] = []
    assert load_all(tenancy, samples, told=heard.append, jobs=2) == sum(sample.size for sample in samples) == sum(heard)
    assert max(heard) == BATCH
    for sample in samples:
        with tenancy.session(sample.slug) as db:
            assert counted(db) == [1, 2, BATCH + 1, BATCH + 1, BATCH + 1]


def test_an_interruption_ends_after_the_batch(ground: Ground) -> None:
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    samples = [library(f"stopped-{number}", books=BATCH, isolation="rows") for number in range(3)]

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_all(tenancy, samples, told=interrupt, jobs=1)
    with tenancy.session("stopped-0") as db:
        assert counted(db) == [1, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ({Edition: [{"number": 1}]}, "lack what they could be known by"),
        ({Shelf: [{"id": 1, "label": "a"}, {"label": None}]}, "lack what they could be known by"),
        ({Publisher: [{"id": 1}]}, "which no tenant owns"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_a_tenant_is_made(ground: Ground, rows: Any, match: str) -> None:
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    with pytest.raises(ConfigurationError, match=match):
        load(tenancy, Sample("refused", "Refused", record={"name": "x"}, rows=rows))
    with pytest.raises(LookupError):
        tenancy.tenants.get("refused")
