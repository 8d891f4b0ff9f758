"""``tenantry install``: catalog, roles, grants and walls; logins; the same as a script."""

import enum
from typing import Annotated

import typer

from tenantry.cli.applying import catalog_of, tenancy_of
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.isolation.servers import MAIN

_EPILOG = """
Examples:

tenantry install

tenantry install --sql | less  (what a DBA would run)

tenantry install --login web_app  (a run-time login; its URL is printed this once)

tenantry install --login reports --role operator --json

The owner's login comes from the program, or from TENANTRY_OWNER_URL.
"""

app = typer.Typer(add_completion=False)


class Role(enum.StrEnum):
    """What a login is for."""

    APP = "app"
    OPERATOR = "operator"
    PLATFORM = "platform"
    OWNER = "owner"


@app.command(epilog=_EPILOG)
def install(
    context: typer.Context,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements and run none.")] = False,
    login: Annotated[str | None, typer.Option(metavar="NAME", help="Make a login, print its URL, and no more.")] = None,
    role: Annotated[Role, typer.Option(help="What the login is for.")] = Role.APP,
    create_tables: Annotated[
        bool, typer.Option("--create-tables", help="Make missing common tables too: for demonstrations and tests.")
    ] = False,
    server: Annotated[str, typer.Option(help="For --sql and --login: which server.")] = MAIN,
    as_json: AsJSON = False,
) -> None:
    """Make catalog, roles, grants and walls on every server; again whenever models change."""
    if sql and login:
        raise ConfigurationError(what="--sql and --login are two different things.", fix="Ask for one of them.")
    if sql:
        _print_script(context, server, create_tables=create_tables, as_json=as_json)
    elif login:
        _make_login(context, login, role=role, server=server, as_json=as_json)
    else:
        _install(context, create_tables=create_tables, as_json=as_json)


def _print_script(context: typer.Context, server: str, *, create_tables: bool, as_json: bool) -> None:
    statements = tenancy_of(context).install_script(server=server, create_tables=create_tables)
    if as_json:
        print_json(statements)
        return
    # The search path is set for one transaction.
    for statement in ["BEGIN", *statements, "COMMIT"]:
        typer.echo(f"{statement};")


def _make_login(context: typer.Context, name: str, *, role: Role, server: str, as_json: bool) -> None:
    url = catalog_of(context).create_login(name, role=role.value, server=server)
    if as_json:
        print_json({"login": name, "role": role.value, "server": server, "url": url})
        return
    typer.echo(url)
    say(f"The login {name} works as {role.value}. Its URL is shown this once: keep it where secrets are kept.")


def _install(context: typer.Context, *, create_tables: bool, as_json: bool) -> None:
    tenancy = tenancy_of(context)
    with progress("Installing"):
        tenancy.install(create_tables=create_tables)
    servers = [{"name": found.name, "kind": found.kind, "location": found.location} for found in tenancy.servers.all()]
    if as_json:
        print_json({"servers": servers})
        return
    print_table(["server", "kind", "location"], [list(found.values()) for found in servers])
    say("Installed. `tenantry doctor` looks whether everything holds.")
