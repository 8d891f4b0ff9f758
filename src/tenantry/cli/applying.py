"""From ``--app module:name`` to the program's Tenancy, and from the environment where there is no program."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import MetaData

from tenantry.errors import ConfigurationError, TenantryError
from tenantry.isolation.servers import MAIN
from tenantry.settings import login_urls_from_env
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

_HOW: Final = (
    'Use --app module:name, TENANTRY_APP, or app = "module:name" under [tool.tenantry] in pyproject.toml; '
    "the name is that of a Tenancy."
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="A slug, a UUID, or an identity as kind:value.")]


def parse_key(text: str) -> TenantKey:
    """Returns what finds a tenant, as the library takes it: no slug and no UUID holds a colon."""
    kind, colon, value = text.partition(":")
    return (kind, value) if colon else text


def tenancy_of(context: typer.Context) -> Tenancy:
    """Returns the Tenancy of the program that the call, the environment or pyproject.toml names.

    Raises: ConfigurationError.
    """
    return _ready(context, _imported(program_name(context)))


def program_name(context: typer.Context) -> str:
    """Returns ``module:name`` of the program's Tenancy, as the call, the environment or pyproject.toml names it.

    Raises: ConfigurationError.
    """
    named = _named(context)
    if named is None:
        raise ConfigurationError(what="This command needs your program's models, and no program was named.", fix=_HOW)
    return named


def catalog_of(context: typer.Context) -> Tenancy:
    """Returns the same, or without a program one on TENANTRY_URL that knows the catalog and no models.

    Raises: ConfigurationError.
    """
    named = _named(context)
    if named is not None:
        return _ready(context, _imported(named))
    try:
        return _ready(context, Tenancy.from_env(models=MetaData()))
    except ConfigurationError as error:
        raise ConfigurationError(what=str(error), fix=f"Or name your program: {_HOW}") from None


def setting(name: str) -> str | None:
    """Returns what the environment (TENANTRY_NAME), else [tool.tenantry] in pyproject.toml, says of *name*.

    Raises: ConfigurationError for a pyproject.toml that cannot be read.
    """
    return os.environ.get(f"TENANTRY_{name.upper()}") or _from_pyproject(Path("pyproject.toml"), name)


def object_at(named: str, *, option: str, fix: str) -> Any:
    """Returns what ``module:name`` stands for, the module being looked for here first; *fix* tells what to name.

    Raises: ConfigurationError.
    """
    module, _, attribute = named.partition(":")
    if not module or not attribute:
        raise ConfigurationError(what=f"{option} {named!r} does not have the form module:name.", fix=fix)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = _module(module)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(what=f"{module} has no {attribute!r}.", fix=fix)
        found = getattr(found, part)
    return found


def callable_at(named: str, *, option: str) -> Callable[..., Any]:
    """Returns the function that ``module:name`` stands for.

    Raises: ConfigurationError.
    """
    found = object_at(named, option=option, fix=f"Write {option} module:function.")
    if not callable(found):
        what = f"{named} is a {type(found).__name__}, which cannot be called."
        raise ConfigurationError(what=what, fix=f"Write {option} module:function.")
    function: Callable[..., Any] = found
    return function


def _named(context: typer.Context) -> str | None:
    return context.obj or _from_pyproject(Path("pyproject.toml"), "app")


def _from_pyproject(path: Path, name: str) -> str | None:
    if not path.is_file():
        return None
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("tenantry", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(what=f"pyproject.toml cannot be read: {error}.", fix="Mend it.") from None
    found = settings.get(name)
    return found if isinstance(found, str) else None


def _imported(named: str) -> Tenancy:
    found = object_at(named, option="--app", fix=_HOW)
    if not isinstance(found, Tenancy):
        raise ConfigurationError(what=f"{named} is a {type(found).__name__}, not a Tenancy.", fix=_HOW)
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except TenantryError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            here = "Call tenantry where your program's modules are imported from, or set PYTHONPATH."
            raise ConfigurationError(what=f"There is no module {error.name!r}.", fix=here) from None
        raise _broken(name, error) from None
    except Exception as error:  # whatever a program raises while it is imported is its author's to mend
        raise _broken(name, error) from None


def _broken(name: str, error: Exception) -> ConfigurationError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{name} could not be imported: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})."
    return ConfigurationError(what=what, fix="Mend it, then call again.")


def _ready(context: typer.Context, tenancy: Tenancy) -> Tenancy:
    """Lends what the program does without: rightly the logins, and the migrations; the end of the call closes all."""
    for keyword, url in login_urls_from_env().items():
        tenancy.servers.lend_login(MAIN, keyword.removesuffix("_url"), url)
    migrations = setting("migrations")
    if migrations is not None:
        tenancy.lend_migrations(migrations)
    context.call_on_close(tenancy.close)
    return tenancy
