"""What things in a store may be called, and what an archive is called."""

from __future__ import annotations

import datetime
import re
import uuid
from typing import Final

from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import moment_of
from tenantry.errors import ArchiveError

# Up to four plain words joined by slashes: no dot first, so neither ".." nor a hidden file; nothing that a shell, a URL
# or a case-folding file system reads in its own way.
NAME: Final = re.compile(r"[a-z0-9_][a-z0-9._-]{0,99}(?:/[a-z0-9_][a-z0-9._-]{0,99}){0,3}")
ARCHIVE_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(\d{8})t(\d{6})\.(\d{6})z\.tenantry")


def check_name(name: str) -> str:
    """Returns *name* if it can name something in a store.

    Raises: ArchiveError for anything that is not up to four plain words with slashes between them.
    """
    if not NAME.fullmatch(name):
        raise ArchiveError(
            what=f"{name[:120]!a} cannot name anything in a store.",
            fix="Use a name as `tenantry archive list` shows it.",
        )
    return name


def directory_of(prefix: str) -> str:
    """Returns the directory that all names with *prefix* lie in, '' where that is the whole store."""
    directory = prefix.rpartition("/")[0]
    return directory if NAME.fullmatch(directory) else ""


def archive_name(tenant: uuid.UUID, taken_at: datetime.datetime) -> str:
    """Returns the name of a tenant's archive of one moment; those of one tenant sort by time."""
    return f"{tenant}/{taken_at.astimezone(datetime.UTC):%Y%m%dt%H%M%S.%fz}.tenantry"


def parse_archive_name(name: str) -> tuple[uuid.UUID, datetime.datetime] | None:
    """Returns the tenant and the moment that ``archive_name`` made *name* of, or None for any other name."""
    found = ARCHIVE_NAME.fullmatch(name)
    if found is None:
        return None
    tenant, day, time, fraction = found.groups()
    try:
        moment = moment_of(f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}.{fraction}Z")
    except Fault:
        return None
    return uuid.UUID(tenant), moment
