"""The manifest: whose rows an archive holds, of which moment, in which tables, with the digest of each."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.archive.container import documents
from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import hex_of, member_name, moment_of, moment_text, uuid_of
from tenantry.archive.container.measuring import Measured
from tenantry.errors import InvalidKey, InvalidSlug
from tenantry.ids import check_identity, check_slug
from tenantry.types import Isolation

DATABASES: Final = ("postgresql", "sqlite")

_LARGEST_COUNT: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One table of an archive: how its columns are read, and what its rows must add up to."""

    name: str
    shape: Mapping[str, Any]
    rows: int
    size: int
    sha256: str

    @property
    def measured(self) -> Measured:
        """What the member's rows must be measured at."""
        return Measured(self.rows, self.size, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one archive holds; ``facts`` is for what a backup wants to find again at a restore.

    ``models`` is a digest of the models that wrote it, ``pack`` the ready system they belong to, ``library`` the
    version of Tenantry.
    """

    tenant: uuid.UUID
    slug: str
    name: str
    isolation: Isolation
    database: str
    taken_at: datetime.datetime
    tables: tuple[TableEntry, ...]
    library: str
    models: str
    revision: str | None = None
    pack: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    identities: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def rows(self) -> int:
        """How many rows the archive holds."""
        return sum(table.rows for table in self.tables)

    def table(self, name: str) -> TableEntry:
        """Returns the entry of one table.

        Raises: KeyError for a table that the archive does not hold.
        """
        return next((table for table in self.tables if table.name == name), None) or _missing(name)

    def to_bytes(self) -> bytes:
        """Returns the manifest as it stands in the file.

        Raises: Fault for a manifest that could not be read again.
        """
        payload = documents.written(
            {
                "tenant": str(self.tenant),
                "slug": self.slug,
                "name": self.name,
                "isolation": str(self.isolation),
                "database": self.database,
                "taken_at": moment_text(self.taken_at),
                "tables": [_said(table) for table in self.tables],
                "library": self.library,
                "models": self.models,
                "revision": self.revision,
                "pack": self.pack,
                "settings": dict(self.settings),
                "identities": [list(pair) for pair in self.identities],
                "facts": dict(self.facts),
                "note": self.note,
            }
        )
        manifest_from(payload)
        return payload


def manifest_from(payload: bytes) -> Manifest:
    """Returns the manifest that *payload* spells, each field checked.

    Raises: Fault.
    """
    said = documents.read(payload)
    if said.keys() != Manifest.__dataclass_fields__.keys():
        raise Fault("its manifest has other fields than a manifest has.")
    try:
        slug = check_slug(said["slug"])
        identities = tuple(_identity(pair) for pair in _list(said, "identities"))
    except (InvalidSlug, InvalidKey) as error:
        raise Fault("its manifest gives the tenant a slug or an identity that none can have.") from error
    if said["isolation"] not in list(Isolation) or said["database"] not in DATABASES:
        raise Fault("its manifest names a place that no tenant has.")
    return Manifest(
        tenant=uuid_of(said["tenant"]),
        slug=slug,
        name=_text(said, "name"),
        isolation=Isolation(said["isolation"]),
        database=said["database"],
        taken_at=moment_of(said["taken_at"]),
        tables=tuple(_table(table) for table in _list(said, "tables")),
        library=_text(said, "library"),
        models=_text(said, "models"),
        revision=_text_or_none(said, "revision"),
        pack=_text_or_none(said, "pack"),
        settings=_mapping(said, "settings"),
        identities=identities,
        facts=_mapping(said, "facts"),
        note=_text(said, "note"),
    )


def _said(table: TableEntry) -> dict[str, Any]:
    return {
        "name": table.name,
        "shape": dict(table.shape),
        "rows": table.rows,
        "size": table.size,
        "sha256": table.sha256,
    }


def _table(said: Any) -> TableEntry:
    if not isinstance(said, dict) or said.keys() != TableEntry.__dataclass_fields__.keys():
        raise Fault("its manifest has a table with other fields than a table has.")
    name = member_name(_text(said, "name").encode())
    shape = _mapping(said, "shape")
    if shape.get("name") != name:
        raise Fault(f"its manifest gives table {name!a} the shape of another.")
    rows, size = _count(said, "rows"), _count(said, "size")
    if rows > size:
        raise Fault(f"its manifest gives table {name!a} more rows than bytes.")
    return TableEntry(name=name, shape=shape, rows=rows, size=size, sha256=hex_of(said["sha256"], 32).hex())


def _identity(said: Any) -> tuple[str, str]:
    if not isinstance(said, list) or len(said) != 2:
        raise Fault("its manifest has an identity that is none.")
    return check_identity(*said)


def _text(said: Mapping[str, Any], field_name: str) -> str:
    found = said[field_name]
    if not isinstance(found, str) or "\0" in found:
        raise Fault(f"its manifest has no text for {field_name!r}.")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise Fault(f"its manifest has half a character in {field_name!r}.") from error
    return found


def _text_or_none(said: Mapping[str, Any], field_name: str) -> str | None:
    return None if said[field_name] is None else _text(said, field_name)


def _mapping(said: Mapping[str, Any], field_name: str) -> dict[str, Any]:
    found = said[field_name]
    if not isinstance(found, dict):
        raise Fault(f"its manifest has no object for {field_name!r}.")
    return found


def _list(said: Mapping[str, Any], field_name: str) -> list[Any]:
    found = said[field_name]
    if not isinstance(found, list):
        raise Fault(f"its manifest has no list for {field_name!r}.")
    return found


def _count(said: Mapping[str, Any], field_name: str) -> int:
    found = said[field_name]
    if type(found) is not int or not 0 <= found <= _LARGEST_COUNT:
        raise Fault(f"its manifest has no count for {field_name!r}.")
    return found


def _missing(name: str) -> TableEntry:
    raise KeyError(name)
