"""Anchors: how far a chain had come, kept where whoever can write the database cannot."""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from tenantry.errors import AnchorUnreadable


@dataclass(frozen=True, slots=True)
class Anchor:
    """The number and digest of one entry of one tenant's chain."""

    tenant: uuid.UUID
    seq: int
    digest: str
    recorded_at: datetime.datetime


class AnchorStore(Protocol):
    """Where anchors are kept: a directory, a bucket with a retention lock, another party's database."""

    def put(self, anchor: Anchor) -> None:
        """Keeps an anchor for good."""
        ...

    def anchors(self, tenant: uuid.UUID) -> Iterator[Anchor]:
        """Yields every anchor of a tenant, in any order."""
        ...


class AnchorFiles:
    """A directory with one file per tenant, to which lines are only ever added; each is on the disk when it is kept."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def __repr__(self) -> str:
        return f"AnchorFiles({str(self.directory)!r})"

    def put(self, anchor: Anchor) -> None:
        """Adds an anchor to its tenant's file, in one write, which no other process can run into."""
        self.directory.mkdir(parents=True, exist_ok=True)
        line = json.dumps(
            {**asdict(anchor), "tenant": str(anchor.tenant), "recorded_at": anchor.recorded_at.isoformat()}
        )
        file = os.open(self._file(anchor.tenant), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)

    def anchors(self, tenant: uuid.UUID) -> Iterator[Anchor]:
        """Yields every anchor of a tenant.

        Raises: AnchorUnreadable for a line that is none.
        """
        path = self._file(tenant)
        if not path.exists():
            return
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _read(line, place=f"{path.name}, line {number}", tenant=tenant)

    def _file(self, tenant: uuid.UUID) -> Path:
        return self.directory / f"{tenant.hex}.jsonl"


def _read(line: str, *, place: str, tenant: uuid.UUID) -> Anchor:
    try:
        found = json.loads(line)
        when = datetime.datetime.fromisoformat(found["recorded_at"])
        anchor = Anchor(uuid.UUID(found["tenant"]), int(found["seq"]), str(found["digest"]), when)
    except (ValueError, KeyError, TypeError) as error:
        raise AnchorUnreadable(place=place, reason="it is not a whole anchor.") from error
    if anchor.tenant != tenant:
        raise AnchorUnreadable(place=place, reason="it is another tenant's.")
    return anchor
