"""Expected errors in one sentence, with the exit code that fits; no word of the driver's that could hold a secret."""

from __future__ import annotations

import re
import sys
from typing import Final, NoReturn

from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tenantry import errors

FAILED: Final = 1
MISTAKE: Final = 2

_MISTAKES: Final = (
    errors.ConfigurationError,
    errors.ExtraMissing,
    errors.ModelsRefused,
    errors.LoginRequired,
    errors.ServerUnknown,
    errors.IsolationUnavailable,
    errors.InvalidKey,
    errors.TenantNotFound,
    errors.TenantExists,
    errors.TenantUnavailable,
    errors.IdentityTaken,
    errors.LifecycleError,
    errors.TenantCreationDisabled,
    errors.EraseNotConfirmed,
    errors.MigrationsMissing,
    errors.MoveUnknown,
    errors.RevisionUnknown,
    errors.SeveralHeads,
    errors.HomeBehind,
    errors.CanaryRefused,
    errors.RunUnknown,
    errors.RunClosed,
    errors.HookMissing,
    errors.PlanInvalid,
    errors.ScriptRefused,
    errors.ArchiveUnknown,
    errors.ArchiveOfAnother,
    errors.NoArchive,
    errors.PlaceNotEmpty,
    errors.ScheduleUnknown,
    errors.OperationUnknown,
    errors.ServerNotEmpty,
)

# What a driver says when there is no way in, and what to look at.
_NO_WAY_IN: Final = (
    ("connection refused", "Nothing listens{where}. Check that the server runs, and the host and port of the URL."),
    (
        "password authentication failed",
        "The server{where} refused the login{login}. Check both in the URL.",
    ),
    ("no password supplied", "The server{where} wants a password for the login{login}, and the URL has none."),
    ("no pg_hba.conf entry", "The server{where} lets the login{login} in from nowhere near. Check its pg_hba.conf."),
    ("database", "The server{where} has no such database. Check the name in the URL, or create it."),
    ("role", "The server{where} knows no login of that name. Check the user in the URL."),
    ("timeout", "The server{where} did not answer in time. Check the host and port of the URL, and firewalls between."),
    ("resolve", "The host of the URL is not known. Check it."),
    ("translate host name", "The host of the URL is not known. Check it."),
    ("not known", "The host of the URL is not known. Check it."),  # the resolver's own words, without the driver's
    ("too many", "The server{where} has no connection left. Close some, or raise max_connections."),
    ("connection slots", "The server{where} has no connection left. Close some, or raise max_connections."),
    (
        "unable to open database file",
        "SQLite cannot open the file. Check that its directory exists.",
    ),
    ("readonly database", "SQLite may not write the file. Check who owns the directory."),
    ("locked", "Another process held the SQLite file too long. Try again."),
)
_WHERE: Final = re.compile(r'at "(?P<host>[^"@]+)"(?: \([^)]*\))?, port (?P<port>\d+)')
_LOGIN: Final = re.compile(r'for user "(?P<name>[^"]+)"')


def end(error: Exception) -> NoReturn:
    """Ends the process with one sentence about an expected error.

    Raises: the error itself where it is not expected: a traceback is then what helps.
    """
    found = explain(error)
    if found is None:
        raise error
    sentence, code = found
    Console(stderr=True, highlight=False).print(f"[red]{escape(sentence)}[/red]", soft_wrap=True)
    sys.exit(code)


def explain(error: Exception) -> tuple[str, int] | None:
    """Returns the sentence and the exit code for an error, or None for one that nobody expected."""
    if isinstance(error, errors.TenantryError):
        return str(error), MISTAKE if isinstance(error, _MISTAKES) else FAILED
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if type(cause).__name__ == "OperationalError":
        return _no_way_in(str(cause)), FAILED
    if isinstance(error, SQLAlchemyError) or type(cause).__module__.startswith("psycopg"):
        return f"The database refused: {str(cause).splitlines()[0]}", FAILED
    if type(error).__module__ == "alembic.util.exc":  # not imported for its name's sake: it may not be installed
        return f"Alembic refused: {error}", MISTAKE
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), FAILED
    return None


def _no_way_in(said: str) -> str:
    found, login = _WHERE.search(said), _LOGIN.search(said)
    where = f" at {found['host']}:{found['port']}" if found else ""
    who = f" {login['name']}" if login else ""
    lowered = said.lower()
    for fragment, sentence in _NO_WAY_IN:
        if fragment in lowered:
            return sentence.format(where=where, login=who)
    return f"The database{where} does not answer. Check that the server runs, and the parts of the URL."
