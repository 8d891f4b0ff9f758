"""New revision files: the directory they stand in, a revision, and the joining of two branches."""

from __future__ import annotations

import importlib.resources
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.autogenerate import RevisionContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from tenantry.errors import ConfigurationError, HomeBehind, RevisionUnknown, SeveralHeads
from tenantry.fleet.autogenerate import Comparison
from tenantry.fleet.environment import (
    alembic_config,
    migration_context,
    operations,
    owner_engine,
    script_directory,
)
from tenantry.fleet.homes import Home, common_homes
from tenantry.fleet.sites import Site
from tenantry.tenancy import Tenancy

_TEMPLATES: Final = "templates"
_INI: Final = "alembic.ini"
# What Alembic's own command sets where env.py says nothing.
_WRITING: Final[Mapping[str, Any]] = {
    "upgrade_token": "upgrades",
    "downgrade_token": "downgrades",
    "alembic_module_prefix": "op.",
    "sqlalchemy_module_prefix": "sa.",
    "user_module_prefix": None,
}


def init(directory: Path, *, app: str) -> list[Path]:
    """Makes a scripts directory, with an ``alembic.ini`` beside it where there is none, and returns what it wrote.

    Args:
        app: where the program's Tenancy is, as ``module:name``.

    Raises: ConfigurationError where the directory has an ``env.py`` already, or *app* does not have the form.
    """
    module, _, name = app.partition(":")
    if not module or not name.isidentifier():
        raise ConfigurationError(what=f"{app!r} does not have the form module:name.", fix="Say where the Tenancy is.")
    if (directory / "env.py").exists():
        raise ConfigurationError(what=f"{directory} has an env.py already.", fix="Choose another directory.")
    (directory / "versions").mkdir(parents=True, exist_ok=True)
    facts = {"module": module, "name": name, "directory": directory.name}
    files = {
        directory / "env.py": _written("env.py.template", facts),
        directory / "script.py.mako": _read("script.py.mako"),
    }
    if not (directory.parent / _INI).exists():
        files[directory.parent / _INI] = _written("alembic.ini.template", facts)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def revision(
    tenancy: Tenancy,
    message: str,
    *,
    autogenerate: bool = True,
    homes: Sequence[Home] = (),
    head: str = "head",
    splice: bool = False,
    branch_label: str | None = None,
    depends_on: str | None = None,
    rev_id: str | None = None,
) -> Path:
    """Writes a new revision and returns its file; it holds what the models have and the common homes have not.

    Args:
        autogenerate: whether homes are compared with the models at all; without it the revision is empty.
        homes: the homes to compare in place of server main's common ones.
        head: the revision that it follows; *splice* lets that be one in the middle.

    Raises: MigrationsMissing, SeveralHeads, RevisionUnknown, HomeBehind, LoginRequired.
    """
    config, scripts = alembic_config(tenancy), script_directory(tenancy)
    arguments = {"message": message, "rev_id": rev_id, "head": head, "splice": splice, "sql": False}
    arguments |= {"branch_label": branch_label, "version_path": None, "depends_on": depends_on}
    _check_head(scripts, head)
    writing = RevisionContext(config, scripts, arguments)
    for home in homes or common_homes(tenancy.servers.main) if autogenerate else ():
        _compare(Site(tenancy, home), scripts, writing)
    (script,) = writing.generate_scripts()
    # This process wrote it from the models it holds, so what it makes from now on stands there.
    tenancy.scripts.forget()
    return _path_of(script)


def merge(tenancy: Tenancy, message: str, *, revisions: Sequence[str] = ("heads",)) -> Path:
    """Writes a revision that joins several heads and returns its file.

    Raises: MigrationsMissing, RevisionUnknown.
    """
    config = alembic_config(tenancy)
    try:
        script = command.merge(config, list(revisions), message=message)
    except CommandError as error:
        raise RevisionUnknown(revision=", ".join(revisions), scripts=tenancy.config.migrations) from error
    tenancy.scripts.forget()
    return _path_of(script)


def _compare(site: Site, scripts: ScriptDirectory, writing: RevisionContext) -> None:
    comparison = Comparison(site, scripts)
    with owner_engine(site).connect() as connection, connection.begin() as transaction:
        options = {**_WRITING, **comparison.options(), "script": scripts}
        context = migration_context(site, connection=connection, **options)
        comparison.watch(context)
        current = context.get_current_heads()
        if set(current) != set(scripts.get_heads()):
            raise HomeBehind(home=str(site.home), current=", ".join(current) or "no revision")
        with operations(context):
            writing.run_autogenerate(current, context)
        # Comparing changes nothing.
        transaction.rollback()


def _check_head(scripts: ScriptDirectory, head: str) -> None:
    heads = scripts.get_heads()
    if head == "head" and len(heads) > 1:
        raise SeveralHeads(scripts=scripts.dir, count=len(heads), heads=", ".join(heads))
    try:
        scripts.get_revisions(head)
    except CommandError as error:
        raise RevisionUnknown(revision=head, scripts=scripts.dir) from error


def _path_of(script: Script | Sequence[Script | None] | None) -> Path:
    if not isinstance(script, Script):
        raise TypeError(f"Alembic wrote {script!r} and no revision")
    return Path(script.path)


def _written(name: str, facts: Mapping[str, str]) -> str:
    return string.Template(_read(name)).substitute(facts)


def _read(name: str) -> str:
    return importlib.resources.files("tenantry.fleet").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
