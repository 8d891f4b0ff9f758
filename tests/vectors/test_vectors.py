"""Put, found, replaced and deleted in every cell, through both doors, whatever compares: pgvector, its index, numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Door, Ground, Place

from tenantry.errors import ConfigurationError, PayloadRefused, SearchRefused, VectorRefused
from tenantry.vectors import Hit, Vectors

from .toys import DIMENSIONS, Words

KINDS = ("exact", "indexed", "plain")
TEXTS = {
    "login": "the customer cannot log in",
    "printer": "the printer prints nothing",
    "invoice": "the invoice shows a wrong amount",
    "paper": "no paper in the printer",
    "mail": "mail arrives twice",
}
METADATA: dict[str, dict[str, Any]] = {
    "login": {"page": 1, "kind": "ticket", "open": True},
    "printer": {"page": 2, "kind": "note", "open": False, "tags": ["a"]},
    "invoice": {"page": 1.0, "kind": "ticket", "open": 1, "owner": None},
    "paper": {"page": "1", "kind": "ünï \"x\" \\ 'y'"},
}


SYNC = [(place, kind) for place in SYNC_PLACES for kind in KINDS]
# What compares is the same behind every door.
CELLS = [*SYNC, *((place, "exact") for place in PLACES if place not in SYNC_PLACES)]
BOTH = [(SYNC_PLACES[0], "exact"), (SYNC_PLACES[3], "exact")]


def shown(cell: tuple[Place, str]) -> str:
    return f"{cell[0]}-{cell[1]}"


@pytest.fixture(params=CELLS, ids=shown)
def cell(request: pytest.FixtureRequest) -> tuple[Place, str]:
    found: tuple[Place, str] = request.param
    return found


@pytest.fixture
def place(cell: tuple[Place, str]) -> Place:
    return cell[0]


@pytest.fixture
def vectors(ground: Ground, cell: tuple[Place, str]) -> Vectors:
    found: Vectors = ground.made(cell[0]).by_kind[cell[1]]
    return found


@pytest.fixture
def door(ground: Ground, place: Place) -> Iterator[Door]:
    with ground.session(place) as door:
        yield door


def keys(hits: list[Hit]) -> list[str]:
    return [hit.key for hit in hits]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(map(float.__mul__, one, other)) / math.hypot(*one) / math.hypot(*other)


def test_the_nearest_come_first_with_their_cosine(vectors: Vectors, door: Door) -> None:
    assert door.call(vectors.put, TEXTS, metadata=METADATA) == len(TEXTS)

    hits = door.call(vectors.search, "printer paper", limit=3)

    words = Words()
    wanted = {key: cosine(words.vector("printer paper"), words.vector(text)) for key, text in TEXTS.items()}
    assert keys(hits) == sorted(wanted, key=lambda key: -wanted[key])[:3]
    for hit in hits:
        assert hit.score == pytest.approx(wanted[hit.key], abs=1e-5)
        assert hit.metadata == METADATA.get(hit.key, {})


def test_nothing_of_another_tenant_is_found_counted_or_replaced(
    vectors: Vectors, door: Door, ground: Ground, place: Place
) -> None:
    with ground.session(place, "far") as far:
        far.call(vectors.put, {**TEXTS, "secret": "printer paper printer paper"})
        far.commit()
    try:
        door.call(vectors.put, {"mine": "mail", "login": "other words here"})
        assert set(keys(door.call(vectors.search, "printer paper", limit=50))) == {"mine", "login"}
        assert set(door.call(vectors.known)) == {"mine", "login"}
        door.call(vectors.delete, ["secret", "printer"])
        door.commit()
        with ground.session(place, "far") as far:
            assert set(far.call(vectors.known)) == {*TEXTS, "secret"}
            assert keys(far.call(vectors.search, TEXTS["login"], limit=1)) == ["login"]
    finally:
        for side in ("near", "far"):
            with ground.session(place, side) as again:
                again.call(vectors.delete, [*TEXTS, "secret", "mine"])
                again.commit()


NARROWED: list[tuple[dict[str, Any], set[str]]] = [
    ({"page": 1}, {"login", "invoice"}),
    ({"page": 1.0, "kind": "ticket"}, {"login", "invoice"}),
    ({"page": "1"}, {"paper"}),
    ({"page": [2, "1"]}, {"printer", "paper"}),
    ({"open": True}, {"login"}),
    ({"open": 1}, {"invoice"}),
    ({"open": False}, {"printer"}),
    ({"owner": None}, {"invoice"}),
    ({"kind": METADATA["paper"]["kind"]}, {"paper"}),
    ({"tags": "a"}, set()),
    ({"missing": [None, 1]}, set()),
]


def test_a_search_is_narrowed_by_metadata(vectors: Vectors, door: Door) -> None:
    door.call(vectors.put, TEXTS, metadata=METADATA)
    found = [set(keys(door.call(vectors.search, "printer", where=where))) for where, _ in NARROWED]
    assert found == [wanted for _, wanted in NARROWED]


def test_what_is_there_just_so_is_not_embedded_again(vectors: Vectors, door: Door, ground: Ground) -> None:
    words = ground.made(door.place).words
    door.call(vectors.put, TEXTS, metadata=METADATA)
    before = len(words.seen)

    assert door.call(vectors.put, TEXTS, metadata=METADATA) == 0
    assert len(words.seen) == before
    changed = {**METADATA, "login": {"page": 9}}
    assert door.call(vectors.put, {**TEXTS, "mail": "the post comes"}, metadata=changed) == 2
    assert keys(door.call(vectors.search, "post", limit=1)) == ["mail"]
    assert keys(door.call(vectors.search, "post", where={"page": 9})) == ["login"]
    assert len(door.call(vectors.known)) == len(TEXTS)


def test_vectors_go_in_and_are_searched_for_as_they_are(vectors: Vectors, door: Door) -> None:
    axes = {f"axis {place}": [float(place == each) * 5 for each in range(DIMENSIONS)] for place in range(6)}
    door.call(vectors.put, axes)

    (hit,) = door.call(vectors.search, [each * 0.5 for each in axes["axis 4"]], limit=1)

    assert (hit.key, hit.score) == ("axis 4", pytest.approx(1.0))
    assert door.call(vectors.put, axes) == 0


def test_they_stand_and_fall_with_the_transaction(vectors: Vectors, door: Door) -> None:
    door.call(vectors.put, TEXTS)
    door.rollback()
    assert door.call(vectors.search, "printer") == []
    assert door.call(vectors.known) == {}


@pytest.mark.parametrize("cell", SYNC, ids=shown, indirect=True)
def test_no_fewer_are_found_than_there_are(vectors: Vectors, door: Door) -> None:
    door.call(vectors.put, {f"number {number}": f"text {number}" for number in range(250)})
    door.call(vectors.delete, [f"number {number}" for number in range(10)])
    assert len(door.call(vectors.search, "text", limit=500)) == 240
    assert door.call(vectors.put, {}) == 0
    assert door.call(vectors.known, []) == {}


NOUGHT = [0.0] * DIMENSIONS
NAN = [math.nan, *NOUGHT[1:]]


@pytest.mark.parametrize(
    ("items", "metadata", "error"),
    [
        ({"short": [1.0]}, {}, VectorRefused),
        ({"nought": NOUGHT}, {}, VectorRefused),
        ({"nan": NAN}, {}, VectorRefused),
        ({"huge": [1e308] * DIMENSIONS}, {}, VectorRefused),
        ({"none": None}, {}, VectorRefused),
        ({"words": ["a"] * DIMENSIONS}, {}, VectorRefused),
        ({"empty": "  "}, {}, VectorRefused),
        ({"": "text"}, {}, VectorRefused),
        ({"x" * 256: "text"}, {}, VectorRefused),
        ({"nul\0": "text"}, {}, VectorRefused),
        ({"one": "text"}, {"two": {}}, VectorRefused),
        ({"one": "text"}, {"one": {"a": {1, 2}}}, PayloadRefused),
        ({"one": "text"}, {"one": {"a": "nul\0"}}, PayloadRefused),
    ],
)
@pytest.mark.parametrize("cell", BOTH, ids=shown, indirect=True)
def test_what_cannot_be_kept_is_refused_whole(
    vectors: Vectors, door: Door, items: dict[str, Any], metadata: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        door.call(vectors.put, {"good": "text", **items}, metadata=metadata)
    assert door.call(vectors.known) == {}


@pytest.mark.parametrize(
    "where",
    [
        {"a": []},
        {"a": {"$ne": 1}},
        {"a": math.inf},
        {"a": "nul\0"},
        {'a"b': 1},
        {"": 1},
        {1: 1},
        {"a": [b"x"]},
        {"a": 2**63},
    ],
)
@pytest.mark.parametrize("cell", BOTH, ids=shown, indirect=True)
def test_what_cannot_be_compared_is_refused(vectors: Vectors, door: Door, where: dict[str, Any]) -> None:
    with pytest.raises(SearchRefused):
        door.call(vectors.search, "text", where=where)


@pytest.mark.parametrize("cell", BOTH, ids=shown, indirect=True)
def test_a_search_wants_a_number_of_hits_and_a_vector_that_fits(vectors: Vectors, door: Door) -> None:
    for limit in (0, -1, 1001):
        with pytest.raises(ConfigurationError):
            door.call(vectors.search, "text", limit=limit)
    with pytest.raises(VectorRefused):
        door.call(vectors.search, [1.0, 2.0])


@pytest.mark.parametrize("cell", BOTH, ids=shown, indirect=True)
def test_more_keys_than_a_statement_takes_are_looked_up_and_deleted(vectors: Vectors, door: Door) -> None:
    door.call(vectors.put, TEXTS)
    many = [*TEXTS, *(f"key {number}" for number in range(70_000))]
    assert set(door.call(vectors.known, many)) == set(TEXTS)
    door.call(vectors.delete, many)
    assert door.call(vectors.known) == {}


def test_one_collection_has_one_number_of_dimensions(ground: Ground) -> None:
    tenancy = ground.tenancy(SYNC_PLACES[0])
    with pytest.raises(ConfigurationError, match="32 dimensions"):
        Vectors(tenancy, "exact", dimensions=16)
    assert Vectors(tenancy, "exact", dimensions=DIMENSIONS).dimensions == DIMENSIONS
    for wrong in ({}, {"dimensions": 0}, {"embedder": Words(), "dimensions": 5}):
        with pytest.raises(ConfigurationError):
            Vectors(tenancy, "exact", **wrong)  # type: ignore[arg-type]  # as a caller may
