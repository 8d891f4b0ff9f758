"""The options that the fleet's commands share, and from what was typed to what the fleet takes."""

from __future__ import annotations

import functools
import importlib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from tenantry.cli.applying import callable_at, parse_key, setting, tenancy_of
from tenantry.errors import ConfigurationError, ExtraMissing
from tenantry.fleet import Fleet, Pace
from tenantry.fleet.core import alembic_history
from tenantry.fleet.history import History
from tenantry.fleet.orders import MAX_FAILURES
from tenantry.fleet.rings import Canary, Health
from tenantry.fleet.running import Backup
from tenantry.settings import folder_of
from tenantry.tenancy import Tenancy

# Where the choice of a Sqitch project waits for the command, in click's own place for such things.
SQITCH: Final = "tenantry.sqitch"
ALL: Final = "all"

Target = Annotated[
    str, typer.Argument(metavar="REVISION", help="head, base, a revision or its beginning, +1, -1; for Sqitch a @tag.")
]
Canaries = Annotated[
    list[str] | None,
    typer.Option("--canary", metavar="KEY|PERCENT%", help="Who goes first: tenants (repeatable), or a share of them."),
]
HealthCheck = Annotated[
    str | None,
    typer.Option(
        "--health",
        metavar="SQL|MODULE:FUNCTION",
        help="What must be true in each canary's session before the rest begins.",
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="How many homes at a time.")]
MaxFailures = Annotated[
    str, typer.Option(metavar="N|all", help="How many homes may fail before the run stops; 'all' never stops it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=PATTERN",
        help="Only the homes whose home, kind, server, slug or tenant fits; repeatable, all must fit.",
    ),
]
LockTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", min=0.001, help="How long a statement waits for a lock, and others for it.")
]
StatementTimeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.001, help="How long one statement may run.")
]
Attempts = Annotated[int, typer.Option(min=1, help="How often a home that was in use is tried.")]
OneByOne = Annotated[
    bool, typer.Option("--one-by-one", help="Each statement a message of its own, through Alembic: slower.")
]
BackUp = Annotated[
    bool, typer.Option("--backup", help="Back each tenant up before it is changed: to TENANTRY_ARCHIVE.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
JSONLines = Annotated[
    bool, typer.Option("--json", help="Print JSON: a line for each step and home, and a summary as the last.")
]

LOCK_TIMEOUT: Final = Pace().lock_timeout
ATTEMPTS: Final = Pace().attempts
FAILURES: Final = str(MAX_FAILURES)

_RELATIVE: Final = re.compile(r"-\d+")
# No SQL expression looks like this.
_FUNCTION: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Relative(TyperCommand):
    """A command whose revision may be relative, as Alembic's may: ``-1`` is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts relative revisions where nobody takes them for options."""
        relative = [argument for argument in args if _RELATIVE.fullmatch(argument)]
        plain = [argument for argument in args if not _RELATIVE.fullmatch(argument)]
        stop = [] if "--" in plain or not relative else ["--"]
        parsed: list[str] = super().parse_args(ctx, [*plain, *stop, *relative])
        return parsed


def history_of(context: typer.Context, tenancy: Tenancy) -> History:
    """Returns the history that the call, the environment or pyproject.toml chose: a Sqitch project's, else Alembic's.

    Raises: MigrationsMissing, ExtraMissing, ConfigurationError.
    """
    folder = context.meta.get(SQITCH) or setting("sqitch")
    if folder is not None:
        history: History = part_of_fleet("sqitch").SqitchHistory(tenancy, folder_of(folder))
        return history
    return alembic_history(tenancy)


def fleet_of(context: typer.Context) -> tuple[Tenancy, History, Fleet]:
    """Returns the program's tenancy, the history of its homes, and its fleet.

    Raises: ConfigurationError, MigrationsMissing, ExtraMissing.
    """
    tenancy = tenancy_of(context)
    history = history_of(context, tenancy)
    return tenancy, history, Fleet(tenancy, history)


def part_of_fleet(name: str) -> Any:
    """Returns a module of the fleet that imports Alembic, which a fleet on Sqitch does without.

    Raises: ExtraMissing.
    """
    try:
        return importlib.import_module(f"tenantry.fleet.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("alembic", "mako"):
            raise
        raise ExtraMissing(module=f"tenantry.fleet.{name}", extra="fleet") from error


def canary_of(texts: Sequence[str] | None) -> Canary | None:
    """Returns the canary that was named, by a share or by keys.

    Raises: ConfigurationError for a share beside something else.
    """
    if not texts:
        return None
    if not any(text.endswith("%") for text in texts):
        return [parse_key(text) for text in texts]
    if len(texts) > 1:
        what = f"--canary {' --canary '.join(texts)} mixes a share with others."
        raise ConfigurationError(what=what, fix="Name one share, or the tenants.")
    return texts[0]


def call_of(context: typer.Context) -> str:
    """Returns how the fleet was called, to be called so again."""
    program = None if context.obj == os.environ.get("TENANTRY_APP") else context.obj
    return shlex.join(["tenantry", *_given("--app", program), "fleet", *_given("--sqitch", context.meta.get(SQITCH))])


def command_line(context: typer.Context, verb: str, *, target: str, **options: Sequence[str] | None) -> str:
    """Returns what to type for a verb with options that may be given several times."""
    named = [f"--{name} {shlex.quote(text)}" for name, texts in options.items() for text in texts or ()]
    return " ".join([call_of(context), verb, target, *named])


def health_of(text: str | None) -> Health | None:
    """Returns the health check: the function that module:function names, or else the SQL expression as it stands.

    Raises: ConfigurationError.
    """
    return callable_at(text, option="--health") if text and _FUNCTION.fullmatch(text) else text


def backup_of(context: typer.Context, *, wanted: bool) -> Backup | None:
    """Returns what backs a tenant up, where it is wanted: a function of the program's, else the archive.

    Raises: ConfigurationError where nothing says where archives lie, ExtraMissing.
    """
    if not wanted:
        return None
    named = setting("backup")
    if named is not None:
        return callable_at(named, option="TENANTRY_BACKUP")
    # The archive needs an extra, which a fleet without backups does without.
    archiving = importlib.import_module("tenantry.cli.archiving_options")
    archive = archiving.archive_of(context, None, encrypt=bool(setting("archive_encrypt")))
    return functools.partial(archive.backup, suspended=True, note="before a migration")


def failures_of(text: str) -> int | None:
    """Returns how many homes may fail, or None where all may.

    Raises: ConfigurationError.
    """
    if text == ALL:
        return None
    if not text.isdecimal():
        raise ConfigurationError(what=f"--max-failures {text!r} is no number.", fix=f"Give a number, or {ALL!r}.")
    return int(text)


def confirm(question: str, *, yes: bool) -> None:
    """Lets a call go on that the person at the terminal, or ``--yes``, agrees to.

    Raises: ConfigurationError where there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(what=f"{question} Nobody is here to agree to that.", fix="Add --yes.")
    typer.confirm(f"{question} Go on?", err=True, abort=True)


def _given(option: str, value: str | None) -> list[str]:
    return [] if value is None else [option, value]
