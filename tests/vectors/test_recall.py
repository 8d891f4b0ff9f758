"""Real embeddings of many tenants: what is found inside one of them, beside what an exact comparison finds.

`pytest -m soak -s tests/vectors` does it with 20,000 rows of 20 tenants and prints the figures.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import DeclarativeBase

from tenantry import Tenancy
from tenantry.settings import Config
from tenantry.vectors import TableStore, Vectors

from .minilm import MiniLM

WANTED = 0.95
BEST = 10
TENANTS = 20
THINGS = (
    *("the printer", "the invoice", "my password", "the login page", "the mobile app", "the export", "the calendar"),
    *("the search", "a refund", "the delivery", "the newsletter", "the contract", "the dashboard", "the keyboard"),
    *("the backup", "the phone line", "the video call", "my user name", "the discount", "the manual"),
)
TROUBLES = (
    *("shows a wrong amount", "does not load", "was never sent", "is much too slow", "cannot be opened", "has expired"),
    *("is in the wrong language", "appears twice", "was deleted by mistake", "prints empty pages", "asks me again"),
    *("needs an approval", "is missing a page", "lost my changes", "is blocked", "has the wrong date"),
)
MOMENTS = (
    *("since the update", "on Monday", "after I paid", "for all my colleagues", "on my new laptop", "from abroad"),
    *("in the Berlin office", "when it rains", "every morning", "for a customer", "without any message", "again"),
)
QUESTIONS = (
    *("How can I print?", "I forgot my credentials", "money was charged incorrectly", "package has not arrived"),
    *(
        "meeting at the wrong time",
        "slow website",
        "restore lost files",
        "cancel my subscription",
        "phone does not ring",
    ),
    *("translation is wrong", "who has to approve this?", "double entries"),
)
Found = dict[str, list[Any]]


@dataclass
class Figures:
    """What one way of searching came to."""

    recalls: list[float] = field(default_factory=list)
    foreign: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return sum(self.recalls) / len(self.recalls)

    def __str__(self) -> str:
        middle = sorted(self.seconds)[len(self.seconds) // 2] * 1000
        worst = min(self.recalls)
        return (
            f"recall@{BEST} {self.recall:.4f} (worst {worst:.1f}) of {len(self.recalls)} searches, {self.foreign} "
            f"foreign rows, median {middle:.1f} ms"
        )


class Corpus:
    """Sentences of every tenant, many of them others' too, with the vectors that the model makes of them."""

    def __init__(self, *, rows: int, of: int, questions: int) -> None:
        self.model = MiniLM()
        chosen = random.Random(7)
        every = [f"{thing} {trouble} {moment}" for thing in THINGS for trouble in TROUBLES for moment in MOMENTS]
        self.sentences = chosen.sample(every, min(of, len(every)))
        began = time.perf_counter()
        units = np.array(self.model.embed(self.sentences))
        self.seconds = time.perf_counter() - began
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        numbers = range(len(self.sentences))
        self.vectors = {f"tenant-{place}": units[chosen.sample(numbers, rows)] for place in range(TENANTS)}
        asked = np.array(self.model.embed(QUESTIONS[:questions]))
        self.questions = asked / np.linalg.norm(asked, axis=1, keepdims=True)

    def fill(self, tenancy: Tenancy, collections: list[Vectors]) -> None:
        for slug, vectors in self.vectors.items():
            items = {f"{slug}/{number}": vector.tolist() for number, vector in enumerate(vectors)}
            metadata = {key: {"kind": number % 10} for number, key in enumerate(items)}
            tenancy.tenants.create(slug, isolation="rows")
            with tenancy.transaction(slug) as session:
                for collection in collections:
                    assert collection.put(session, items, metadata=metadata) == len(items)

    def measure(self, tenancy: Tenancy, vectors: Vectors, *, kinds: int = 10, forced: bool = False) -> Figures:
        """Asks every question of every tenant; *kinds* of ten are looked at."""
        figures = Figures()
        for slug in self.vectors:
            with tenancy.session(slug, read_only=True) as session:
                for question in self.questions:
                    if forced:
                        session.execute(text("SET LOCAL enable_sort = off"))
                    began = time.perf_counter()
                    where = {} if kinds == 10 else {"kind": list(range(kinds))}
                    hits = vectors.search(session, question.tolist(), limit=BEST, where=where)
                    figures.seconds.append(time.perf_counter() - began)
                    figures.foreign += sum(not hit.key.startswith(f"{slug}/") for hit in hits)
                    figures.recalls.append(self._recall(slug, question, [hit.key for hit in hits], kinds))
        return figures

    def _recall(self, slug: str, question: Any, keys: list[str], kinds: int) -> float:
        scores = self.vectors[slug] @ question
        seen = [number for number in range(len(scores)) if number % 10 < kinds]
        least = sorted((scores[number] for number in seen), reverse=True)[:BEST][-1]
        right = [key for key in keys if scores[int(key.partition("/")[2])] >= least - 1e-6]
        return len(set(right)) / min(BEST, len(seen))


class Library:
    """Both databases, with the collections that are compared."""

    def __init__(self, url: str, directory: Path, corpus: Corpus, extensions: tuple[str, ...]) -> None:
        self.corpus = corpus
        self.postgresql = Tenancy(url, models=_models(), config=Config(extensions=extensions, demote=True))
        self.indexed = Vectors(self.postgresql, "indexed", dimensions=384, exact_up_to=0)
        self.compared = Vectors(self.postgresql, "compared", dimensions=384)
        plain = TableStore(self.postgresql, "plain_vectors", dimensions=384, native=False)
        self.plain = Vectors(self.postgresql, "plain", dimensions=384, store=plain)
        self.sqlite = Tenancy(f"sqlite:///{directory}", models=_models())
        self.on_sqlite = Vectors(self.sqlite, "plain", dimensions=384)
        for tenancy in (self.postgresql, self.sqlite):
            tenancy.install(create_tables=True)
        corpus.fill(self.postgresql, [self.indexed, self.compared, self.plain])
        corpus.fill(self.sqlite, [self.on_sqlite])
        with self.postgresql.servers.get("main").owner(action="analysing") as connection:
            connection.execute("ANALYZE")

    @property
    def has_index(self) -> bool:
        return bool(self.postgresql.config.extensions)

    def walks_index(self, *, forced: bool = True) -> bool:
        """Returns whether PostgreSQL goes by the HNSW index, where it may not sort or by itself."""
        settings = ["SET LOCAL enable_sort = off"] if forced else []
        return self.has_index and _plan(self.postgresql, self.indexed, self.corpus, settings)

    def close(self) -> None:
        self.postgresql.close()
        self.sqlite.close()


def _models() -> type[DeclarativeBase]:
    class Base(DeclarativeBase):
        pass

    return Base


def _plan(tenancy: Tenancy, vectors: Vectors, corpus: Corpus, settings: list[str]) -> bool:
    slug = next(iter(corpus.vectors))
    with tenancy.session(slug) as session:
        for setting in settings:
            session.execute(text(setting))
        said: list[tuple[str, Any]] = []
        connection = session.connection()

        def see(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> None:
            said.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", see)
        vectors.search(session, corpus.questions[0].tolist(), limit=BEST)
        event.remove(connection, "before_cursor_execute", see)
        statement, parameters = next(each for each in said if "<#>" in each[0])
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
    return any(f"ix_{vectors.name}_vectors_embedding" in row for row in rows)


def opened(url: str, directory: Path, corpus: Corpus, extensions: tuple[str, ...]) -> Iterator[Library]:
    library = Library(url, directory, corpus, extensions)
    try:
        yield library
    finally:
        library.close()


@pytest.fixture(scope="module")
def small(
    module_database: str, extensions: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    yield from opened(
        module_database, tmp_path_factory.mktemp("small"), Corpus(rows=14, of=40, questions=3), extensions
    )


@pytest.fixture(scope="module")
def large(postgres: Any, extensions: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with postgres.lend_database() as url:
        yield from opened(url, tmp_path_factory.mktemp("large"), Corpus(rows=1000, of=20_000, questions=12), extensions)


def judge(library: Library) -> dict[str, Figures]:
    corpus, postgresql = library.corpus, library.postgresql
    return {
        "pgvector, all compared": corpus.measure(postgresql, library.compared),
        "pgvector, by its index": corpus.measure(postgresql, library.indexed, forced=True),
        "pgvector, by its index, 1 of 10 kinds": corpus.measure(postgresql, library.indexed, kinds=1, forced=True),
        "PostgreSQL without pgvector": corpus.measure(postgresql, library.plain),
        "SQLite": corpus.measure(library.sqlite, library.on_sqlite),
        "SQLite, 1 of 10 kinds": corpus.measure(library.sqlite, library.on_sqlite, kinds=1),
    }


def test_the_model_knows_what_texts_mean() -> None:
    one, alike, other = (
        np.array(made) / np.linalg.norm(made)
        for made in MiniLM().embed(["How do I reset my password?", "I forgot my credentials", "It rains in Paris"])
    )
    assert one @ alike > 0.5 > 0.2 > abs(one @ other)


def test_what_is_found_inside_a_tenant_is_what_an_exact_search_finds(small: Library) -> None:
    assert small.walks_index() is small.has_index
    for name, figures in judge(small).items():
        assert figures.recall >= WANTED, name
        assert figures.foreign == 0, name


@pytest.mark.soak
def test_twenty_thousand_rows_of_twenty_tenants(large: Library) -> None:
    assert large.walks_index() is large.has_index
    print(f"\n{TENANTS} tenants, {sum(map(len, large.corpus.vectors.values()))} rows of all-MiniLM-L6-v2")
    told = f"{len(large.corpus.sentences)} sentences embedded in {large.corpus.seconds:.0f} s"
    by_itself = large.walks_index(forced=False)
    print(f"{told}; PostgreSQL takes the index by itself: {by_itself}")
    for name, figures in judge(large).items():
        print(f"{name}: {figures}")
        assert figures.recall >= WANTED, name
        assert figures.foreign == 0, name
