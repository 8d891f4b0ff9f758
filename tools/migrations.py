"""Writes the migration guide of each pack out of its revisions: ``python tools/migrations.py``.

With ``--check`` it writes nothing, and fails where a page is not what it would write. What a revision does is learnt by
calling it with operations that are only noted down; one that this program cannot explain ends it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alembic.script import ScriptDirectory
from sqlalchemy import Column, ForeignKeyConstraint

from tenantry.settings import folder_of

FOLDER: Final = Path(__file__).parent.parent / "docs" / "packs"
# By pack: what its tenants are called.
PACKS: Final = {
    "helpdesk": "a company",
    "meetings": "a workspace",
    "documents": "an organisation",
    "assistant": "a company",
    "incidents": "a tenant",
}
# What a table is besides being a tenant's, by the operation that makes it so.
KINDS: Final = {"append_only": "append-only", "grant_platform": "the platform's", "share": "shared"}
WRITERS: Final = "SHARE ROW EXCLUSIVE"
INDEXED: Final = "SHARE"
EVERYBODY: Final = "ACCESS EXCLUSIVE"
WAITING: Final = {WRITERS: "writers wait", INDEXED: "writers wait", EVERYBODY: "everybody waits"}
_PLANNED: Final = re.compile(
    r"(?P<name>[\w-]+) (?:\[(?P<after>[^\]]*)\] )?\d{4}-\d\d-\d\dT[\d:]+Z [^#]+ # (?P<what>.+)"
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision: what it does to which tables, and what is locked by it that was there before."""

    name: str
    after: str
    what: str
    made: Mapping[str, Sequence[str]]
    changes: Sequence[str]
    locks: Mapping[str, str]
    back: Sequence[str]


@dataclass
class Noted:
    """Alembic's operations as a revision calls them, noted down in the place of being done."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls.append((name, args, options))
            # A name as it is, and a home that has every table.
            return args[0] if name == "f" else True

        return call

    def of(self, name: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Yields the arguments of each call of one operation."""
        yield from ((args, options) for called, args, options in self.calls if called == name)


def alembic_revisions(directory: str) -> list[Revision]:
    """Returns the revisions of a directory of Alembic scripts, the oldest first."""
    scripts, before = ScriptDirectory(directory), set[str]()
    found = []
    for script in reversed(list(scripts.walk_revisions())):
        done, undone = (_noted(script.module, name) for name in ("upgrade", "downgrade"))
        made = {args[0]: _kinds_of(args[0], done) for args, _ in done.of("create_table")}
        what = _begun(script.doc or "").rstrip(".")
        after = str(script.down_revision or "base")
        locks = _locks(done, before)
        found.append(Revision(script.revision, after, what, made, list(_changes(done, before)), locks, _lost(undone)))
        before |= made.keys()
    return found


def sqitch_revisions(directory: Path) -> list[Revision]:
    """Returns the changes of a Sqitch project, in the order of its plan."""
    found, before = [], set[str]()
    for line in (directory / "sqitch.plan").read_text(encoding="utf-8").splitlines():
        planned = _PLANNED.fullmatch(line)
        if planned is None:
            continue
        deploy, revert = ((directory / way / f"{planned['name']}.sql").read_text() for way in ("deploy", "revert"))
        made = dict.fromkeys(re.findall(r"CREATE TABLE (\w+)", deploy), ())
        referred = set(re.findall(r"REFERENCES (\w+)", deploy)) & before
        impact = re.search(r"(?m)^-- Impact: (.+)$", deploy)
        found.append(
            Revision(
                planned["name"],
                planned["after"] or "base",
                planned["what"].rstrip("."),
                made,
                [impact[1]] if impact else [],
                dict.fromkeys(sorted(referred), WRITERS),
                [_dropping(re.findall(r"DROP TABLE (?:IF EXISTS )?(\w+)", revert))],
            )
        )
        before |= made.keys()
    return found


def _noted(module: Any, name: str) -> Noted:
    operations, module.op = module.op, Noted()
    try:
        getattr(module, name)()
        noted: Noted = module.op
    finally:
        module.op = operations
    unknown = {call for call, _, _ in noted.calls} - EXPLAINED
    if unknown:
        raise SystemExit(f"{module.__name__}: nothing here explains {', '.join(sorted(unknown))}.")
    return noted


def _kinds_of(table: str, done: Noted) -> list[str]:
    return [said for name, said in KINDS.items() if any(args[0] == table for args, _ in done.of(name))]


def _changes(done: Noted, before: set[str]) -> Iterator[str]:
    for (table, column, *_), _ in done.of("add_column"):
        yield f"adds the column `{column.name}` to `{table}`"
    for (table, column, *_), _ in done.of("drop_column"):
        yield f"drops the column `{column}` of `{table}`"
    for (name, table, *_), _ in done.of("create_index"):
        if table in before:
            yield f"makes the index `{name}` of `{table}`"


def _locks(done: Noted, before: set[str]) -> dict[str, str]:
    """Returns the hardest lock of each table that was there already (PostgreSQL, Explicit Locking)."""
    taken = {table: WRITERS for args, _ in done.of("create_table") for table in _referred(args) if table in before}
    taken |= {args[1]: INDEXED for args, _ in done.of("create_index") if args[1] in before}
    taken |= {args[0]: EVERYBODY for name in ("add_column", "drop_column") for args, _ in done.of(name)}
    return dict(sorted(taken.items()))


def _referred(table: Iterable[Any]) -> Iterator[str]:
    for item in table:
        keys = item.elements if isinstance(item, ForeignKeyConstraint) else ()
        keys = [*keys, *(item.foreign_keys if isinstance(item, Column) else ())]
        yield from (str(key.target_fullname).rpartition(".")[0] for key in keys)


def _lost(undone: Noted) -> list[str]:
    tables = [args[0] for args, _ in undone.of("drop_table")]
    columns = [f"`{args[1]}` of `{args[0]}`" for args, _ in undone.of("drop_column")]
    dropped = [_dropping(tables)] if tables else []
    return dropped + [f"drops the column {column}, values and all" for column in columns]


def _dropping(tables: Iterable[str]) -> str:
    return f"drops {_names(tables)}, rows and all"


EXPLAINED: Final = {
    *("create_table", "drop_table", "add_column", "drop_column", "create_index", "drop_index"),
    *("wall", "holds", "f"),
    *KINDS,
}


def page_of(pack: str) -> str:
    """Returns the guide of one pack."""
    sqitch = pack == "documents"
    directory = folder_of(f"tenantry.packs.{pack}:migrations")
    revisions = sqitch_revisions(Path(directory)) if sqitch else alembic_revisions(directory)
    parts = [_beginning(pack, revisions, sqitch=sqitch), _commands(revisions, sqitch=sqitch), _standing(pack)]
    return "\n".join([*parts, _locking(revisions), *(_described(revision) for revision in revisions)])


def _beginning(pack: str, revisions: Sequence[Revision], *, sqitch: bool) -> str:
    history = "[Sqitch](../fleet.md#sqitch) changes" if sqitch else "Alembic revisions"
    rows = "\n".join(f"| [`{each.name}`](#{each.name}) | {_after(each)} | {each.what} |" for each in revisions)
    key = "sqitch" if sqitch else "migrations"
    return f"""\
# {pack.capitalize()}: its migrations

<!-- Written by tools/migrations.py out of the revisions. -->

{len(revisions)} {history} come with [the pack]({pack}.md). Each home, which is wherever rows of {PACKS[pack]} stand,
has on record how far it is; [the fleet](../fleet.md) brings all of them to the head, a few first if you like.

| revision | stands on | what it is |
|---|---|---|
{rows}

## The application

`tenantry` finds the application and the revisions in `pyproject.toml`; `TENANTRY_URL` says where the rows are, and
`TENANTRY_OWNER_URL` names the login that may change tables.

```toml pyproject.toml
[tool.tenantry]
app = "app:tenancy"
{key} = "tenantry.packs.{pack}:migrations"
```

```python app.py
from tenantry import Tenancy
from tenantry.packs.{pack} import {pack.capitalize()}, {pack.capitalize()}Base

tenancy = Tenancy.from_env(models={pack.capitalize()}Base)
{pack} = {pack.capitalize()}(tenancy)
```
"""


def _commands(revisions: Sequence[Revision], *, sqitch: bool) -> str:
    head, before = revisions[-1].name, revisions[-2].name
    # Sqitch tells changes by their identifiers, and counts no steps.
    at_head, at_before, down = ("…", "…", before) if sqitch else (f"{head}.", f"{before}.", "-1")
    verify = "$ tenantry fleet verify\n0 findings in …\n" if sqitch else ""
    # What was made from the models passes the verify scripts, and so is put on record and not made again.
    again = "$ tenantry fleet upgrade\n" if sqitch else ""
    return f"""\
## Up and down

```console
$ tenantry install
Installed.
$ tenantry fleet history
$ tenantry fleet upgrade
$ tenantry tenants create acme
{again}$ tenantry fleet status
… at {at_head}
$ tenantry fleet check
0 findings in …
{verify}```

Take [a backup](../backup.md#before-a-migration) before a step down: what it drops is gone. `plan` says who would go
where, and `sql` prints what would be run.

```console
$ tenantry fleet plan {down} --downgrade
… nothing was changed.
$ tenantry fleet downgrade {down} --yes
… at {at_before} Run … is done.
$ tenantry fleet sql
$ tenantry fleet upgrade
… at {at_head} Run … is done.
```
"""


def _standing(pack: str) -> str:
    return f"""\
## A database that has the tables already

Where the tables stand and no revision is on record (they came out of a dump, or were made by hand), put on record the
one that they are at. Nothing is run; `check` then compares every home with the models.

```console
$ tenantry fleet stamp head
head is on record in …
$ tenantry fleet check
0 findings in …
```

Tables of your own, with rows of every {PACKS[pack].partition(" ")[2]} in them and no wall, are
[taken over in place](../fleet.md#taking-over-what-exists).
"""


def _locking(revisions: Sequence[Revision]) -> str:
    rows = "\n".join(f"| `{each.name}` | {_locked(each)} |" for each in revisions)
    return f"""\
## What is locked meanwhile

On PostgreSQL each revision is one transaction in each home, and what it locks is free when that ends: of common tables
for all tenants in them, elsewhere for one. A step that has waited for a lock for a second gives up, leaves its home as
it was and is tried again, so that nobody queues behind it for longer (`--lock-timeout`, `--attempts`).

| revision | tables in use that it locks |
|---|---|
{rows}

On SQLite writers of the file wait, and readers go on seeing it as it was, until the transaction ends. On both a step
down locks what it drops, and what that refers to, for everybody.
"""


def _locked(revision: Revision) -> str:
    if not revision.locks:
        return "none: all that it touches is new"
    return ", ".join(f"`{table}`: {WAITING[mode]} ({mode})" for table, mode in revision.locks.items())


def _described(revision: Revision) -> str:
    kinds = {table: f" ({', '.join(said)})" if said else "" for table, said in revision.made.items()}
    made = [f"makes {', '.join(f'`{table}`{said}' for table, said in kinds.items())}"] if kinds else []
    points = [*made, *revision.changes, *(f"taken back, it {said}" for said in revision.back)]
    lines = "\n".join(f"* {_begun(point)}{'' if point.endswith('.') else '.'}" for point in points)
    return f"## {revision.name}\n\n{revision.what}; stands on {_after(revision)}.\n\n{lines}\n"


def _after(revision: Revision) -> str:
    return "nothing" if revision.after == "base" else f"`{revision.after}`"


def _begun(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _names(tables: Iterable[str]) -> str:
    return ", ".join(f"`{table}`" for table in tables)


def main() -> None:
    """Writes the pages, or says which are not as they would be written."""
    pages = {FOLDER / f"{pack}-migrations.md": page_of(pack) for pack in PACKS}
    if "--check" not in sys.argv[1:]:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if stale:
        raise SystemExit(f"{', '.join(stale)}: run python tools/migrations.py")


if __name__ == "__main__":
    main()
