"""Every file of an SQLite server copied by SQLite's own backup, each as it is at one moment, and back."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Final

from tenantry.archive.dump_folders import Dump, DumpedFile, described
from tenantry.errors import DumpUnequal, ServerNotEmpty
from tenantry.events import announce
from tenantry.isolation.searching_sqlite import TABLES, tables_of_searches
from tenantry.isolation.sqlite import CATALOG, SqliteServer
from tenantry.isolation.sqlite_library import LibraryConnection

_PAGES: Final = 4096


def dump(server: SqliteServer, folder: Path, *, taken_at: datetime) -> Dump:
    """Returns what was copied; the catalog first, so that no tenant it knows is missing."""
    root, names = _files(server)
    files = []
    for done, name in enumerate(names):
        announce("dump", "copy", server=server.name, what=str(name), done=done, total=len(names))
        # A tenant may have been erased since the files were listed.
        if (root / name).is_file():
            files.append(_copied(root, folder, name))
    return Dump(
        kind=server.kind,
        server=server.name,
        version=sqlite3.sqlite_version,
        taken_at=taken_at,
        tables=(),
        plain=False,
        files=tuple(files),
    )


def foresee(server: SqliteServer) -> dict[str, int]:
    """Returns how many rows each file has."""
    root, names = _files(server)
    counts = {}
    for name in names:
        with contextlib.closing(sqlite3.connect(root / name, factory=LibraryConnection)) as connection:
            counts[name.as_posix()] = sum(_count(connection).values())
    return counts


def restore(server: SqliteServer, folder: Path, made: Dump) -> None:
    """Puts the files into the server's directory, which has to be empty.

    Raises: ServerNotEmpty, DumpUnequal.
    """
    root = server.file(CATALOG).parent
    if root.exists() and any(root.iterdir()):
        raise ServerNotEmpty(server=server.name, found=f"files in {root}")
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        for done, file in enumerate(made.files):
            announce("dump", "restore", server=server.name, what=file.name, done=done, total=len(made.files))
            (part / file.name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(folder / file.name, part / file.name)
            _compare(folder, part / file.name, file)
        if root.exists():
            root.rmdir()
        part.rename(root)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _files(server: SqliteServer) -> tuple[Path, list[Path]]:
    root = server.file(CATALOG).parent
    # A hidden file is a template, or half of one: it is made again where it is missed.
    found = [path.relative_to(root) for path in root.rglob("*.sqlite3") if not _is_hidden(path.relative_to(root))]
    return root, sorted(found, key=lambda name: (str(name) != CATALOG, str(name)))


def _copied(root: Path, folder: Path, name: Path) -> DumpedFile:
    target = folder / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    source = sqlite3.connect(root / name, factory=LibraryConnection)
    copy = sqlite3.connect(target)
    with contextlib.closing(source), contextlib.closing(copy):
        source.backup(copy, pages=_PAGES)
        # One file, and no log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        rows = _count(copy)
    return described(folder, name.as_posix(), name.as_posix(), rows)


def _compare(folder: Path, path: Path, file: DumpedFile) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = _count(connection)
    unlike = sorted(name for name in {*found, *file.rows} if found.get(name) != file.rows.get(name))
    if unlike:
        raise DumpUnequal(folder=folder, found=f"{file.name}: {', '.join(unlike)}")


def _count(connection: sqlite3.Connection) -> dict[str, int]:
    found = connection.execute(TABLES).fetchall()
    names = sorted({name for name, _ in found} - tables_of_searches(found))
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    return {name: connection.execute(f"SELECT count(*) FROM {quoted[name]}").fetchone()[0] for name in names}


def _is_hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)
