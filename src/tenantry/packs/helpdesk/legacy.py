"""The legacy store: objects in a plain SQLite file of one company on one platform, from before there were models."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tenantry.errors import CrossTenant, UnknownField
from tenantry.packs.helpdesk.models_knowledge import digest_of

_COLUMNS: Final = ("original_id", "object_type", "title", "content", "object_metadata")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS integrated_objects (
    tenant_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    object_type TEXT NOT NULL,
    original_id TEXT NOT NULL,
    title TEXT,
    content TEXT,
    object_metadata TEXT NOT NULL DEFAULT '{}',
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, platform, object_type, original_id)
) WITHOUT ROWID
"""
_STORE: Final = """
INSERT INTO integrated_objects
    (tenant_id, platform, object_type, original_id, title, content, object_metadata, updated_at)
VALUES (:tenant_id, :platform, :object_type, :original_id, :title, :content, :object_metadata, :updated_at)
ON CONFLICT (tenant_id, platform, object_type, original_id) DO UPDATE SET
    title = excluded.title, content = excluded.content,
    object_metadata = excluded.object_metadata, updated_at = excluded.updated_at
"""
_OWN: Final = "tenant_id = :tenant_id AND platform = :platform"
_READ: Final = f"SELECT object_type, original_id, title, content, object_metadata FROM integrated_objects WHERE {_OWN}"
_BUSY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class LegacyObject:
    """One object as the legacy store has it."""

    object_type: str
    original_id: str
    title: str | None
    content: str | None
    object_metadata: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """Returns what an ``IntegratedObject`` is made of."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def digest(self) -> str | None:
        """Returns the digest of all that it says."""
        said = {**self.values(), "object_metadata": dict(self.object_metadata)}
        return digest_of(json.dumps(said, sort_keys=True))


class LegacyStore:
    """The objects of one company on one platform in a SQLite file of their own, which no other company's share.

    Every statement says whose rows it means, so that a file put in another's place shows nothing.
    """

    def __init__(self, path: str | os.PathLike[str], *, tenant_id: str, platform: str) -> None:
        self.path = Path(path)
        self.tenant_id = tenant_id
        self.platform = platform

    def __repr__(self) -> str:
        return f"LegacyStore({self.path.name!r})"

    @classmethod
    def of(cls, directory: str | os.PathLike[str], tenant_id: str, platform: str) -> Self:
        """Returns the store of a company below a directory, where no name of its stands in a path."""
        digest = hashlib.sha256(f"{platform}\0{tenant_id}".encode()).hexdigest()[:32]
        return cls(Path(directory) / "legacy" / f"{digest}.sqlite3", tenant_id=tenant_id, platform=platform)

    def store(self, data: Mapping[str, Any]) -> LegacyObject:
        """Returns the object of these data, written anew.

        Raises: CrossTenant for another company's, UnknownField for what it does not keep.
        """
        found = self.check(data)
        moment = datetime.datetime.now(datetime.UTC).isoformat()
        row = {**found.values(), "object_metadata": json.dumps(dict(found.object_metadata)), "updated_at": moment}
        with self._open() as connection:
            connection.execute(_STORE, row | self._whose())
        return found

    def get(self, original_id: str, *, object_type: str = "ticket") -> LegacyObject | None:
        """Returns the object that the platform calls so, or None."""
        wanted = {"original_id": original_id, "object_type": object_type}
        with self._open() as connection:
            condition = "original_id = :original_id AND object_type = :object_type"
            row = connection.execute(f"{_READ} AND {condition}", wanted | self._whose()).fetchone()
        return None if row is None else _object(row)

    def delete(self, original_id: str, *, object_type: str = "ticket") -> bool:
        """Removes an object and says whether it was there."""
        wanted = {"original_id": original_id, "object_type": object_type}
        condition = "original_id = :original_id AND object_type = :object_type"
        with self._open() as connection:
            cursor = connection.execute(
                f"DELETE FROM integrated_objects WHERE {_OWN} AND {condition}", wanted | self._whose()
            )
            return cursor.rowcount > 0

    def after(self, key: tuple[str, str] | None = None, *, limit: int = 500) -> list[LegacyObject]:
        """Returns objects in the order of kind and id, those behind *key*."""
        kind, original = key or ("", "")
        behind = {"kind": kind, "original": original, "limit": limit}
        order = "(object_type, original_id) > (:kind, :original) ORDER BY object_type, original_id LIMIT :limit"
        with self._open() as connection:
            return [_object(row) for row in connection.execute(f"{_READ} AND {order}", behind | self._whose())]

    def all(self) -> Iterator[LegacyObject]:
        """Yields every object in that order, reading them in batches."""
        key = None
        while found := self.after(key):
            yield from found
            key = (found[-1].object_type, found[-1].original_id)

    def count(self) -> int:
        """Returns how many objects there are."""
        with self._open() as connection:
            counted = connection.execute(f"SELECT count(*) FROM integrated_objects WHERE {_OWN}", self._whose())
            return int(counted.fetchone()[0])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection, connection:
            connection.execute(_SCHEMA)
            yield connection

    def _whose(self) -> dict[str, str]:
        return {"tenant_id": self.tenant_id, "platform": self.platform}

    def check(self, data: Mapping[str, Any]) -> LegacyObject:
        """Returns the object that these data are, and writes nothing.

        Raises: as ``store``.
        """
        for name, own in self._whose().items():
            if data.get(name, own) != own:
                raise CrossTenant(model="IntegratedObject", tenant=self.tenant_id)
        if unknown := sorted(set(data) - {*_COLUMNS, "id", "tenant_id", "platform"}):
            known = ", ".join(_COLUMNS)
            raise UnknownField(model="LegacyObject", name=unknown[0], use="stored", known=known)
        return LegacyObject(
            object_type=data.get("object_type", "ticket"),
            original_id=data["original_id"],
            title=data.get("title"),
            content=data.get("content"),
            object_metadata=dict(data.get("object_metadata") or {}),
        )


def _object(row: tuple[Any, ...]) -> LegacyObject:
    kind, original, title, content, document = row
    return LegacyObject(kind, original, title, content, json.loads(document))
