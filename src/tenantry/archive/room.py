"""What it means when a file can be written no further."""

from __future__ import annotations

import errno
from typing import Final

from tenantry.errors import ArchiveError, StoreFull, StoreUnavailable

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def unwritten(error: OSError, *, name: str, store: str) -> ArchiveError:
    """Returns what to raise for *error*: StoreFull where room was lacking for *name*, else StoreUnavailable."""
    reason = f"{error.strerror or type(error).__name__}."
    if error.errno in NO_ROOM:
        return StoreFull(name=name, reason=reason)
    return StoreUnavailable(store=store, reason=reason)
