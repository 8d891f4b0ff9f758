"""``tenantry tenants erase``, ``erasures`` and ``certificate``: a tenant or a person gone, and what proves it."""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tenantry.catalog import archives, data_keys
from tenantry.cli.applying import Key, object_at, parse_key, setting, tenancy_of
from tenantry.cli.fleeting_options import DryRun
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say
from tenantry.errors import ConfigurationError
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.archive.certificates import Certificate
    from tenantry.archive.erasing import Erasing, Foreseen

_ERASING: Final = """
Examples:

tenantry tenants erase acme --confirm acme

tenantry tenants erase acme --subject anna@example.org --subject +49305550147 --dry-run

tenantry tenants erase acme --subject anna@example.org --subject +49305550147 --certificate anna.json

An erase that was killed is finished by the same call. Archives are reached through --store, TENANTRY_ARCHIVE or
archive = under \\[tool.tenantry]; caches and the like through erasing = "module:name", an Erasing of your program's.
"""
_HOW: Final = 'Name an Erasing of your program\'s: erasing = "module:name" under [tool.tenantry].'

Subject = Annotated[
    list[str] | None,
    typer.Option("--subject", metavar="NAME", help="A person only: a value by which rows name it; repeatable."),
]
StoreName = Annotated[
    str | None,
    typer.Option("--store", metavar="PLACE", envvar="TENANTRY_ARCHIVE", help="Where the archives lie: path or URL."),
]
Encrypt = Annotated[
    bool,
    typer.Option("--encrypt", envvar="TENANTRY_ARCHIVE_ENCRYPT", help="Seal the new archive by the tenant's own key."),
]
KeepTo = Annotated[
    Path | None, typer.Option("--certificate", metavar="FILE", help="Write the certificate there; it must not exist.")
]


def register(app: typer.Typer) -> None:
    """Adds these commands to *app*."""
    app.command(epilog=_ERASING)(erase)
    app.command(epilog="Example: tenantry tenants erasures acme --json")(erasures)
    app.command("certificate", epilog="Example: tenantry tenants certificate anna.json")(check_certificate)


def erase(
    context: typer.Context,
    *,
    key: Key,
    confirm: Annotated[str, typer.Option(metavar="SLUG", help="The tenant's slug once more.")] = "",
    subject: Subject = None,
    mentions: Annotated[
        bool, typer.Option("--mentions", help="Take the person out of other people's rows too.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="What stands there and is not ours may go too.")] = False,
    store: StoreName = None,
    encrypt: Encrypt = False,
    certificate: KeepTo = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
) -> None:
    """Remove a tenant from every place, for good; or with --subject one person from a tenant's."""
    tenancy, wanted = tenancy_of(context), parse_key(key)
    erasing = _erasing(context, store, encrypt=encrypt, needed=bool(subject or certificate or dry_run))
    if certificate is not None and certificate.exists():
        raise ConfigurationError(what=f"{certificate} exists already.", fix="Give --certificate a name that is free.")
    if erasing is None:
        _erase_rows(tenancy, wanted, confirm=confirm, force=force, as_json=as_json)
        return
    if dry_run:
        _tell_foreseen(erasing.foresee(wanted, subject or None), as_json=as_json)
        return
    with progress(f"Erasing {'a person' if subject else key}"):
        if subject:
            made = erasing.person(wanted, subject, mentions=mentions)
        else:
            made = erasing.tenant(wanted, confirm=confirm, force=force)
    if certificate is not None:
        with certificate.open("x", encoding="utf-8") as file:
            file.write(f"{made}\n")
    _tell(made, who="The person" if subject else confirm or key, as_json=as_json)


def erasures(
    context: typer.Context,
    *,
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="Of one tenant only; its UUID once erased.")
    ] = None,
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """List what was erased, with the certificates, and what was begun and has not come to its end."""
    erasing = _given(context, store, encrypt=False)
    found = erasing.log(parse_key(key) if key else None)
    if as_json:
        names = ("id", "tenant", "subject", "state", "created_at", "certificate")
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return
    rows = [(one.id, one.tenant, "person" if one.subject else "tenant", one.created_at, one.state) for one in found]
    print_table(["erasure", "tenant", "of a", "begun", "state"], rows)
    say(f"{counted(len(found), 'erasure')}, {len(erasing.status())} not at their end.")


def check_certificate(
    file: Annotated[Path, typer.Argument(help="A certificate, as --certificate wrote it.")],
) -> None:
    """Check that a certificate stands as a key of TENANTRY_ARCHIVE_KEYS signed it."""
    kinds, keys = _room("certificates"), _room("keys")
    found = kinds.Certificate.from_json(file.read_bytes())
    found.check(keys.KeyRing.from_env())
    say(f"It stands as it was signed: tenant {found.tenant}, {found.scope}, ended {found.ended_at:%Y-%m-%d %H:%M:%S}Z.")


def _erasing(context: typer.Context, store: str | None, *, encrypt: bool, needed: bool) -> "Erasing | None":
    """Returns what erases from every place; None for a program that keeps no archives, where rows are all there is."""
    if needed or store or setting("archive") or setting("erasing"):
        return _given(context, store, encrypt=encrypt)
    return None


def _given(context: typer.Context, store: str | None, *, encrypt: bool) -> "Erasing":
    kind: type[Erasing] = _room("erasing").Erasing
    named = setting("erasing")
    if named is None:
        options = importlib.import_module("tenantry.cli.archiving_options")
        return kind(options.archive_of(context, store, encrypt=encrypt))
    found = object_at(named, option="erasing", fix=_HOW)
    if not isinstance(found, kind):
        raise ConfigurationError(what=f"{named} is a {type(found).__name__}, not an Erasing.", fix=_HOW)
    tenancy_of(context)
    return found


def _room(name: str) -> Any:
    # Not every installation has what archives need, and this group has commands that do without.
    return importlib.import_module(f"tenantry.archive.{name}")


def _erase_rows(tenancy: Tenancy, key: TenantKey, *, confirm: str, force: bool, as_json: bool) -> None:
    _check_nothing_kept(tenancy, key)
    with progress("Erasing"):
        counts = tenancy.tenants.erase(key, confirm=confirm, force=force)
    if as_json:
        print_json({"erased": confirm, "rows": dict(counts)})
        return
    print_table(["table", "rows erased"], counts.items())
    say(f"{confirm} is erased: {sum(counts.values())} rows.")


def _check_nothing_kept(tenancy: Tenancy, key: TenantKey) -> None:
    """Lets a tenant pass that has no archive and no data key, as only those can be erased without a store.

    Raises: ConfigurationError.
    """
    tenant = tenancy.tenants.get(key)
    with tenancy.catalog("Erasing a tenant") as connection:
        kept = archives.listing(connection, tenant=tenant.id)
        keys = [one for one in data_keys.listing(connection, tenant.id) if one.wrapped is not None]
    if kept or keys:
        raise ConfigurationError(
            what=f"Nothing was erased: {tenant.slug} has {counted(len(kept), 'archive')}, and no store was named.",
            fix="Use --store, or TENANTRY_ARCHIVE, so that they go too.",
        )


def _tell_foreseen(foreseen: "Foreseen", *, as_json: bool) -> None:
    if as_json:
        kinds = ("scope", "rows", "archives", "mentions")
        print_json({"tenant": str(foreseen.tenant.id), **{kind: getattr(foreseen, kind) for kind in kinds}})
        return
    rows = [(table, count, "erased") for table, count in foreseen.rows.items() if count]
    rows += [(table, count, "left, unless --mentions") for table, count in foreseen.mentions.items()]
    print_table(["table", "rows", "would be"], rows)
    say(f"{sum(foreseen.rows.values())} rows and {counted(sum(foreseen.archives.values()), 'archive')} would go.")


def _tell(made: "Certificate", *, who: str, as_json: bool) -> None:
    rows = next(store for store in made.stores if store.name == "rows").erased
    if as_json:
        print_json({"erased": who, "rows": dict(rows), "certificate": json.loads(str(made))})
        return
    print_table(["table", "rows erased"], [(table, count) for table, count in rows.items() if count])
    others = [(store.name, f"{count} {what}") for store in made.stores[1:] for what, count in store.erased.items()]
    print_table(["also", "erased"], others)
    for note in made.notes:
        say(note)
    say(f"{who} is erased: {sum(rows.values())} rows. Certificate {made.id} is in the catalog.")
