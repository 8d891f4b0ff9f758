"""``tenantry archive schedule``: who is backed up when, and the process that does it."""

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import typer

from tenantry.archive import Archive, Keep, Plan
from tenantry.archive.scheduling import Turn, plan_of
from tenantry.catalog import schedules
from tenantry.catalog.schedules import EVERY_TENANT, Schedule
from tenantry.cli.applying import catalog_of, parse_key
from tenantry.cli.archiving_options import Encrypt, KeepOption, StoreName, archive_of, span, spelt_span, spelt_time
from tenantry.cli.failing import MISTAKE, explain
from tenantry.cli.fleeting_options import DryRun
from tenantry.cli.fleeting_showing import print_line
from tenantry.cli.fleeting_telling import INTERRUPTED, NOT_DONE, counted
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

_POLL: Final = 30.0
_BATCH: Final = 500
_EPILOG: Final = """
Examples:

tenantry archive schedule set --all --every 24h --jitter 2h --keep daily=7,weekly=4

tenantry archive schedule set acme --every 6h --verify

tenantry archive schedule list

tenantry archive schedule run --forever  (one of several, on any machine; or `run` from cron)

tenantry archive schedule cancel acme
"""

app = typer.Typer(no_args_is_help=True, epilog=_EPILOG, add_completion=False)

Whose = Annotated[str | None, typer.Argument(metavar="[KEY]", help="The tenant.")]
Every = Annotated[bool, typer.Option("--all", help="Every tenant that has no schedule of its own.")]


@app.callback()
def schedule() -> None:
    """Back tenants up by the clock: any number of processes, and each backup taken by one."""


@app.command("set")
def set_schedule(
    context: typer.Context,
    *,
    key: Whose = None,
    all_tenants: Every = False,
    every: Annotated[str, typer.Option(metavar="SPAN", help="How often.")] = "24h",
    jitter: Annotated[
        str, typer.Option(metavar="SPAN", help="How much later at most, so that not all come at once.")
    ] = "0s",
    keep: KeepOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Restore each into a scratch place and compare.")] = False,
    store: StoreName = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Set a schedule in the place of the one before; the first backup of one tenant is due at once."""
    archive, whose = archive_of(context, store), _whose(key, all_tenants=all_tenants)
    plan = Plan(
        every=span(every, option="--every"),
        jitter=span(jitter, option="--jitter"),
        keep=Keep.parse(keep) if keep else None,
        verify=verify,
    )
    if dry_run:
        say(f"{_name(key)} would be backed up every {spelt_span(plan.every)}. Nothing was changed.")
        return
    found = archive.schedules.put(whose, plan)
    _tell_one(found, _name(key), as_json=as_json)


@app.command("list")
def list_schedules(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """List schedules: what is due next, how the last one went, and whose they are."""
    tenancy = catalog_of(context)
    with tenancy.catalog("Listing schedules") as connection:
        found = schedules.listing(connection)
    names = _slugs(tenancy, found)
    if as_json:
        print_json([_as_data(each, names) for each in found])
        return
    rows = [
        (
            names.get(each.tenant_id, each.tenant_id),
            spelt_span(plan_of(each).every),
            _due(each),
            "under way" if each.worker else _ended(each),
            plan_of(each).keep or "all",
        )
        for each in found
    ]
    print_table(["tenant", "every", "due", "the last one", "keeps"], rows)


@app.command()
def cancel(
    context: typer.Context,
    *,
    key: Whose = None,
    all_tenants: Every = False,
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """End a schedule; a backup in hand comes to its end, and no archive goes."""
    archive_of(context, store).schedules.cancel(_whose(key, all_tenants=all_tenants))
    _tell_change(key, "cancelled", as_json=as_json)


@app.command()
def pause(
    context: typer.Context,
    *,
    key: Whose = None,
    all_tenants: Every = False,
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """Let no backup of a schedule begin until it is resumed."""
    archive_of(context, store).schedules.pause(_whose(key, all_tenants=all_tenants))
    _tell_change(key, "paused", as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    *,
    key: Whose = None,
    all_tenants: Every = False,
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """Let a paused schedule go on."""
    archive_of(context, store).schedules.pause(_whose(key, all_tenants=all_tenants), resume=True)
    _tell_change(key, "resumed", as_json=as_json)


@app.command()
def run(
    context: typer.Context,
    *,
    forever: Annotated[bool, typer.Option("--forever", help="Look for more when nothing is due.")] = False,
    poll: Annotated[float, typer.Option(metavar="SECONDS", min=0.05, help="With --forever: how often.")] = _POLL,
    jobs: Annotated[int, typer.Option(min=1, help="How many at a time.")] = 2,
    encrypt: Encrypt = False,
    store: StoreName = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a line for each backup.")] = False,
) -> None:
    """Take every backup that is due, and prune behind it; what fails is noted and tried again later."""
    archive = archive_of(context, store, encrypt=encrypt)
    if dry_run:
        _tell_due(archive, as_json=as_json)
        return
    failed = False
    with _interruptible():
        while True:
            failed = _round(archive, jobs=jobs, forever=forever, as_json=as_json) or failed
            if not forever:
                break
            time.sleep(poll)
    raise typer.Exit(NOT_DONE if failed else 0)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ends the block well when somebody interrupts or terminates the process."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say("Interrupted: the backups in hand were finished, the others are due still.")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _round(archive: Archive, *, jobs: int, forever: bool, as_json: bool) -> bool:
    """Takes what is due once, and returns whether something failed."""
    try:
        with progress("Backing up by the clock"):
            turns = archive.schedules.work(jobs=jobs)
    except Exception as error:
        found = explain(error)
        if not forever or found is None or found[1] == MISTAKE:
            raise
        # A server that is away comes back; what is due then is due still.
        say(found[0])
        return True
    _tell_turns(turns, quietly=forever, as_json=as_json)
    return any(turn.error for turn in turns)


def _tell_turns(turns: Sequence[Turn], *, quietly: bool, as_json: bool) -> None:
    if as_json:
        for turn in turns:
            facts = {"tenant": turn.tenant.slug, "id": turn.tenant.id}
            print_line({"event": "backup", **facts, "archive": turn.archive, "error": turn.error})
        return
    if turns:
        rows = [(turn.tenant.slug, turn.archive or turn.error) for turn in turns]
        print_table(["tenant", "archive"], rows)
    if turns or not quietly:
        done = sum(turn.error is None for turn in turns)
        say(f"{counted(done, 'backup')} taken, {len(turns) - done} failed.")


def _tell_due(archive: Archive, *, as_json: bool) -> None:
    with archive.tenancy.catalog("Looking at schedules") as connection:
        now = schedules.present(connection)
        due = [each for each in schedules.listing(connection) if _is_due(each, archive.location, now)]
        waiting = schedules.strangers(connection, _BATCH) if schedules.get(connection, EVERY_TENANT) else []
    names = _slugs(archive.tenancy, due)
    if as_json:
        print_json({"due": [_as_data(each, names) for each in due], "to_be_entered": waiting})
        return
    print_table(["tenant", "due"], [(names.get(each.tenant_id), spelt_time(each.due_at)) for each in due])
    say(f"{counted(len(due), 'backup')} due; {counted(len(waiting), 'tenant')} would be entered. Nothing was changed.")


def _is_due(each: Schedule, store: str, now: Any) -> bool:
    waiting = each.state == schedules.ACTIVE and each.worker is None and each.tenant_id != EVERY_TENANT
    return waiting and each.store == store and bool(each.due_at <= now)


def _whose(key: str | None, *, all_tenants: bool) -> TenantKey | None:
    if all_tenants == (key is not None):
        raise ConfigurationError(what="A schedule is one tenant's, or every tenant's.", fix="Give a KEY, or --all.")
    return parse_key(key) if key is not None else None


def _name(key: str | None) -> str:
    return key or "Every tenant"


def _slugs(tenancy: Tenancy, found: Sequence[Schedule]) -> dict[Any, str]:
    wanted = {each.tenant_id for each in found}
    names = {tenant.id: tenant.slug for tenant in tenancy.every_tenant() if tenant.id in wanted}
    return {**names, EVERY_TENANT: "every tenant"}


def _due(each: Schedule) -> str:
    if each.state != schedules.ACTIVE:
        return each.state
    return "each by its own" if each.tenant_id == EVERY_TENANT else spelt_time(each.due_at)


def _ended(each: Schedule) -> str:
    if each.tenant_id == EVERY_TENANT:
        return ""
    if each.error:
        return f"failed {counted(each.failures, 'time')}: {each.error}"
    return f"well, {spelt_time(each.ended_at)}" if each.ended_at else "none yet"


def _tell_one(found: Schedule, name: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_data(found, {found.tenant_id: name}))
        return
    plan = plan_of(found)
    say(f"{name}: every {spelt_span(plan.every)}, up to {spelt_span(plan.jitter)} later; keeps {plan.keep or 'all'}.")
    say("Next: tenantry archive schedule run --forever, on one machine or several.")


def _tell_change(key: str | None, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"tenant": key, "schedule": what})
        return
    say(f"{_name(key)}: the schedule is {what}.")


def _as_data(each: Schedule, names: dict[Any, str]) -> dict[str, Any]:
    facts = ("state", "own", "store", "every", "jitter", "due_at", "began_at", "ended_at", "failures", "error")
    said = {name: getattr(each, name) for name in facts}
    whose = names.get(each.tenant_id, str(each.tenant_id))
    return {"tenant": whose, **said, "options": dict(each.options), "under_way": each.worker is not None}
