"""The migration guides of the packs: what the revisions say, what the commands do, and who waits for them."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry import Tenancy
from tenantry.fleet import Fleet, Pace

from .typed import Command, steps, type_through

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "migrations.py"))
PACKS = sorted(TOOL["PACKS"])
# One is tried each time, the rest in the long run.
OFTEN = [pytest.param(each, marks=() if each == "incidents" else pytest.mark.soak) for each in PACKS]
# Long enough for the fleet's own work, and over at once where somebody holds what it needs.
PACE = Pace(lock_timeout=0.1, attempts=1)
READING, WRITING = "ACCESS SHARE", "ROW EXCLUSIVE"


@pytest.mark.parametrize("pack", PACKS)
def test_the_guide_is_what_the_revisions_say(pack: str) -> None:
    assert (ROOT / "docs" / "packs" / f"{pack}-migrations.md").read_text(encoding="utf-8") == TOOL["page_of"](pack)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
@pytest.mark.parametrize("pack", PACKS)
def test_the_guide_does_what_it_says(pack: str, kind: str, postgres: Any, tmp_path: Path) -> None:
    page = ROOT / "docs" / "packs" / f"{pack}-migrations.md"
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = {**os.environ, "PATH": programs, "COLUMNS": "200", "NO_COLOR": "1", "TENANTRY_DEMOTE": "true"}
    if kind == "sqlite":
        typed = type_through(page, tmp_path, {**said, "TENANTRY_URL": "sqlite:///data"})
    else:
        with postgres.lend_database() as url:
            typed = type_through(page, tmp_path, {**said, "TENANTRY_URL": url, "TENANTRY_OWNER_URL": url})
    assert typed == sum(isinstance(step, Command) for step in steps(page))


@pytest.mark.parametrize("pack", OFTEN)
def test_who_waits_for_a_revision_is_in_the_guide(pack: str, postgres: Any) -> None:
    locks = dict(_locks_in_the_guide(pack))
    with postgres.lend_database() as url, _fleet(pack, url) as fleet:
        for revision, waiting in locks.items():
            standing = _tables(url)
            assert waiting.keys() <= standing
            for table, who in waiting.items():
                with _held(url, {table: READING if who == "everybody" else WRITING}):
                    assert not fleet.upgrade(revision, pace=PACE).ok, f"{revision} does not wait for {table}"
            # Nothing else is locked, and nobody waits who need not.
            spared = {table: READING for table, who in waiting.items() if who == "writers"}
            with _held(url, dict.fromkeys(standing - waiting.keys(), WRITING) | spared):
                assert fleet.upgrade(revision, pace=PACE).ok, revision
        # That was the whole history.
        assert fleet.check() == ()


def _locks_in_the_guide(pack: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields each revision with the tables in use that it locks, and who waits for it there."""
    page = (ROOT / "docs" / "packs" / f"{pack}-migrations.md").read_text(encoding="utf-8")
    rows = page.partition("| tables in use that it locks |")[2].partition("\n\n")[0]
    for revision, locked in re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", rows):
        yield revision, dict(re.findall(r"`(\w+)`: (\w+) waits? ", locked))


@contextmanager
def _fleet(pack: str, url: str) -> Iterator[Fleet]:
    module, name = importlib.import_module(f"tenantry.packs.{pack}"), pack.capitalize()
    tenancy = Tenancy(url, models=getattr(module, f"{name}Base"))
    made = getattr(module, name)(tenancy)
    directory = f"tenantry.packs.{pack}:migrations"
    if pack != "documents":
        tenancy.lend_migrations(directory)
    tenancy.install()
    yield Fleet(tenancy, made.history()) if pack == "documents" else Fleet(tenancy)
    tenancy.close()


@contextmanager
def _held(url: str, locks: dict[str, str]) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        for table, mode in locks.items():
            connection.execute(f'LOCK TABLE public."{table}" IN {mode} MODE')
        yield


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows} - {"alembic_version"}
