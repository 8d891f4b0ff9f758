"""Sound archives for the tests, made by the library."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from tenantry.archive.container import ArchiveWriter, Limits, Manifest, TableEntry, write_archive
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.types import Isolation

from .forging import KEY, TAKEN_AT, TENANT

RING = KeyRing({"2026": KEY, "2025": bytes(reversed(KEY))}, "2026")
TABLES = {
    "companies": "1\tAcme\t\\N\n2\tSmith & Söhne\t2026-11-22 11:30:00.000005+00\n".encode(),
    "tickets": b"".join(b"%d\tticket %d\t\\N\t\t%d.50\n" % (n, n * 7919, n) for n in range(1, 200)),
    "empty": b"",
    "notes": b"1\tline one\\nline two\t\\\\x00ff\n",
}


def manifest_of(writer: ArchiveWriter, **other: Any) -> Manifest:
    said: dict[str, Any] = {
        "tenant": writer.header.tenant,
        "slug": "acme",
        "name": "Acme & Söhne",
        "isolation": Isolation.ROWS,
        "database": "postgresql",
        "taken_at": writer.header.taken_at,
        "library": "0.1.0",
        "models": "9f86d081",
        "tables": tuple(
            TableEntry(name=name, shape={"name": name}, rows=found.rows, size=found.size, sha256=found.sha256)
            for name, found in writer.members.items()
        ),
    }
    return Manifest(**said | other)


def write(
    file: BinaryIO,
    tables: Mapping[str, Iterable[bytes]],
    *,
    data_key: DataKey | None = None,
    limits: Limits | None = None,
    said: Mapping[str, Any] | None = None,
) -> Manifest:
    """Writes a whole archive and returns its manifest."""
    with write_archive(file, tenant=TENANT, taken_at=TAKEN_AT, ring=RING, data_key=data_key, limits=limits) as writer:
        for name, chunks in tables.items():
            writer.member(name, chunks)
        manifest = manifest_of(writer, **said or {})
        writer.finish(manifest)
    return manifest


def built(tables: Mapping[str, bytes] = TABLES, *, data_key: DataKey | None = None) -> bytes:
    file = io.BytesIO()
    write(file, {name: [data] for name, data in tables.items()}, data_key=data_key)
    return file.getvalue()
