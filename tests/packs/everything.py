"""Every table of every pack: two tenants whose rows fill them all, in any cell."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells import CELLS, lent_logins
from sqlalchemy import Table

import tenantry.packs
from tenantry import Tenancy
from tenantry.models import Ownership, owned_tables
from tenantry.models.behaviours import BEHAVIOUR
from tenantry.testing import Ground

# What no type and no list of words tells of a row.
KNOWN = {"usage_records": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, by the names that all of them have."""

    name: str
    base: Any
    make: Callable[[Tenancy], Any]

    def walled(self) -> list[Table]:
        """Returns every table that holds tenants' rows, those referred to first."""
        return owned_tables(self.base.metadata, Ownership.TENANT, Ownership.RECORD)


def packs() -> list[Pack]:
    """Returns every pack that there is."""
    found = []
    for each in pkgutil.iter_modules(tenantry.packs.__path__):
        module, called = importlib.import_module(f"tenantry.packs.{each.name}"), each.name.capitalize()
        found.append(Pack(each.name, getattr(module, f"{called}Base"), getattr(module, called)))
    return found


class Scene(Ground):
    """One pack in one cell: tenant A, whose sessions try, and tenant B, whose rows they are not to reach."""

    def __init__(self, pack: Pack, cell: str, doors: dict[str, Tenancy], *, made: list[Any], without: str | None):
        # Held, as an application holds them: what nobody holds knows of nothing.
        self.made = made
        self.pack = pack
        self.cell = cell
        tables = [table for table in pack.walled() if table.info.get(BEHAVIOUR, "") != without]
        super().__init__(doors["sync"], isolation=CELLS[cell], tables=tables, known=KNOWN, doors=doors)
        self.tenancies = doors

    def close(self) -> None:
        super().close()
        for tenancy in self.tenancies.values():
            tenancy.close()


@contextmanager
def scene(pack: Pack, cell: str, server: Any, directory: Path, *, without: str | None = None) -> Iterator[Scene]:
    """Lends a pack, installed as for production: by an owner, entered by a login that may do nothing but work.

    The tables of a behaviour that keeps count of its own rows may stay *without* any.
    """
    with ExitStack() as ends:
        if cell.startswith("sqlite"):
            tenancies = {"sync": Tenancy(f"sqlite:///{directory}", models=pack.base)}
            tenancies["aiosqlite"] = tenancies["sync"]
        else:
            tenancies = _on_postgresql(pack, server, ends)
        made = [pack.make(tenancy) for tenancy in dict.fromkeys(tenancies.values())]
        tenancies["sync"].install(create_tables=True)
        found = Scene(pack, cell, tenancies, made=made, without=without)
        ends.callback(found.close)
        yield found


def _on_postgresql(pack: Pack, server: Any, ends: ExitStack) -> dict[str, Tenancy]:
    url = ends.enter_context(server.lend_database())
    logins = ends.enter_context(lent_logins(server, url, pack.base, pack.make))
    app = logins.pop("app_url")
    asyncpg = app.replace("postgresql:", "postgresql+asyncpg:")
    return {
        "sync": Tenancy(app, models=pack.base, owner_url=url, **logins),
        "asyncpg": Tenancy(asyncpg, models=pack.base, owner_url=url, **logins),
    }
