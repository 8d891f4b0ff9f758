"""``tenantry shell``: Python inside one tenant's session."""

import code
import contextlib
import traceback
from typing import Annotated, Any

import typer
from sqlalchemy import func, select, text

from tenantry.cli.applying import Key, parse_key, tenancy_of
from tenantry.cli.showing import say
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

with contextlib.suppress(ImportError):  # not on every platform; lines are then not edited or kept
    import readline  # noqa: F401

_LINE = "<command>"
_EPILOG = """
Examples:

tenantry shell acme

tenantry shell acme -c 'print(db.scalar(select(func.count()).select_from(Ticket)))'

In it: db (the session), tenancy, tenant, your models by name, select, func, text. Nothing is kept without db.commit().
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def shell(
    context: typer.Context,
    *,
    key: Key,
    command: Annotated[str | None, typer.Option("-c", metavar="CODE", help="Run this and stop.")] = None,
) -> None:
    """Open Python inside one tenant's session."""
    tenancy = tenancy_of(context)
    with tenancy.session(parse_key(key)) as db:
        names = _names(tenancy, db)
        if command is not None:
            _run(command, names)
        else:
            code.interact(banner=_banner(db, names), local=names, exitmsg="")


def _names(tenancy: Tenancy, db: TenantSession) -> dict[str, Any]:
    registry = getattr(tenancy.models, "registry", None)
    models = {mapper.class_.__name__: mapper.class_ for mapper in registry.mappers} if registry else {}
    given = {"db": db, "tenancy": tenancy, "tenant": db.tenant, "select": select, "func": func, "text": text}
    return {**models, **given}


def _banner(db: TenantSession, names: dict[str, Any]) -> str:
    tenant = db.tenant
    return (
        f"This is the data of {tenant.slug} ({tenant.name}), {tenant.isolation} on {tenant.server}, nobody else's.\n"
        f"Nothing is kept without db.commit(). Names: {', '.join(sorted(names))}."
    )


def _run(command: str, names: dict[str, Any]) -> None:
    try:
        exec(compile(command, _LINE, "exec"), names)  # noqa: S102  # running the user's own line is what it is for
    except Exception as error:  # the line is the user's, so what it raises is said in a sentence
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _LINE]
        say(f"Line {lines[-1] if lines else 1}: {type(error).__name__}: {error}")
        raise typer.Exit(1) from None
