"""``tenantry tenants move``, ``rollback``, ``finalize`` and ``moves``: a tenant carried to another place."""

import importlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tenantry.cli.applying import Key, parse_key, tenancy_of
from tenantry.cli.fleeting_options import DryRun, Yes, confirm
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, as_data, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.types import Isolation

if TYPE_CHECKING:
    from tenantry.move import Move, Place, Plan, Status

_REFUSED: Final = 1
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(k|M|G)?B?", re.IGNORECASE)
_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_MOVING: Final = """
Examples:

tenantry tenants move acme --isolation database --dry-run  (what would be carried, and what stands in the way)

tenantry tenants move acme --isolation database

tenantry tenants move acme --server east --rate 20MB

tenantry tenants move acme --resume  (after a crash)

Then: tenantry tenants rollback acme, or tenantry tenants finalize acme.
"""

Rate = Annotated[str | None, typer.Option(metavar="SIZE", help="How much is copied in a second at most, such as 20MB.")]
Patience = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.1, help="How long the fence is tried, and may hold writers.")
]


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(epilog=_MOVING)(move)
    app.command(epilog="Example: tenantry tenants rollback acme")(rollback)
    app.command(epilog="Example: tenantry tenants finalize acme --yes")(finalize)
    app.command(epilog="Example: tenantry tenants moves --json")(moves)


def move(
    context: typer.Context,
    *,
    key: Key,
    isolation: Annotated[Isolation | None, typer.Option(help="How far apart it is to stand from others.")] = None,
    server: Annotated[str | None, typer.Option(help="On which server it is to live.")] = None,
    rate: Rate = None,
    patience: Patience = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the move that stopped.")] = False,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Carry a tenant to another place while it is used; the old place is kept until finalize."""
    found = _move_of(context)
    if resume == (isolation is not None or server is not None):
        fix = "Say where to with --isolation or --server, or --resume what was begun."
        raise ConfigurationError(what="A move has one destination.", fix=fix)
    if dry_run:
        _tell_plan(found, key, isolation, server, as_json=as_json)
        return
    with progress(f"Moving {key}"):
        pace = {"rate": _rate(rate), "patience": patience}
        if resume:
            status = found.resume(parse_key(key), **pace)
        else:
            status = found.start(parse_key(key), isolation=isolation, server=server, **pace)
    _tell(status, as_json=as_json)


def rollback(
    context: typer.Context,
    *,
    key: Key,
    rate: Rate = None,
    patience: Patience = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Bring a tenant back to where its move began, with all that was written since; not after finalize."""
    found = _move_of(context)
    if dry_run:
        _tell_return(found.status(parse_key(key)), as_json=as_json)
        return
    with progress(f"Rolling {key} back"):
        status = found.rollback(parse_key(key), rate=_rate(rate), patience=patience)
    _tell(status, as_json=as_json)


def finalize(
    context: typer.Context, *, key: Key, yes: Yes = False, dry_run: DryRun = False, as_json: AsJSON = False
) -> None:
    """Empty the place that a tenant has left; after that there is no rollback."""
    found = _move_of(context)
    if dry_run:
        _tell_return(found.status(parse_key(key)), as_json=as_json)
        return
    confirm(f"What {key} left behind in its old place is removed.", yes=yes)
    with progress(f"Finalizing {key}"):
        status = found.finalize(parse_key(key))
    _tell(status, as_json=as_json)


def moves(
    context: typer.Context,
    *,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of one tenant only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended too; needs a KEY.")] = False,
    as_json: AsJSON = False,
) -> None:
    """List the moves that have not ended: under way, stopped, or with the old place still kept."""
    found = _move_of(context).status(parse_key(key) if key else None, ended=every)
    if as_json:
        print_json([_as_data(status) for status in found])
        return
    rows = [(s.slug, s.source, s.target, s.way, s.step, _state(s), s.error) for s in found]
    print_table(["tenant", "from", "to", "way", "step", "state", "error"], rows)


def _move_of(context: typer.Context) -> "Move":
    # Stands on the archive, whose packages the other commands about tenants do without.
    found: Move = importlib.import_module("tenantry.move").Move(tenancy_of(context))
    return found


def _tell_plan(move: "Move", key: str, isolation: Isolation | None, server: str | None, *, as_json: bool) -> None:
    plan = move.plan(parse_key(key), isolation=isolation, server=server)
    if as_json:
        print_json(_plan_as_data(plan))
    else:
        print_table(["table", "rows"], plan.tables.items())
        if plan.refusals:
            rows = [(each.code, each.object, each.message, each.fix) for each in plan.refusals]
            print_table(["code", "object", "what it is", "what to do"], rows, title="What stands in the way")
        total = counted(sum(plan.tables.values()), "row")
        say(f"{total} would be carried from {plan.source} to {plan.target}; nothing was changed.")
    raise typer.Exit(0 if plan.ok else _REFUSED)


def _tell_return(found: Sequence["Status"], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_data(status) for status in found])
        return
    for status in found:
        say(f"{status.slug} went from {status.source} to {status.target}; its move is {_state(status)}.")
        say(f"A rollback carries it back to {status.source}; finalize empties {status.source}. Nothing was changed.")


def _tell(status: "Status", *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(status))
        return
    rows = sum(status.rows.values())
    print_table(["", ""], [("tenant", status.slug), *_facts(status).items(), ("rows", rows)])
    if status.state == "resting":
        next_steps = f"tenantry tenants finalize {status.slug}, or tenantry tenants rollback {status.slug}"
        say(f"{status.source} is kept. Next: {next_steps}.")


def _facts(status: "Status") -> dict[str, Any]:
    held = {} if status.held is None else {"writers held for": f"{status.held * 1000:.0f} ms at most"}
    return {"from": status.source, "to": status.target, "state": _state(status), **held}


def _state(status: "Status") -> str:
    return f"{status.state}, abandoned" if status.abandoned else status.state


def _as_data(status: "Status") -> dict[str, Any]:
    return {**as_data(status), "source": _place(status.source), "target": _place(status.target)}


def _plan_as_data(plan: "Plan") -> dict[str, Any]:
    return {
        "tenant": plan.tenant.slug,
        "source": _place(plan.source),
        "target": _place(plan.target),
        "tables": dict(plan.tables),
        "refusals": [as_data(each) for each in plan.refusals],
        "ok": plan.ok,
    }


def _place(place: "Place") -> dict[str, Any]:
    return as_data(place)


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise ConfigurationError(what=f"--rate {text!r} is no size.", fix="Write --rate 20MB.")
    return float(found[1]) * _FACTORS[(found[2] or "").lower()]
