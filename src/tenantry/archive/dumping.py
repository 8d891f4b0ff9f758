"""A whole server in a folder, and back: every database of a PostgreSQL server, every file of an SQLite one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tenantry.archive import dump_folders, dumping_postgres, dumping_sqlite
from tenantry.archive.dump_folders import Dump
from tenantry.archive.keys import KeyRing
from tenantry.errors import ConfigurationError, DumpDamaged
from tenantry.isolation.servers import MAIN
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy

_TABLE: Final = re.compile(r"(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*")


def dump(
    tenancy: Tenancy,
    place: Path,
    *,
    ring: KeyRing,
    server: str = MAIN,
    tables: Sequence[str] = (),
    plain: bool = False,
    programs: Path | None = None,
) -> tuple[Path, Dump]:
    """Writes every database of a server into a new folder ``backup_YYYYmmdd_HHMMSS``, signed, or nothing.

    Each database is one snapshot. *tables* of the common ones chooses some; *plain* writes SQL for people and psql,
    which ``restore`` does not take. *programs* is where pg_dump is, by default wherever it is new enough.

    Raises: DumpRefused for a login that does not see every row, DumpFailed, ProgramMissing, LoginRequired.
    """
    for table in tables:
        if not _TABLE.fullmatch(table):
            raise ConfigurationError(what=f"{table!r} is no plain name of a table.", fix="Write table or schema.table.")
    found, taken_at = tenancy.servers.get(server), datetime.now(UTC)
    with dump_folders.written(place, taken_at) as draft:
        if isinstance(found, SqliteServer):
            made = dumping_sqlite.dump(found, draft.part, taken_at=taken_at)
        else:
            made = dumping_postgres.dump(
                tenancy, found, draft.part, taken_at=taken_at, tables=tables, plain=plain, programs=programs
            )
        dump_folders.sign(draft.part, made, ring)
    return draft.path or draft.part, made


def foresee(tenancy: Tenancy, *, server: str = MAIN, tables: Sequence[str] = ()) -> Mapping[str, int]:
    """Returns how many rows each database has that a dump would hold; nothing is written.

    Raises: DumpRefused, LoginRequired.
    """
    found = tenancy.servers.get(server)
    if isinstance(found, SqliteServer):
        return dumping_sqlite.foresee(found)
    return dumping_postgres.foresee(tenancy, found, tables=tables)


def restore(
    tenancy: Tenancy, folder: Path, *, ring: KeyRing, server: str = MAIN, programs: Path | None = None, jobs: int = 1
) -> Dump:
    """Makes the databases of a dump anew on a server that has none of them, or leaves it as it was.

    Signature and digests are checked before anything is read. Afterwards ``tenancy.install()`` closes the walls, and
    logins are made again: a dump has none.

    Raises: DumpDamaged, ServerNotEmpty, DumpFailed, DumpUnequal, ProgramMissing, LoginRequired.
    """
    made, found = dump_folders.read(folder, ring), tenancy.servers.get(server)
    if made.plain or made.tables or made.kind != found.kind:
        what = "plain SQL" if made.plain else "chosen tables" if made.tables else f"of a {made.kind} server"
        raise DumpDamaged(folder=folder, reason=f"it is {what}; server {server} takes whole dumps of {found.kind}.")
    if isinstance(found, SqliteServer):
        dumping_sqlite.restore(found, folder, made)
    else:
        dumping_postgres.restore(found, folder, made, programs=programs, jobs=jobs)
    return made
