"""``tenantry top``."""

import contextlib
import time
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from tenantry.cli.applying import catalog_of
from tenantry.cli.showing import AsJSON, print_json, print_table, say
from tenantry.errors import ConfigurationError, TenantNotFound
from tenantry.isolation.postgres import PostgresServer
from tenantry.observe.activity import Running, running
from tenantry.observe.reading import Told, read_exposition
from tenantry.tenancy import Tenancy

_EPILOG = """
Examples:

tenantry top

tenantry top --every 2

tenantry top --metrics http://127.0.0.1:8000/metrics

What runs is read from PostgreSQL, for every program. What is over, and what SQLite does, only your programs know: give
--metrics the text of Observer.prometheus(), from a file or over HTTP.
"""
_SECONDS = 10

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def top(
    context: typer.Context,
    *,
    every: Annotated[float | None, typer.Option(min=0.1, metavar="SECONDS", help="Look again and again.")] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="URL|FILE", help="Read what a program has told of its work so far.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Show which tenants are slow: their transactions now, the oldest first, or their statements so far."""
    tenancy = None if metrics else catalog_of(context)
    while True:
        if tenancy is None:
            _print_told(_read(metrics or ""), as_json=as_json)
        else:
            _print_running(tenancy, as_json=as_json)
        if every is None:
            return
        time.sleep(every)


def _print_running(tenancy: Tenancy, *, as_json: bool) -> None:
    servers = tenancy.servers.all()
    seen = [one for server in servers if isinstance(server, PostgresServer) for one in running(server)]
    slugs = _slugs(tenancy, {one.tenant for one in seen})
    found = sorted((one for one in seen if one.tenant in slugs), key=lambda one: one.seconds, reverse=True)
    whose = {one.pid: slugs[one.tenant] for one in found}
    if as_json:
        print_json([_as_data(one, slugs[one.tenant], whose) for one in found])
    else:
        columns = ["tenant", "server", "pid", "state", "transaction s", "statement s", "waits for", "statement"]
        print_table(columns, [_row(one, slugs[one.tenant], whose) for one in found])
    _remark(tenancy, found)


def _remark(tenancy: Tenancy, found: Sequence[Running]) -> None:
    hidden = sum(one.state == "hidden" for one in found)
    if hidden:
        say(f"{hidden} belong to another login, of which this one sees no more. GRANT pg_read_all_stats to see them.")
    if any(server.kind == "sqlite" for server in tenancy.servers.all()):
        say("SQLite keeps no list of what runs: give --metrics what Observer.prometheus() says in your program.")


def _row(one: Running, slug: str, whose: dict[int, str]) -> Sequence[object]:
    times = (f"{one.seconds:.1f}", f"{one.statement_seconds:.1f}")
    return (slug, one.server, one.pid, one.state, *times, ", ".join(_blockers(one, whose)), one.statement)


def _as_data(one: Running, slug: str, whose: dict[int, str]) -> dict[str, Any]:
    return {
        "tenant": slug,
        "id": str(one.tenant),
        "server": one.server,
        "pid": one.pid,
        "state": one.state,
        "seconds": one.seconds,
        "statement_seconds": one.statement_seconds,
        "blocked_by": _blockers(one, whose),
        "statement": one.statement,
    }


def _blockers(one: Running, whose: dict[int, str]) -> list[str]:
    return [whose.get(pid, f"pid {pid}") for pid in one.blocked_by]


def _slugs(tenancy: Tenancy, tenants: Iterable[UUID]) -> dict[UUID, str]:
    """Returns the slugs of those that the catalog knows: another installation on the same server has its own."""
    slugs = {}
    for tenant in tenants:
        with contextlib.suppress(TenantNotFound):
            slugs[tenant] = tenancy.tenants.get(tenant).slug
    return slugs


def _print_told(told: dict[str, Told], *, as_json: bool) -> None:
    names = ("statements", "errors", "slow", "leaked", "open", "seconds", "mean", "most")
    if as_json:
        print_json([{"tenant": slug, **{name: getattr(one, name) for name in names}} for slug, one in told.items()])
        return
    columns = ["tenant", "statements", "errors", "slow", "leaked", "open", "seconds", "mean ms", "95 % within ms"]
    print_table(columns, [(slug, *_numbers(one)) for slug, one in told.items()])


def _numbers(one: Told) -> Sequence[object]:
    times = (f"{one.seconds:.1f}", f"{one.mean * 1000:.1f}", f"{one.most * 1000:g}")
    return (one.statements, one.errors, one.slow, one.leaked, one.open, *times)


def _read(source: str) -> dict[str, Told]:
    try:
        told = read_exposition(_text(source))
    except (OSError, UnicodeDecodeError) as error:
        fix = "Give --metrics a file, or the URL at which your program shows Observer.prometheus()."
        raise ConfigurationError(what=f"{source!r} cannot be read: {error}.", fix=fix) from None
    return dict(sorted(told.items(), key=lambda item: item[1].seconds, reverse=True))


def _text(source: str) -> str:
    if not source.startswith(("http://", "https://")):
        return Path(source).read_text(encoding="utf-8")
    with urllib.request.urlopen(source, timeout=_SECONDS) as answer:  # noqa: S310  # http and https alone come here
        return str(answer.read().decode())
