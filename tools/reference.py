"""Writes the pages of the reference that come out of the code: errors, settings, commands, findings, and the rooms.

``python tools/reference.py`` writes them; with ``--check`` it writes nothing, and fails where a page is not what it
would write.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from public_names import PACKS, names_of, rooms

from tenantry import errors, settings
from tenantry.cli.commands import COMMANDS, load, root
from tenantry.doctor.codes import CODES
from tenantry.web.problems import problem_of

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
KINDS: Final = {"D": "Faults", "N": "Notices", "U": "What could not be looked at"}
# What is reached by an attribute, and made by nobody: tenancy.tenants, tenancy.servers, tenancy.aio.
BESIDE: Final = {
    "tenantry": (
        "tenantry.provision.tenants.Tenants",
        "tenantry.isolation.servers.Servers",
        "tenantry.aio.AsyncTenancy",
    )
}
URLS: Final = {
    "TENANTRY_URL": "the run-time login's URL, or a reference to it such as `file:/run/secrets/url`",
    "TENANTRY_OWNER_URL": "the owner's login, for `install` and migrations",
    "TENANTRY_OPERATOR_URL": "the operator's login, for work across tenants",
    "TENANTRY_PLATFORM_URL": "the platform's login, for Platform tables and the catalog",
    "DATABASE_URL": "the run-time login's URL, where TENANTRY_URL is not set",
    "POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD": "its parts, where neither is set",
    "SQLITE_DATA_DIR": "a directory of SQLite files, where none of these is set",
    "TENANTRY_APP": "where the command line finds the application's tenancy: `shop.db:tenancy`",
}


def errors_page() -> str:
    """Returns the page of the errors: what each says, its fields, its base, and the answer over HTTP."""
    lines = ["# Errors", "", "Every error is a `TenantryError` and says what happened, to whom, and what to do next."]
    lines += ["In the sentences below, words in braces are its fields. The number is the answer over HTTP, if any.", ""]
    found: list[type[errors.TenantryError]] = [getattr(errors, name) for name in sorted(errors.__all__)]
    for kind in found:
        lines += [f"## {kind.__name__}", "", _sentence(kind), ""]
        lines += [", ".join(_facts(kind)), ""]
    return "\n".join(lines)


def settings_page() -> str:
    """Returns the page of the settings: each field of Config with its default and variables, and the URLs."""
    said = dict(_arguments(settings.Config))
    variables: dict[str, list[str]] = {}
    for variable, named, _ in settings._VARIABLES:
        variables.setdefault(named, []).append(f"`{variable}`")
    lines = [
        "# Settings",
        "",
        "`Config` holds the choices of an installation: `Tenancy(url, models=Base, config=Config(...))`.",
    ]
    lines += ["`Tenancy.from_env(models=Base)` reads the variables.", ""]
    for field in dataclasses.fields(settings.Config):
        default = field.default if field.default is not dataclasses.MISSING else {}
        names = ", ".join(variables.get(field.name, [])) or "none"
        lines += [f"## {field.name}", "", f"{said[field.name][:1].upper()}{said[field.name][1:]}", ""]
        lines += [f"Default: `{default!r}`. Variables: {names}.", ""]
    lines += ["## URLs and the application", "", "| variable | what it holds |", "|---|---|"]
    lines += [f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {what} |" for names, what in URLS.items()]
    return "\n".join([*lines, ""])


def commands_page() -> str:
    """Returns the page of the commands: the help of each, as `--help` prints it."""
    lines = [
        "# Commands",
        "",
        "What `--help` says of each command. `--json` prints for machines what is a table for people.",
        "",
    ]
    for path, command in _all_commands():
        lines += [f"## {' '.join(path)}", "", _plain(command.help), ""]
        options = [line for parameter in command.params for line in _parameter(parameter)]
        lines += [*options, ""] if options else []
    return "\n".join(lines)


def findings_page() -> str:
    """Returns the page of the codes that the doctor and the models' linter report."""
    lines = ["# Findings", "", "What `tenantry doctor` reports, by code. A code never changes its meaning.", ""]
    for letter, title in KINDS.items():
        lines += [f"## {title}", "", "| code | what it stands for |", "|---|---|"]
        lines += [f"| {code} | {what} |" for code, what in CODES.items() if code.startswith(letter)]
        lines += [""]
    return "\n".join(lines)


def api_page(room: str) -> str:
    """Returns the page of one room: what it exports, for mkdocstrings to fill in from the docstrings."""
    module = importlib.import_module(room)
    lines = [f"# {room}", "", inspect.cleandoc(module.__doc__ or ""), ""]
    for name in names_of(room):
        # Modules have pages of their own, aliases of types no docstring.
        if not inspect.ismodule(getattr(module, name)):
            lines += [f"::: {room}.{name}", ""]
    lines += [line for name in BESIDE.get(room, ()) for line in (f"::: {name}", "")]
    return "\n".join(lines)


def api_rooms() -> list[str]:
    """Returns the rooms that have a page of their names; the packs and the errors have other ones."""
    return [room for room in rooms() if not room.startswith((PACKS, "tenantry.errors", "tenantry.cli"))]


def api_index() -> str:
    """Returns the page that leads to the rooms' pages."""
    lines = ["# Names", "", "What each room exports, from its docstrings. What is not here is not public.", ""]
    lines += ["| room | what it is |", "|---|---|"]
    for room in api_rooms():
        said = inspect.cleandoc(importlib.import_module(room).__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`{room}`]({room}.md) | {said} |")
    return "\n".join([*lines, ""])


PAGES: Final[dict[str, Callable[[], str]]] = {
    "errors.md": errors_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "findings.md": findings_page,
    "api/index.md": api_index,
    **{f"api/{room}.md": functools.partial(api_page, room) for room in api_rooms()},
}


def main() -> None:
    """Writes the pages, or checks them."""
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the code says now. Run python tools/reference.py.")


def _sentence(kind: type) -> str:
    return re.sub(r"\s+", " ", inspect.cleandoc(kind.__doc__ or "")).replace("{", "*{").replace("}", "}*")


def _facts(kind: type[errors.TenantryError]) -> Iterator[str]:
    bases = [base.__name__ for base in kind.__mro__[1:] if issubclass(base, errors.TenantryError)]
    yield f"A `{bases[0]}`" if bases else "The base of all"
    fields = [
        name for base in reversed(kind.__mro__) for name in vars(base).get("__annotations__", {}) if name[0] != "_"
    ]
    if fields:
        yield f"with {', '.join(f'`{name}`' for name in fields)}"
    problem = problem_of(kind.__new__(kind))
    if problem is not None:
        yield f"HTTP {problem.status}"


def _arguments(kind: type) -> Iterator[tuple[str, str]]:
    """Yields what a docstring says of each argument."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    for entry in re.split(r"\n(?=    \w+:)", text):
        name, _, words = entry.strip().partition(": ")
        yield name, re.sub(r"\s+", " ", words)


def _all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    yield ("tenantry",), root
    for name in COMMANDS:
        yield from _commands(load(name), ("tenantry", name))


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not command.hidden:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from _commands(inner, (*path, name))


def _plain(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b", "")


def _parameter(parameter: Any) -> Iterator[str]:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return
    words = _plain(getattr(parameter, "help", None))
    names = " / ".join([*parameter.opts, *parameter.secondary_opts])
    shown = names if parameter.param_type_name == "option" else (parameter.name or "").upper()
    yield f"* `{shown}`" + (f": {words}" if words else "")


if __name__ == "__main__":
    main()
