"""``tenantry archive backup`` and ``verify``: one tenant or many, each on its own, the others' failures beside it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenantry.archive import Archive, foreseeing
from tenantry.archive.sources import LATEST, choose
from tenantry.archive.stores import parse_archive_name
from tenantry.cli.applying import parse_key
from tenantry.cli.archiving_options import Encrypt, StoreName, archive_of, archived_as_data, spelt_size, spelt_time
from tenantry.cli.choosing import tenants_where
from tenantry.cli.failing import explain
from tenantry.cli.fleeting_options import DryRun
from tenantry.cli.fleeting_telling import NOT_DONE
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.types import Tenant

_BACKUPS: Final = """
Examples:

tenantry archive backup acme --store /var/backups/shop

tenantry archive backup acme globex --encrypt --note "before the import"

tenantry archive backup --all --jobs 4  (every active tenant)

tenantry archive backup --all --where setting.plan=gold --dry-run

Exit codes: 0 everyone asked for has an archive, 1 the one tenant has none, 2 a mistake in what was asked,
3 not everyone has.
"""
_VERIFYING: Final = """
Examples:

tenantry archive verify acme  (its newest archive)

tenantry archive verify --all --jobs 2  (everybody's newest)

tenantry archive verify ./from-elsewhere.tenantry
"""

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]…", help="Tenants: slugs, UUIDs, kind:value.")]
Every = Annotated[bool, typer.Option("--all", help="Every active tenant.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="NAME=PATTERN", help="With --all: only tenants that fit, as in `tenants run`."),
]
Jobs = Annotated[int, typer.Option(min=1, help="How many at a time.")]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one tenant, or of one archive: *facts*, or why there are none."""

    what: str
    facts: dict[str, Any] | None
    error: str | None


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(epilog=_BACKUPS)(backup)
    app.command(epilog=_VERIFYING)(verify)


def backup(
    context: typer.Context,
    *,
    keys: Keys = None,
    store: StoreName = None,
    every: Every = False,
    where: Where = None,
    encrypt: Encrypt = False,
    suspended: Annotated[bool, typer.Option("--suspended", help="Also a tenant that is suspended.")] = False,
    note: Annotated[str, typer.Option(help="A few words that go into the archive.")] = "",
    jobs: Jobs = 2,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Back tenants up, each as it stands at one moment, while it is used."""
    archive = archive_of(context, store, encrypt=encrypt)
    tenants = _tenants(archive, keys, every=every, where=where)

    def take(tenant: Tenant) -> dict[str, Any]:
        if dry_run:
            return _foreseen(archive, tenant, suspended=suspended)
        return archived_as_data(archive.backup(tenant, suspended=suspended, note=note))

    with progress("Backing up"):
        done = _each({tenant.slug: tenant for tenant in tenants}, take, jobs=jobs)
    said = "would be backed up; nothing was changed" if dry_run else "backed up"
    raise typer.Exit(_tell(done, said, _BACKUP_COLUMNS, as_json=as_json))


def verify(
    context: typer.Context,
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|KEY]…", help="Archives, files, or tenants: their newest.")
    ] = None,
    store: StoreName = None,
    every: Every = False,
    where: Where = None,
    server: Annotated[str | None, typer.Option(help="Where the scratch place is made.")] = None,
    jobs: Jobs = 1,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Restore archives into a scratch place and compare every row there: only then is a backup one."""
    archive = archive_of(context, store)
    tenants = _tenants(archive, None, every=True, where=where) if every else ()
    wanted = [*(names or ()), *(tenant.slug for tenant in tenants)]
    if not wanted:
        raise ConfigurationError(what="Nothing was named to verify.", fix="Give archives or tenants, or --all.")

    def prove(name: str | Path) -> dict[str, Any]:
        if dry_run:
            return {"name": str(name), "rows": None}
        proved = archive.verify(name, server=server)
        return {"name": proved.name, "tenant": proved.tenant, "rows": sum(proved.rows.values())}

    with progress("Verifying"):
        done = _each({text: text for text in wanted}, lambda text: prove(_archive_of(archive, text)), jobs=jobs)
    said = "would be restored into a scratch place and compared" if dry_run else "restored and compared: equal"
    raise typer.Exit(_tell(done, said, _VERIFY_COLUMNS, as_json=as_json))


_BACKUP_COLUMNS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "archive": lambda facts: facts.get("name", ""),
    "taken at": lambda facts: spelt_time(facts.get("taken_at")),
    "rows": lambda facts: facts["rows"],
    "size": lambda facts: spelt_size(facts["size"]),
}
_VERIFY_COLUMNS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "archive": lambda facts: facts["name"],
    "rows equal": lambda facts: "" if facts["rows"] is None else facts["rows"],
}


def _tenants(
    archive: Archive, keys: Sequence[str] | None, *, every: bool, where: Sequence[str] | None
) -> Sequence[Tenant]:
    if every == bool(keys) or (where and not every):
        raise ConfigurationError(what="Say which tenants are meant.", fix="Give keys, or --all, which --where narrows.")
    if every:
        return tenants_where(archive.tenancy, where)
    return [archive.tenancy.tenants.get(parse_key(key)) for key in keys or ()]


def _foreseen(archive: Archive, tenant: Tenant, *, suspended: bool) -> dict[str, Any]:
    counts = foreseeing.backup_of(archive, tenant, suspended=suspended)
    return {"tables": counts.tables, "rows": counts.rows, "size": counts.size}


def _archive_of(archive: Archive, text: str) -> str | Path:
    if parse_archive_name(text):
        return text
    if Path(text).is_file():
        return Path(text)
    return choose(archive, archive.identify(parse_key(text)), LATEST)


def _each(wanted: dict[str, Any], work: Callable[[Any], dict[str, Any]], *, jobs: int) -> list[Done]:
    """Returns what became of each; where only one was asked for, its error is the call's."""
    if len(wanted) == 1:
        return [Done(what, work(one), None) for what, one in wanted.items()]

    def try_one(what: str) -> Done:
        try:
            return Done(what, work(wanted[what]), None)
        except Exception as error:
            found = explain(error)
            if found is None:
                raise
            return Done(what, None, found[0])

    with _interruptible(ThreadPoolExecutor(jobs, thread_name_prefix="tenantry-archive")) as pool:
        return list(pool.map(try_one, wanted))


@contextlib.contextmanager
def _interruptible(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _tell(
    done: Sequence[Done], said: str, columns: dict[str, Callable[[dict[str, Any]], object]], *, as_json: bool
) -> int:
    failed = [each for each in done if each.error is not None]
    if as_json:
        print_json(
            {
                "ok": not failed,
                "done": [{"of": each.what, **each.facts} for each in done if each.facts is not None],
                "failed": [{"of": each.what, "error": each.error} for each in failed],
            }
        )
        return NOT_DONE if failed else 0
    rows = [(each.what, *(show(each.facts) for show in columns.values())) for each in done if each.facts is not None]
    print_table(["of", *columns], rows)
    if failed:
        print_table(["of", "why not"], [(each.what, each.error) for each in failed], title="Not done")
    whose = done[0].what if len(done) == 1 else f"{len(rows)} of {len(done)}:"
    say(f"{whose} {said}.")
    return NOT_DONE if failed else 0
