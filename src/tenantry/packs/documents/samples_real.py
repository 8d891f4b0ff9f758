"""Real documents as organisations: Python's enhancement proposals by topic, and speeches of American presidents."""

from __future__ import annotations

import datetime
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tenantry.packs.documents.models import DocumentStatus
from tenantry.packs.documents.samples import Shelf

_PROPOSALS: Final = "peps.jsonl.gz"
_SPEECHES: Final = "us_speeches.jsonl.gz"
# Only what its own text puts there.
_FREE: Final = "public domain"
_CORE: Final = "Core"
_NUMBER: Final = re.compile(r"\d+")
_ADDRESS: Final = re.compile(r"<[^>]*>|\([^)]*\)")
_STATUS: Final = {
    "Active": DocumentStatus.PUBLISHED,
    "Accepted": DocumentStatus.PUBLISHED,
    "Final": DocumentStatus.PUBLISHED,
    "Draft": DocumentStatus.DRAFT,
    "Deferred": DocumentStatus.DRAFT,
    "Provisional": DocumentStatus.DRAFT,
}


def shelves(directory: Path) -> Iterator[Shelf]:
    """Yields the organisations of the files that are in *directory*, or in its folder ``documents``."""
    for folder in (directory, directory / "documents"):
        if (folder / _PROPOSALS).is_file():
            yield from _proposals(_lines(folder / _PROPOSALS))
        if (folder / _SPEECHES).is_file():
            yield _speeches(_lines(folder / _SPEECHES))


def _proposals(lines: Iterator[dict[str, Any]]) -> Iterator[Shelf]:
    found: dict[str, Shelf] = {}
    for line in lines:
        if _FREE in line["body"].lower():
            topic = (line["topic"] or _CORE).partition(",")[0].strip()
            slug = f"peps-{topic.lower().replace(' ', '-')}"
            _proposal(found.setdefault(slug, Shelf(slug, f"Proposals on {topic}")), line)
    yield from found.values()


def _proposal(shelf: Shelf, line: dict[str, Any]) -> None:
    name = f"pep-{line['number']}"
    authors = [" ".join(_ADDRESS.sub("", each).split()) for each in line["author"].split(",")]
    owner = next(shelf.user(author) for author in [*filter(None, authors), "Unknown"])
    document = shelf.document(
        name,
        [line["body"].strip()],
        title=f"{name.upper()} {line['title']}"[:500],
        owner_id=owner,
        status=_STATUS.get(line["status"], DocumentStatus.ARCHIVED),
        content_type="text/x-rst",
        language="en",
        source_url=f"https://peps.python.org/pep-{line['number']:04}/",
        doc_metadata={name: line[name] for name in ("number", "status", "type", "author")},
        **_created(line["created"]),
    )
    shelf.about(document, line["type"])
    shelf.about(document, line["status"], relevance=0.5)
    for kind in ("requires", "replaces"):
        for number in _NUMBER.findall(str(line[kind] or "")):
            shelf.line(name, kind, f"pep-{int(number)}")


def _speeches(lines: Iterator[dict[str, Any]]) -> Shelf:
    shelf = Shelf("us-speeches", "Speeches of American presidents")
    latest: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: (line["collection"], line["year"], line["name"])):
        name, kind = f"{line['collection']}-{line['name']}", line["collection"].replace("_", " ")
        document = shelf.document(
            name,
            # As it was typed, and set in paragraphs.
            [line["text"], "\n\n".join(" ".join(part.split()) for part in line["text"].split("\n") if part.strip())],
            title=f"{line['author']}, {kind} {line['year']}",
            owner_id=shelf.user(line["author"]),
            status=DocumentStatus.PUBLISHED,
            language="en",
            doc_metadata={"year": line["year"], "collection": line["collection"]},
            **_created(f"20-Jan-{line['year']}"),
        )
        shelf.about(document, kind)
        shelf.about(document, f"{line['year'] // 10 * 10}s", relevance=0.5)
        for thread, word in ((kind, "follows"), (line["author"], "same speaker")):
            if thread in latest:
                shelf.line(name, word, latest[thread])
            latest[thread] = name
    return shelf


def _created(text: str) -> dict[str, datetime.datetime]:
    try:
        at = datetime.datetime.strptime(text.strip(), "%d-%b-%Y").replace(tzinfo=datetime.UTC)
    except ValueError:
        return {}
    return {"created_at": at, "updated_at": at}


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
