"""One directory of SQLite files examined: who may open it, what lies in it, and what each file holds."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tenantry.doctor import placements, sqlite_tables
from tenantry.doctor.placements import Census
from tenantry.events import announce
from tenantry.isolation.registries import NOTE_SUFFIX
from tenantry.isolation.registries import PREFIX as REGISTRY_PREFIX
from tenantry.isolation.searching import plan_of
from tenantry.isolation.searching_sqlite import has_engine
from tenantry.isolation.sqlite import CATALOG, COMMON, PLATFORM, TEMPLATE_PREFIX, SqliteServer
from tenantry.models import Ownership, owned_tables
from tenantry.types import Finding, Isolation

_OWN: Final = (CATALOG, PLATFORM, COMMON)
_SUFFIXES: Final = ("-wal", "-shm", "-journal", NOTE_SUFFIX)
_HALF_MADE: Final = re.compile(r"\.(?P<name>[0-9a-z]+\.sqlite3)\.[0-9a-f]{8}(?:-wal|-shm|-journal)?")
_TEMPLATE: Final = re.compile(TEMPLATE_PREFIX + r"[0-9a-f]{16}\.sqlite3")
_TENANT_FILE: Final = re.compile(r"(?P<fold>[0-9a-f]{2})/(?P<tenant>[0-9a-f]{32})\.sqlite3")


def examine(server: SqliteServer, census: Census) -> Iterator[Finding]:
    """Yields all that is found in one directory."""
    directory = Path(server.location)
    if not (directory / COMMON).exists():
        message = "The directory holds no common file, so nothing is installed in it."
        yield Finding("D108", str(directory), message, "Run `tenantry install`.")
        return
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        message = f"Its mode is {mode:04o}, so other accounts of this machine reach every tenant's file."
        yield Finding("D801", str(directory), message, f"chmod 700 {directory}")
    if any(plan_of(table) for table in server.metadata.tables.values()) and not has_engine():
        message = "SQLite has no FTS5 in this process, so searches in tenants' files read every row."
        yield Finding("N501", str(directory), message, "Run it with a build of SQLite that has FTS5.")
    found = list(_files(directory))
    yield from _judge_names(directory, found)
    files = {path.relative_to(directory).as_posix(): path for path in found if not path.is_symlink()}
    for name in (PLATFORM, COMMON, *([CATALOG] if CATALOG in files else [])):
        yield from _judge_file(server, directory / name, census)
    yield from _judge_placements(server, census, files)


def _files(directory: Path) -> Iterator[Path]:
    """Yields what lies in the directory and in its folders of tenants; links are not followed."""
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not path.is_symlink() and re.fullmatch(r"[0-9a-f]{2}", path.name):
            yield from sorted(path.iterdir())
        else:
            yield path


def _judge_names(directory: Path, paths: list[Path]) -> Iterator[Finding]:
    for path in paths:
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(directory.resolve()):
            message = f"It is a link to {path.resolve()}, where this directory's mode protects nothing."
            yield Finding("D802", str(path), message, "Move the file here in place of the link.")
        elif _HALF_MADE.fullmatch(path.name):
            message = "It was being made when its process ended, or is being made right now."
            yield Finding("N801", str(path), message, f"If it is still here in a minute: rm {path}")
        elif not _is_ours(name):
            message = "Nothing of Tenantry's bears such a name; no erasure or backup will ever find it."
            yield Finding("D803", str(path), message, "Move it elsewhere.")


def _is_ours(name: str) -> bool:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    folder, slash, own = name.rpartition("/")
    name = folder + slash + own.removeprefix(REGISTRY_PREFIX)
    return name in _OWN or _TEMPLATE.fullmatch(name) is not None or _tenant_of(name) is not None


def _tenant_of(name: str) -> uuid.UUID | None:
    found = _TENANT_FILE.fullmatch(name)
    return uuid.UUID(found["tenant"]) if found and found["tenant"].endswith(found["fold"]) else None


def _judge_placements(server: SqliteServer, census: Census, files: dict[str, Path]) -> Iterator[Finding]:
    for tenant in census.standing(Isolation.DATABASE):
        if not server.file(tenant.physical).exists():
            yield placements.missing(tenant, str(server.file(tenant.physical)))
    for placement in census.waiting(Isolation.DATABASE):
        if not server.file(placement.physical).exists() and census.still_ready(placement.id):
            yield placements.lost(placement, str(server.file(placement.physical)))
    for physical, tenant_id in census.placed(Isolation.DATABASE).items():
        if physical in files:
            yield from _judge_file(server, files[physical], census, resident=tenant_id)
    names = [name for name in files if _tenant_of(name)]
    for name in census.orphans(names, lambda name: _tenant_of(name) or uuid.UUID(int=0)):
        message = "No tenant lives in this file any more; what it holds was to be erased."
        yield Finding("D601", str(files[name]), message, f"rm {files[name]}*")


def _judge_file(
    server: SqliteServer, path: Path, census: Census, *, resident: uuid.UUID | None = None
) -> Iterator[Finding]:
    announce("doctor", "look", what=str(path))
    try:
        with contextlib.closing(_open(path)) as connection:
            yield from _judge_soundness(path, connection)
            if resident is not None:
                tables = owned_tables(server.metadata, Ownership.TENANT, Ownership.RECORD, Ownership.SHARED)
                yield from sqlite_tables.judge_own(path, connection, tables=tables, resident=resident)
            elif path.name == COMMON:
                yield from sqlite_tables.judge_common(path, connection, metadata=server.metadata, census=census)
    except sqlite3.DatabaseError as error:
        yield Finding("D804", str(path), f"SQLite cannot read it: {error}.", "Restore it from a backup.")


def _open(path: Path) -> sqlite3.Connection:
    # Not mode=ro: such a connection cannot clean up after itself in WAL mode.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _judge_soundness(path: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    answers = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    if answers != ["ok"]:
        yield Finding("D804", str(path), f"It is damaged: {'; '.join(answers)[:200]}.", "Restore it from a backup.")
        return
    broken = sorted({str(row[0]) for row in connection.execute("PRAGMA foreign_key_check")})
    if broken:
        message = f"Rows of {', '.join(broken)} refer to rows that are not there."
        fix = "Written with foreign_keys off: find them with PRAGMA foreign_key_check, then mend or delete them."
        yield Finding("D805", str(path), message, fix)
