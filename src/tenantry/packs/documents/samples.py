"""Sample organisations: generated ones, and real documents out of a directory; the same each time they are made."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tenantry.packs.documents.base import digest_of
from tenantry.packs.documents.models import Document, DocumentStatus, DocumentVersion, Summary, User, UserRole
from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, GraphRelationship, Topic
from tenantry.samples import Row, Sample, load
from tenantry.tenancy import Tenancy

_SPACE: Final = uuid.UUID("6f0b7c1e-8f53-5d0c-9c7e-2f7f3b0d9a11")
_NAMES: Final = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper")
_KINDS: Final = ("Letters", "Law firm", "Library", "Press", "Archive")
_PEOPLE: Final = ("Ada", "Bela", "Cora", "Dan", "Edda")
_ABOUT: Final = ("contracts", "budgets", "minutes", "policies", "research", "letters")
_WORDS: Final = (
    "agreement", "annex", "article", "board", "budget", "clause", "committee", "decision", "draft", "evidence",
    "figure", "finding", "hearing", "interest", "letter", "measure", "minute", "motion", "note", "office", "order",
    "page", "party", "period", "plan", "policy", "proposal", "question", "reason", "record", "reply", "report",
    "request", "review", "rule", "schedule", "section", "source", "statement", "study", "summary", "table", "term",
    "treaty", "version", "vote",
)  # fmt: skip
_STATES: Final = (DocumentStatus.PUBLISHED, DocumentStatus.PUBLISHED, DocumentStatus.DRAFT, DocumentStatus.ARCHIVED)


def key(*parts: object) -> uuid.UUID:
    """Returns the key of a sample's row: the same for the same words."""
    return uuid.uuid5(_SPACE, "/".join(map(str, parts)))


class Shelf:
    """The rows of one organisation as they come together; what is asked for twice is there once."""

    def __init__(self, slug: str, name: str) -> None:
        self.slug = slug
        self.name = name
        self._rows: dict[type, dict[uuid.UUID, Row]] = {
            model: {}
            for model in (
                User, Document, DocumentVersion, Summary, Topic, DocumentTopic, GraphNode, GraphRelationship,
            )
        }  # fmt: skip

    def add(self, model: type, *words: object, **values: Any) -> uuid.UUID:
        """Adds a row that these words tell apart, unless it is there, and returns its key."""
        found = key(self.slug, model.__name__, *words)
        self._rows[model].setdefault(found, {"id": found, **values})
        return found

    def user(self, name: str, *, role: str = UserRole.MEMBER) -> uuid.UUID:
        """Adds somebody, and returns the key."""
        address = ".".join(name.lower().split())
        return self.add(User, address, email=f"{address}@{self.slug}.example", display_name=name[:255], role=role)

    def document(self, name: str, versions: Sequence[str], **values: Any) -> uuid.UUID:
        """Adds a document with its versions, the last of which it holds, and its node, and returns its key."""
        content = versions[-1]
        found = self.add(
            Document,
            name,
            content=content,
            content_hash=digest_of(content),
            word_count=len(content.split()),
            file_size=len(content.encode()),
            version=len(versions),
            **values,
        )
        for number, text in enumerate(versions, start=1):
            self._version(found, number, text, values)
        node = self.add(GraphNode, name, external_id=name)
        # A line to it may have come before.
        self._rows[GraphNode][node] |= {"document_id": found, "node_type": "document", "label": values["title"][:255]}
        return found

    def about(self, document: uuid.UUID, topic: str, *, relevance: float = 1.0) -> None:
        """Says that a document is about a topic."""
        found = self.add(Topic, topic, name=topic, extraction_method="sample")
        self.add(DocumentTopic, document, topic, document_id=document, topic_id=found, relevance_score=relevance)

    def line(self, source: str, kind: str, target: str) -> None:
        """Draws a line between two documents by name; one that is elsewhere is a node without a document."""
        if source == target:
            return
        ends = [
            self.add(GraphNode, name, node_type="reference", label=name, external_id=name) for name in (source, target)
        ]
        self.add(
            GraphRelationship,
            source,
            kind,
            target,
            source_node_id=ends[0],
            target_node_id=ends[1],
            relationship_type=kind,
        )

    def sample(self) -> Sample:
        """Returns the organisation with all its rows."""
        rows = {model: list(found.values()) for model, found in self._rows.items() if found}
        record = {"name": self.name, "slug": self.slug}
        return Sample(self.slug, self.name, record=record, identities=[("organization", self.name)], rows=rows)

    def _version(self, document: uuid.UUID, number: int, text: str, values: Row) -> None:
        self.add(
            DocumentVersion,
            document,
            number,
            document_id=document,
            version_number=number,
            title=values["title"],
            content=text,
            content_hash=digest_of(text),
            doc_metadata=values.get("doc_metadata", {}),
            changed_by=values["owner_id"],
            change_summary="Created" if number == 1 else "Set anew",
            **({"created_at": values["created_at"]} if "created_at" in values else {}),
        )


def generated(*, tenants: int = 3, rows: int = 50, seed: int = 2) -> list[Sample]:
    """Returns so many organisations with so many documents each."""
    chosen = random.Random(seed)  # noqa: S311  # samples, not secrets
    return [_generated(number, rows, chosen).sample() for number in range(tenants)]


def load_generated(tenancy: Tenancy, *, tenants: int = 3, rows: int = 50) -> int:
    """Loads generated organisations, where they are not there, and returns how many rows were added.

    Raises: as ``tenantry.samples.load``.
    """
    return sum(load(tenancy, sample) for sample in generated(tenants=tenants, rows=rows))


def read(directory: str | Path) -> list[Sample]:
    """Returns the organisations of the real documents below *directory*; none where there are no such files."""
    from tenantry.packs.documents import samples_real  # noqa: PLC0415  # it stands on this module

    return [shelf.sample() for shelf in samples_real.shelves(Path(directory))]


def _generated(number: int, rows: int, chosen: random.Random) -> Shelf:
    tree, kind = _NAMES[number % len(_NAMES)], _KINDS[number % len(_KINDS)]
    more = f" {number // len(_NAMES) + 1}" if number >= len(_NAMES) else ""
    name = f"{tree} {kind}{more}"
    shelf = Shelf(name.lower().replace(" ", "-"), name)
    people = [shelf.user(who, role=UserRole.ADMIN if who == _PEOPLE[0] else UserRole.EDITOR) for who in _PEOPLE]
    for count in range(rows):
        _one(shelf, count, chosen, people)
    return shelf


def _one(shelf: Shelf, count: int, chosen: random.Random, people: Sequence[uuid.UUID]) -> None:
    title = " ".join(chosen.sample(_WORDS, 3)).capitalize()
    texts = [_text(chosen) for _ in range(chosen.choice((1, 1, 2, 3)))]
    values = {"title": title, "owner_id": chosen.choice(people), "status": chosen.choice(_STATES), "language": "en"}
    document = shelf.document(f"paper-{count}", texts, **values)
    for topic in chosen.sample(_ABOUT, 2):
        shelf.about(document, topic, relevance=round(chosen.uniform(0.2, 1.0), 2))
    shelf.add(Summary, document, document_id=document, summary_text=texts[-1][:120], tool_name="sample")
    for other in _earlier(count, chosen):
        shelf.line(f"paper-{count}", chosen.choice(("requires", "replaces", "cites")), f"paper-{other}")


def _earlier(count: int, chosen: random.Random) -> Iterable[int]:
    return chosen.sample(range(count), min(count, chosen.choice((0, 1, 2))))


def _text(chosen: random.Random) -> str:
    return "\n".join(" ".join(_sentence(chosen)) for _ in range(chosen.randint(3, 8)))


def _sentence(chosen: random.Random) -> Iterator[str]:
    words = [chosen.choice(_WORDS) for _ in range(chosen.randint(6, 14))]
    yield words[0].capitalize()
    yield from words[1:-1]
    yield f"{words[-1]}."
