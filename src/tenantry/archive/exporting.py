"""An export: what a tenant has, or one of its persons, as files that people and other programs read."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, MetaData

from tenantry.archive.encoding import Digesting
from tenantry.archive.export_folders import Folder, file_name, folder
from tenantry.archive.export_forms import FORMS, JSONL, lines
from tenantry.archive.export_outcomes import Exported, TableExport
from tenantry.archive.export_readme import readme
from tenantry.archive.forgetting import Forgetting, view_of
from tenantry.archive.persons import Person, check_declared
from tenantry.archive.places import Reader, reading
from tenantry.archive.shapes import TableShape
from tenantry.archive.stores import Store
from tenantry.errors import ArchiveError, ConfigurationError
from tenantry.events import announce
from tenantry.ids import uuid7
from tenantry.models.serialisation import LIKELY_SECRET, SECRET
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

README: Final = "README.md"
CONTENTS: Final = "contents.json"


def export(
    tenancy: Tenancy,
    key: TenantKey,
    place: str | Path,
    *,
    form: str = JSONL,
    subject: str | Iterable[str] | None = None,
    reveal: Collection[str] = (),
) -> Exported:
    """Writes one state of a tenant's rows, a file for each table, into a new directory, or a zip if the name ends so.

    With *subject*, the names of a person, only that person's rows, those that go with them, and what the library's own
    tables say of the person: all that an erase would take. Columns that hold secrets are left out unless *reveal* names
    them, as ``table.column``.

    Raises: TenantNotFound, ExportExists, PersonsUndeclared, PersonUnnamed, LoginRequired, BackupFiltered, StoreFull,
        ConfigurationError for a form that does not exist.
    """
    if form not in FORMS:
        raise ConfigurationError(
            what=f"There is no form {form!r} of an export.", fix=f"Use one of: {', '.join(FORMS)}."
        )
    person = None if subject is None else Person.of(subject)
    if person is not None:
        check_declared(tenancy.metadata)
    tenant = tenancy.tenants.get(key)
    tenancy.record_operator(f"export of tenant {tenant.id}", tenant.server)
    with folder(Path(place)) as files, reading(tenancy, tenant) as reader:
        chosen = _everything(reader) if person is None else _of_person(tenancy, reader, person)
        work = _Work(files, reader, form, tenancy.metadata, frozenset(reveal))
        tables = tuple(work.write(chosen))
        done = Exported(Path(place), tenant, form, reader.taken_at, person is not None, tables)
        files.write(CONTENTS, [json.dumps(_contents(done), indent=2, ensure_ascii=False).encode() + b"\n"])
        files.write(README, [readme(done).encode()])
    return done


def keep_export(done: Exported, store: Store) -> str:
    """Puts a copy of an export that is a zip file into a store, and returns its name there; an erase deletes it.

    Raises: ConfigurationError for one that is a directory; ArchiveExists, StoreFull, StoreUnavailable.
    """
    if not done.place.is_file():
        raise ConfigurationError(
            what=f"{done.place} is a directory, and a store keeps files.", fix="Export to a name that ends in .zip."
        )
    name = f"{done.tenant.id}/exports/{done.taken_at.astimezone(datetime.UTC):%Y%m%dt%H%M%S.%fz}.zip"
    store.put(name, done.place)
    return name


@dataclass(frozen=True, slots=True)
class _Work:
    """What writes one export."""

    files: Folder
    reader: Reader
    form: str
    metadata: MetaData
    reveal: frozenset[str]

    def write(self, chosen: Mapping[str, Sequence[Sequence[str]] | None]) -> Iterator[TableExport]:
        """Writes the tables that were chosen, whole ones and single rows."""
        operation = uuid7()
        tables = [table for table in self.reader.tables if table.name in chosen]
        for number, table in enumerate(tables):
            told = {"entry": operation, "tenant": self.reader.tenant.id, "table": table.name}
            announce("export", "table", done=number, total=len(tables), **told)
            keys = chosen[table.name]
            chunks = self.reader.rows(table) if keys is None else self._rows_of(table, keys)
            yield self._file(table, chunks)

    def _file(self, table: TableShape, chunks: Iterable[bytes]) -> TableExport:
        secret = {column.name for column in self.metadata.tables[table.name].columns if self._is_secret(column)}
        shown = [position for position, name in enumerate(table.names) if name not in secret]
        rows, written = Digesting(chunks), hashlib.sha256()
        name = file_name(table.name, self.form)
        self.files.write(name, _digested(lines(self.form, table.columns, shown, rows), written))
        return TableExport(
            table=table.name,
            file=name,
            rows=rows.digest.rows,
            columns=tuple(table.names[position] for position in shown),
            left_out=tuple(name for name in table.names if name in secret),
            sha256=written.hexdigest(),
        )

    def _rows_of(self, table: TableShape, keys: Sequence[Sequence[str]]) -> Iterator[bytes]:
        found = Digesting(self.reader.rows_of(table, keys))
        yield from found
        if found.digest.rows != len(keys):
            raise ArchiveError(
                what=f"Of {len(keys)} rows of {table.name} that are a person's {found.digest.rows} were read.",
                fix="Begin again; if it is no better, look at how the key of that table is declared.",
            )

    def _is_secret(self, column: Column[Any]) -> bool:
        if f"{column.table.name}.{column.name}" in self.reveal:
            return False
        said = column.info.get(SECRET)
        return bool(LIKELY_SECRET.search(column.name)) if said is None else bool(said)


def _everything(reader: Reader) -> dict[str, None]:
    return dict.fromkeys(table.name for table in reader.tables)


def _of_person(tenancy: Tenancy, reader: Reader, person: Person) -> dict[str, list[tuple[str, ...]]]:
    traces = Forgetting(view_of(tenancy, reader), tenancy.metadata, person, ()).traces()
    chosen: dict[str, list[tuple[str, ...]]] = {}
    for kind in (traces.own, traces.going, traces.blanked):
        for name, keys in kind.items():
            chosen.setdefault(name, []).extend(tuple(map(_key_text, key)) for key in keys)
    for name, numbers in traces.entries.items():
        chosen[name] = [(str(number),) for number in numbers]
    return {name: sorted(keys) for name, keys in chosen.items()}


def _key_text(value: Any) -> str:
    """Returns the canonical text of a part of a key."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).isoformat(" ").replace("+00:00", "+00")
    return "tf"[not value] if isinstance(value, bool) else str(value)


def _digested(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _contents(done: Exported) -> dict[str, Any]:
    return {
        "tenant": str(done.tenant.id),
        "slug": done.tenant.slug,
        "name": done.tenant.name,
        "taken_at": done.taken_at.isoformat(timespec="milliseconds"),
        "form": done.form,
        "of_one_person": done.person,
        "library": importlib.metadata.version("tenantry"),
        "tables": [asdict(table) for table in done.tables],
    }
