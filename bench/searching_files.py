"""Search in a tenant's own SQLite file, beside a hand-written FTS5 query and beside reading every row."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import column, create_engine, insert, select, text
from sqlalchemy.orm import Session

from bench.searching import PAGE, Base, Document, Turn, searching, texts, timed
from tenantry import Tenancy, TenantSession
from tenantry.search import Search, plain

# What people type, and what somebody who writes SQL asks FTS5.
_TEXTS: Final = {
    "w7x": '"w7x"',
    "w50x": '"w50x"',
    "w3x w12x": '"w3x" "w12x"',
    "w1234x": '"w1234x"',
    "w777x or w999x": '"w777x" OR "w999x"',
}
_OWN_INDEX: Final = (
    "CREATE VIRTUAL TABLE own USING fts5(words)",
    "INSERT INTO own (rowid, words) SELECT rowid, title || ' ' || content FROM documents",
)
_OWN: Final = """
SELECT d.tenant_id, d.id, d.title, d.content, -o.rank AS found FROM own o JOIN documents d ON d.rowid = o.rowid
WHERE o.words MATCH :text ORDER BY found DESC, d.id LIMIT 20
"""


def report_files(documents: int, rounds: int) -> None:
    """Prints how long searches in a tenant's own file take, beside a query by hand and beside LIKE."""
    with tempfile.TemporaryDirectory() as directory:
        tenancy = Tenancy(f"sqlite:///{directory}/files", models=Base)
        search = Search(tenancy, Document, columns=["title", "content"])
        tenancy.install(create_tables=True)
        tenant = tenancy.tenants.create("file")
        begun = time.perf_counter()
        with tenancy.transaction("file") as session:
            session.execute(
                insert(Document),
                [{"tenant_id": tenant.id, "title": title, "content": content} for title, content in texts(documents)],
            )
        print(f"The file was written in {time.perf_counter() - begun:.0f} s.", file=sys.stderr, flush=True)
        engine = create_engine(f"sqlite:///{Path(directory) / 'files' / tenant.physical}")
        with engine.begin() as connection:
            for statement in _OWN_INDEX:
                connection.exec_driver_sql(statement)
        with Session(engine) as bare, tenancy.session("file") as session:
            _compare(bare, session, search, documents, rounds)
        engine.dispose()
        tenancy.close()


def _compare(bare: Session, session: TenantSession, search: Search[Document], documents: int, rounds: int) -> None:
    print(f"\n### Search in a tenant's own SQLite file with {documents} documents ({rounds} rounds)\n")
    print("| search | FTS5 by hand, ms | Search, ms | ratio | LIKE, ms | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for words, by_hand in _TEXTS.items():
        own, ours = _asking(bare, by_hand), searching(session, search.query, words)
        assert own() == ours(), f"{words} finds something else"
        bare_ms, ours_ms = _medians((timed(own), timed(ours)) for _ in range(rounds))
        (like_ms,) = _medians((timed(_reading(session, words)),) for _ in range(3))
        ratios = f"{ours_ms / bare_ms:.2f} | {like_ms:.1f} | {like_ms / bare_ms:.0f}"
        print(f"| query `{words}` | {bare_ms:.2f} | {ours_ms:.2f} | {ratios} |", flush=True)


def _medians(times: Iterable[tuple[float, ...]]) -> list[float]:
    return [statistics.median(each) * 1e3 for each in zip(*times, strict=True)]


def _asking(session: Session, wanted: str) -> Turn:
    columns = Document.__table__.columns
    typed = text(_OWN).columns(columns.tenant_id, columns.id, columns.title, columns.content, column("found"))
    question = select(Document, column("found")).from_statement(typed)

    def turn() -> list[Any]:
        session.expunge_all()
        return [row.id for row, _ in session.execute(question, {"text": wanted})]

    return turn


def _reading(session: TenantSession, words: str) -> Turn:
    rank = plain.rank(words, [Document.title, Document.content])
    assert rank is not None
    question = select(Document, rank.label("rank")).where(rank >= 0).order_by(rank.desc(), Document.id).limit(PAGE)

    def turn() -> list[Any]:
        session.expunge_all()
        return [row.id for row, _ in session.execute(question)]

    return turn
