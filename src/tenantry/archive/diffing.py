"""An archive compared with what its tenant has now: table by table by digest, and row by row where these differ."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tenantry.archive.migrating import fitted, standing
from tenantry.archive.operating import under_way
from tenantry.archive.outcomes import Difference, TableDifference
from tenantry.archive.places import Reader, reading
from tenantry.archive.shapes import TableShape
from tenantry.archive.sources import Source, choose, opened, source_of
from tenantry.catalog.operations import VERIFY, Course
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_EXAMPLES: Final = 5
_BETWEEN: Final = "\t"
_COUNTS: Final = """
SELECT (SELECT count(*) FROM archived WHERE key NOT IN (SELECT key FROM live)),
       (SELECT count(*) FROM live WHERE key NOT IN (SELECT key FROM archived)),
       (SELECT count(*) FROM archived a JOIN live l ON l.key = a.key WHERE l.digest <> a.digest)
"""
_UNLIKE: Final = """
SELECT '-', key FROM archived WHERE key NOT IN (SELECT key FROM live)
UNION ALL SELECT '+', key FROM live WHERE key NOT IN (SELECT key FROM archived)
UNION ALL SELECT '~', a.key FROM archived a JOIN live l ON l.key = a.key WHERE l.digest <> a.digest
ORDER BY 2 LIMIT ?
"""


def diff(archive: Archive, tenant: Tenant, wanted: str | Path) -> Difference:
    """Returns where the tenant's rows and an archive of it differ.

    Raises: as ``Archive.diff``.
    """
    name = choose(archive, tenant.id, wanted)
    with opened(archive, name, tenant=tenant.id) as found:
        source = source_of(found)
        with (
            under_way(archive.tenancy, VERIFY, tenant.id, archive=str(name), compared=True) as course,
            fitted(archive, source, course=course, place=standing(archive, tenant)) as ready,
            reading(archive.tenancy, tenant) as reader,
        ):
            tables = list(_tables(ready, reader, course))
    return Difference(str(name), tenant.id, tables)


def _tables(source: Source, reader: Reader, course: Course) -> Iterator[TableDifference]:
    for number, table in enumerate(source.tables):
        course.tell("compare", done=number, total=len(source.tables), table=table.name)
        if reader.digest(table) != source.digests[table.name]:
            yield _compared(table, source.rows(table), reader.rows(table))


def _compared(table: TableShape, archived: Iterable[bytes], live: Iterable[bytes]) -> TableDifference:
    # A database without a name is SQLite's own temporary file: however many rows there are, memory stays flat.
    with contextlib.closing(sqlite3.connect("")) as spill:
        for name, chunks in {"archived": archived, "live": live}.items():
            spill.execute(f"CREATE TABLE {name} (key TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID")
            spill.executemany(f"INSERT INTO {name} VALUES (?, ?)", _keyed(table, chunks))
        only_archived, only_live, changed = spill.execute(_COUNTS).fetchone()
        examples = [f"{sign}{key.replace(_BETWEEN, '/')}" for sign, key in spill.execute(_UNLIKE, (_EXAMPLES,))]
    return TableDifference(table.name, only_archived, only_live, changed, examples)


def _keyed(table: TableShape, chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    places = [table.names.index(name) for name in table.key]
    for chunk in chunks:
        for line in chunk.split(b"\n")[:-1]:
            fields = line.split(b"\t")
            # No field has a tab in it, so two keys cannot run into one.
            yield b"\t".join(fields[place] for place in places).decode(), hashlib.sha256(line).digest()
