"""The commands by name, each in a module of its own that is imported when the command is called."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

# Name, module, and the line that stands in `tenantry --help`.
COMMANDS: Final = {
    "demo": (
        "demonstrating",
        "Shows the whole thing on an embedded server: tenants kept apart, every way to break in, five systems served.",
    ),
    "install": ("installing", "Make catalog, roles, grants and walls on every server; again whenever models change."),
    "doctor": ("doctoring", "Judge logins, grants, walls, keys and versions on every server; change nothing."),
    "tenants": (
        "tenanting",
        "Create, list, show, suspend, resume, rename, adopt, move and erase tenants.",
    ),
    "fleet": ("fleeting", "Migrate every tenant: plan, try on canaries, go on after a failure, take back."),
    "archive": (
        "archiving",
        "Back tenants up, verify, restore, compare, export and prune, one at a time or by the clock.",
    ),
    "top": (
        "observing",
        "Show which tenants are slow: their transactions now, the oldest first, or their statements so far.",
    ),
    "shell": ("shelling", "Open Python inside one tenant's session."),
}

_EPILOG: Final = """
Examples:

tenantry demo

tenantry --app shop.db:tenancy install

tenantry --app shop.db:tenancy tenants create acme --isolation schema

tenantry --app shop.db:tenancy fleet upgrade --canary 5%

tenantry doctor --json  (with TENANTRY_APP, or with app = "shop.db:tenancy" under \\[tool.tenantry] in pyproject.toml)

Exit codes: 0 well, 1 findings or a failure, 2 a mistake in what was asked, 3 not done for every tenant.
"""


class Commands(TyperGroup):
    """A group that shows its commands without importing them, and says expected errors in one sentence."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns what stands in the help for a command, not the command."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            return super().main(*args, **options)
        except Exception as error:
            # Knows the database libraries, which are loaded by now or not needed.
            importlib.import_module("tenantry.cli.failing").end(error)


def load(name: str) -> Any:
    """Returns the command of that name, importing its module."""
    command = typer.main.get_command(importlib.import_module(f"tenantry.cli.{COMMANDS[name][0]}").app)
    command.name = name
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("tenantry"))
        raise typer.Exit


app = typer.Typer(cls=Commands, pretty_exceptions_enable=False, no_args_is_help=True, epilog=_EPILOG)


@app.callback()
def tenantry(
    context: typer.Context,
    *,
    application: Annotated[
        str | None,
        typer.Option("--app", metavar="MODULE:NAME", envvar="TENANTRY_APP", help="The Tenancy object of your program."),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Keep the data of many customers apart: install walls, look after tenants, migrate them, find faults."""
    context.obj = application


root: Any = typer.main.get_command(app)
