"""``tenantry fleet``: migrations over every home, with Alembic's verbs, and what a run of them needs besides."""

from typing import Annotated

import typer

from tenantry.cli import fleeting_looking, fleeting_resetting, fleeting_running, fleeting_writing
from tenantry.cli.fleeting_options import SQITCH

_EPILOG = """
Examples:

tenantry fleet init migrations

tenantry fleet revision --autogenerate -m "add priority"

tenantry fleet plan  (who is behind, in which order they would go)

tenantry fleet upgrade --canary 5% --health "exists (select from companies)"

tenantry fleet status

tenantry fleet resume  (after a failure was mended, a pause, or a crash)

tenantry fleet rollback --ring canary

tenantry fleet --sqitch db upgrade  (a Sqitch project in place of Alembic's scripts)

A home is a place with a schema history of its own: a server's common tables, a tenant's schema, database or file.

Exit codes: 0 every home is done, 1 findings or a failure, 2 a mistake in what was asked, 3 some home is not done.
"""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)


@app.callback()
def fleet(
    context: typer.Context,
    *,
    sqitch: Annotated[
        str | None,
        typer.Option(
            metavar="DIRECTORY",
            help="Take the Sqitch project there as the history, not the Alembic scripts; else TENANTRY_SQITCH.",
        ),
    ] = None,
) -> None:
    """Migrate every tenant: plan, try on canaries, go on after a failure, take back."""
    context.meta[SQITCH] = sqitch


# In the order in which one needs them; that is how the help shows them.
fleeting_writing.register(app)
fleeting_looking.register(app)
fleeting_running.register(app)
fleeting_resetting.register(app)
