"""Where Alembic meets a home: contexts for the fleet, and what the shipped ``env.py`` does for the plain command.

The face that applying uses::

    script_directory(tenancy)                        the application's revisions
    with owner_engine(site).connect() as connection, connection.begin():
        context = migration_context(site, connection=connection)
        with operations(context):                    `alembic.op` is this context's, one thread at a time
            revision.module.upgrade()

    context = migration_context(site, output=buffer) the same as SQL: one write() per statement, no BEGIN, no preamble
"""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO, cast

from alembic import context as command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from tenantry.errors import ConfigurationError, MigrationsMissing, TenantryError
from tenantry.fleet.autogenerate import Comparison
from tenantry.fleet.homes import Home, common_homes, home_of, lock_key
from tenantry.fleet.operations import home_impl, prepared
from tenantry.fleet.owning import owner_engine, search_path
from tenantry.fleet.sites import SITE, Site
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.servers import MAIN
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import closed_roles
from tenantry.tenancy import Tenancy

__all__ = [
    "VERSION_TABLE",
    "adopt",
    "alembic_config",
    "chosen_homes",
    "context_options",
    "migration_context",
    "operations",
    "owner_engine",
    "run",
    "script_directory",
]

# `alembic.op` is one name for the whole process, so one migration at a time may stand behind it.
_OP: Final = threading.RLock()

# Else a percent sign would be doubled, as for a driver that is not there.
_OFFLINE: Final = {"paramstyle": "named"}

_LOCK: Final = text("select pg_try_advisory_xact_lock(:key)")


def script_directory(tenancy: Tenancy) -> ScriptDirectory:
    """Returns the application's revisions, read from ``Config.migrations``.

    Raises: MigrationsMissing.
    """
    return ScriptDirectory.from_config(alembic_config(tenancy))


def alembic_config(tenancy: Tenancy) -> Config:
    """Returns Alembic's configuration for the application's scripts directory.

    Raises: MigrationsMissing.
    """
    directory = tenancy.config.migrations
    if directory is None or not (Path(directory) / "versions").is_dir():
        raise MigrationsMissing(where="" if directory is None else f" in {directory}")
    config = Config(cmd_opts=argparse.Namespace(quiet=True))
    # ConfigParser reads a percent sign as the beginning of a name.
    config.set_main_option("script_location", directory.replace("%", "%%"))
    return config


def migration_context(
    site: Site, *, connection: Any = None, output: TextIO | None = None, **options: Any
) -> MigrationContext:
    """Returns the context of one home: on the owner's open *connection*, or writing SQL to *output*.

    On a connection the caller has begun the transaction and set the search path; nothing here commits. With *output*
    each statement is one ``write``; neither BEGIN nor the search path is written, so that the text fits every home of
    the kind. *options* are Alembic's own (``fn``, ``script``, ``starting_rev``, …).
    """
    chosen = {**context_options(site, offline=connection is None), **options}
    if connection is not None:
        return adopt(MigrationContext.configure(connection=connection, opts=chosen))
    chosen |= {"as_sql": True, "output_buffer": output}
    return adopt(MigrationContext.configure(dialect_name=dialect_name(site), dialect_opts=_OFFLINE, opts=chosen))


def context_options(site: Site, *, offline: bool) -> dict[str, Any]:
    """Returns the options by which every context of ours is configured."""
    return {
        SITE: site,
        "version_table": VERSION_TABLE,
        "transactional_ddl": True,
        "transaction_per_migration": False,
        "target_metadata": site.server.metadata,
        "literal_binds": offline,
    }


def adopt(context: MigrationContext) -> MigrationContext:
    """Gives a configured context the implementation that keeps walls up in its home, and returns it."""
    context.impl = home_impl(context)
    if context.dialect.name == "sqlite":
        # One transaction changes a file or none (DESIGN D11); what PostgreSQL does outside one, SQLite does inside.
        context.autocommit_block = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # see above
    return context


def dialect_name(site: Site) -> str:
    """Returns the dialect in which SQL for a home is written without a connection."""
    return "postgresql+psycopg" if site.on_postgres else "sqlite"


@contextlib.contextmanager
def operations(context: MigrationContext) -> Iterator[Operations]:
    """Makes ``alembic.op`` the context's for a ``with`` block, one block at a time in the whole process.

    On SQLite the file's stored names and triggers are put aside for the block and put back at its end, where orphans
    are refused; open it once around all steps of one home.
    """
    with _OP, prepared(context), Operations.context(context) as op:
        yield op


def run(tenancy: Tenancy) -> None:
    """Does what the ``alembic`` command asks for; the shipped ``env.py`` calls it.

    It works on the common homes of server main, or of another with ``-x server=NAME``, or on the home of one tenant
    with ``-x home=SLUG``.

    Raises: CommandError, which the command prints.
    """
    try:
        homes = chosen_homes(tenancy, command.get_x_argument(as_dictionary=True))
        sites = [Site(tenancy, home) for home in homes]
        if command.is_offline_mode():
            _write(sites)
        else:
            for site in sites:
                _run(site)
    except TenantryError as error:
        raise CommandError(str(error)) from error


def chosen_homes(tenancy: Tenancy, chosen: Mapping[str, str]) -> list[Home]:
    """Returns the homes that the command line names.

    Raises: ConfigurationError for a tenant without a home of its own, TenantNotFound, ServerUnknown.
    """
    if "home" not in chosen:
        return common_homes(tenancy.servers.get(chosen.get("server", MAIN)))
    tenant = tenancy.tenants.get(chosen["home"])
    home = home_of(tenant, tenancy.servers.get(tenant.server))
    if home is None:
        raise ConfigurationError(
            what=f"The rows of {tenant.slug} stand in the common tables of server {tenant.server}.",
            fix=f"Leave out -x home, or say -x server={tenant.server}.",
        )
    return [home]


def _run(site: Site) -> None:
    comparison = Comparison(site, command.script)
    with owner_engine(site).connect() as connection:
        command.configure(connection=connection, **comparison.options(), **context_options(site, offline=False))
        context = adopt(command.get_context())
        comparison.watch(context)
        with command.begin_transaction() as transaction:
            if "revision_context" in context.opts:
                # Comparing changes nothing.
                with prepared(context):
                    command.run_migrations()
                cast(Any, transaction).rollback()
            elif context.opts.get("dont_mutate"):
                # Looking up where a home stands takes no lock on it.
                command.run_migrations()
            else:
                _change(site, connection, context)


def _change(site: Site, connection: Connection, context: MigrationContext) -> None:
    if site.on_postgres and not connection.scalar(_LOCK, {"key": lock_key(site.home)}):
        raise CommandError(f"{site.home} is being migrated by another process. Wait for it, then call again.")
    fresh = not context.get_current_heads()
    with prepared(context):
        command.run_migrations()
    if fresh and site.on_postgres:
        # An owner's default privileges may have let them in.
        connection.exec_driver_sql(f"REVOKE ALL ON {VERSION_TABLE} FROM {closed_roles(site.server.config)}")


def _write(sites: Sequence[Site]) -> None:
    if any(site.stored for site in sites):
        raise ConfigurationError(
            what="SQL for SQLite's common tables depends on what stands in the file.",
            fix="Run without --sql, or use `tenantry fleet sql`, which works it out on a copy.",
        )
    for site in sites:
        options = context_options(site, offline=True)
        command.configure(dialect_name=dialect_name(site), dialect_opts=_OFFLINE, **options)
        context = adopt(command.get_context())
        context.impl.static_output(f"-- {site.home}")
        if isinstance(site.server, PostgresServer):
            context.impl.static_output(f"SET {search_path(site.home, site.server)};")
        with command.begin_transaction():
            command.run_migrations()
