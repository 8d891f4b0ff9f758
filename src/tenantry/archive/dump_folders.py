"""The folder of a whole server's dump: its files, how many rows each table had, and a signature over all of that."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tenantry.archive.keys import KeyRing
from tenantry.archive.retention import Keep
from tenantry.catalog.archives import Archived
from tenantry.errors import DumpDamaged

CONTENTS: Final = "contents.json"
_FORMAT: Final = "tenantry server dump 1"
_PURPOSE: Final = "server dump"
# A second one of the same second has a number behind.
_NAMED: Final = re.compile(r"backup_\d{8}_\d{6}(?:_\d+)?")
_STAMP: Final = "backup_%Y%m%d_%H%M%S"
_PART: Final = ".part"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedFile:
    """One database in one file, and how many rows each of its tables had in the same snapshot."""

    name: str
    database: str
    size: int
    sha256: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """What a dump of a server holds; *tables* are those that were chosen, of all if there are none."""

    kind: str
    server: str
    version: str
    taken_at: datetime
    tables: Sequence[str]
    plain: bool
    files: Sequence[DumpedFile]

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(sum(file.rows.values()) for file in self.files)

    @property
    def size(self) -> int:
        """How large the files are together."""
        return sum(file.size for file in self.files)


@dataclass(slots=True)
class Draft:
    """A dump while it is written: *part* is its hidden folder, *path* its folder once it stands whole."""

    part: Path
    path: Path | None = None


@contextlib.contextmanager
def written(place: Path, taken_at: datetime) -> Iterator[Draft]:
    """Yields a hidden folder to write to, which bears its name once the block has ended well; else it goes."""
    stamp = taken_at.strftime(_STAMP)
    draft = Draft(place / f".{stamp}.{uuid.uuid4().hex[:8]}{_PART}")
    draft.part.mkdir(mode=0o700, parents=True)
    try:
        with _held(draft.part):
            sweep(place)
            yield draft
            draft.path = _named(draft.part, place, stamp)
    except BaseException:
        shutil.rmtree(draft.part, ignore_errors=True)
        raise
    _sync(place)


def sweep(place: Path) -> int:
    """Removes the hidden folders whose processes were killed while they wrote, and returns how many there were."""
    swept = 0
    for part in place.glob(f".backup_*{_PART}"):
        # Whoever writes holds it.
        with contextlib.suppress(BlockingIOError), _held(part):
            shutil.rmtree(part)
            swept += 1
    return swept


def described(folder: Path, name: str, database: str, rows: Mapping[str, int]) -> DumpedFile:
    """Returns what the contents say of a file that was written."""
    path = folder / name
    _sync(path)
    return DumpedFile(name=name, database=database, size=path.stat().st_size, sha256=_digest(path), rows=dict(rows))


def sign(folder: Path, dump: Dump, ring: KeyRing) -> None:
    """Writes the contents, signed; without them a folder is no dump."""
    facts = {**asdict(dump), "taken_at": dump.taken_at.isoformat(), "format": _FORMAT}
    facts["library"] = importlib.metadata.version("tenantry")
    message = json.dumps(facts, sort_keys=True)
    signed = {"signature": ring.sign(message.encode(), purpose=_PURPOSE), "contents": facts}
    (folder / CONTENTS).write_text(json.dumps(signed, indent=2), encoding="utf-8")
    _sync(folder / CONTENTS)


def read(folder: Path, ring: KeyRing) -> Dump:
    """Returns the contents of a dump, once the signature holds and every file is what was written.

    Raises: DumpDamaged.
    """
    facts = _contents(folder, ring)
    files = tuple(DumpedFile(**file) for file in facts["files"])
    for file in files:
        path = folder / file.name
        if not _NAME.fullmatch(file.name) or not path.is_file() or path.stat().st_size != file.size:
            raise DumpDamaged(folder=folder, reason=f"its file {file.name} is missing or has another size.")
        if _digest(path) != file.sha256:
            raise DumpDamaged(folder=folder, reason=f"its file {file.name} is not what was written.")
    known = {name: facts[name] for name in ("kind", "server", "version", "plain")}
    return Dump(**known, tables=tuple(facts["tables"]), taken_at=datetime.fromisoformat(facts["taken_at"]), files=files)


def listing(place: Path) -> list[Path]:
    """Returns the dumps that stand whole in a directory, the newest first."""
    found = [path for path in place.glob("backup_*") if _NAMED.fullmatch(path.name) and (path / CONTENTS).is_file()]
    return sorted(found, reverse=True)


def prune(place: Path, keep: Keep, *, dry_run: bool = False) -> dict[Path, str | None]:
    """Deletes the dumps that *keep* does not count, and returns each with why it stayed."""
    dumps = [_as_archived(path) for path in listing(place)]
    reasons = keep.reasons(dumps)
    judged = {place / dump.name: reasons.get(dump.id) for dump in dumps}
    for path, reason in judged.items():
        if reason is None and not dry_run:
            # Without its contents it is no dump any more, wherever this stops.
            (path / CONTENTS).unlink()
            shutil.rmtree(path)
    return judged


def _contents(folder: Path, ring: KeyRing) -> dict[str, Any]:
    try:
        signed = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        facts, signature = signed["contents"], signed["signature"]
        message = json.dumps(facts, sort_keys=True)
        holds = ring.check(message.encode(), signature, purpose=_PURPOSE) and facts["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DumpDamaged(folder=folder, reason=f"its {CONTENTS} cannot be read ({type(error).__name__}).") from error
    if not holds:
        raise DumpDamaged(folder=folder, reason="no key of the ring has signed it as it stands.")
    found: dict[str, Any] = facts
    return found


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _named(part: Path, place: Path, stamp: str) -> Path:
    """Gives a folder its name, which no other dump has."""
    for number in itertools.count(1):
        target = place / (stamp if number == 1 else f"{stamp}_{number}")
        if not target.exists():
            # A folder is never renamed over another that has something in it.
            return part.rename(target)
    raise AssertionError


def _as_archived(path: Path) -> Archived:
    return Archived(
        id=uuid.uuid4(),
        tenant_id=uuid.UUID(int=0),
        store=str(path.parent),
        name=path.name,
        taken_at=datetime.strptime(path.name[: len("backup_YYYYmmdd_HHMMSS")], _STAMP).replace(tzinfo=UTC),
        size=0,
        rows=0,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
