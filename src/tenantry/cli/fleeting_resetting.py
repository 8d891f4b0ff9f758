"""``tenantry fleet reset``: every home emptied, back to the first revision and up to the newest again."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from tenantry.cli.fleeting_options import BackUp, Jobs, JSONLines, Yes, backup_of, call_of, fleet_of
from tenantry.cli.fleeting_showing import shown
from tenantry.cli.fleeting_telling import tell_outcome
from tenantry.cli.showing import say
from tenantry.errors import ConfigurationError
from tenantry.fleet import Fleet, Outcome
from tenantry.fleet.orders import BASE
from tenantry.fleet.running import Backup
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.isolation.servers import Server
from tenantry.tenancy import Tenancy

_ACTION: Final = "Resetting the fleet"
_EXAMPLES: Final = """
Examples:

tenantry fleet reset --yes  (on the embedded development server)

tenantry fleet reset --confirm saas --backup  (elsewhere: the name of the database, or of the directory of SQLite files)
"""


def register(app: typer.Typer) -> None:
    """Adds this command to *app*."""
    app.command(epilog=_EXAMPLES)(reset)


def reset(
    context: typer.Context,
    *,
    confirm: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the database whose every row is to go.")
    ] = None,
    jobs: Jobs = 4,
    backup: BackUp = False,
    yes: Yes = False,
    as_json: JSONLines = False,
) -> None:
    """Empty every home: back before the first revision, and up to the newest again. Every tenant's rows are gone."""
    tenancy, _, fleet = fleet_of(context)
    _check(tenancy, confirm, yes=yes)
    kept = backup_of(context, wanted=backup)
    code = 0
    with shown("reset", as_json=as_json):
        outcomes = list(_reset(fleet, jobs=jobs, backup=kept))
    for outcome in outcomes:
        code = max(code, tell_outcome(outcome, as_json=as_json, call=call_of(context)))
    if not code:
        say("Every home is empty. Tenants, identities and logins are as they were.")
    raise typer.Exit(code)


def _reset(fleet: Fleet, *, jobs: int, backup: Backup | None) -> Iterator[Outcome]:
    down = fleet.downgrade(BASE, jobs=jobs, backup=backup)
    yield down
    if down.ok:
        yield fleet.upgrade(jobs=jobs)


def _check(tenancy: Tenancy, confirm: str | None, *, yes: bool) -> None:
    """Lets a reset pass that is plainly meant.

    Raises: ConfigurationError.
    """
    server = tenancy.servers.main
    name = _name_of(server)
    if confirm == name or (confirm is None and yes and _is_for_development(server)):
        return
    what = f"Nothing was reset: every row of every tenant of {name!r} would be gone."
    if yes and confirm is None:
        what = f"{what} This is no development server, so --yes is not enough."
    raise ConfigurationError(what=what, fix=f"If that is what you want, add --confirm {name}.")


def _name_of(server: Server) -> str:
    if isinstance(server, PostgresServer):
        return str(server.url(OWNER, action=_ACTION).database)
    return server.file("").name


def _is_for_development(server: Server) -> bool:
    if not isinstance(server, PostgresServer):
        return False
    with server.owner(action=_ACTION) as connection:
        (found,) = connection.execute("SELECT current_setting('tenantry.embedded', true)").fetchone()
    return bool(found == "on")
