"""What a tenant has, or one of its persons, in files that say the same wherever the rows stood."""

from __future__ import annotations

import base64
import csv
import datetime
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import DateTime, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive.exporting import Exported, export
from tenantry.errors import (
    ConfigurationError,
    ExportExists,
    PersonsUndeclared,
    PersonUnnamed,
    StoreUnavailable,
    TenantNotFound,
)
from tenantry.models import JSONDocument, TenantOwned, UTCDateTime

from ..erase.houses import ANNA, ANNA_PHONE, BEN, PLACES, House
from ..erase.models import Customer
from ..erase.test_persons import GONE


def files_of(done: Exported) -> dict[str, bytes]:
    if done.place.suffix != ".zip":
        return {path.name: path.read_bytes() for path in done.place.iterdir()}
    with zipfile.ZipFile(done.place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rows_of(done: Exported, table: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files_of(done)[f"{table}.jsonl"].decode().splitlines()]


@pytest.mark.parametrize("place", PLACES)
def test_an_export_has_every_row_and_says_what_it_is(house: House, place: str, tmp_path: Path) -> None:
    site, tenant = house.site(place), house.make(place)
    house.fill(place, tenant)
    done = export(site.tenancy, tenant, tmp_path / "made" / "export")
    files = files_of(done)
    contents = json.loads(files["contents.json"])
    digests = house.digests(place, tenant)
    assert {table["table"]: table["rows"] for table in contents["tables"]} == {n: d.rows for n, d in digests.items()}
    assert contents["tenant"] == str(tenant.id)
    for table in contents["tables"]:
        assert hashlib.sha256(files[table["file"]]).hexdigest() == table["sha256"]
        rows = rows_of(done, table["table"])
        assert len(rows) == table["rows"]
        assert all(list(row) == table["columns"] for row in rows)
        assert f"{table['rows']} rows of `{table['table']}`" in files["README.md"].decode()
    assert {row["email"] for row in rows_of(done, "customers")} == {ANNA, BEN}
    assert [row["text"] for row in rows_of(done, "drafts")] == [f"by {ANNA}", f"by {BEN}"]
    assert "Left out because they hold secrets: `customers.password_hash`" in files["README.md"].decode()
    assert (tmp_path / "made" / "export").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", PLACES)
def test_a_persons_export_is_what_an_erase_would_take(house: House, place: str, tmp_path: Path) -> None:
    site, tenant = house.site(place), house.make(place)
    house.fill(place, tenant)
    person = [ANNA, ANNA_PHONE]
    done = export(site.tenancy, tenant, tmp_path / "anna.zip", subject=person)
    rows = {table.table: table.rows for table in done.tables}
    foreseen = site.erasing.foresee(tenant, person).rows
    assert rows == {name: count for name, count in foreseen.items() if count}
    assert rows | {"audit_log": 0} == {name: gone for name, (gone, _) in GONE.items()} | {"audit_log": 0}
    assert [row["email"] for row in rows_of(done, "customers")] == [ANNA]
    for name in ("customers", "tickets", "messages", "visits"):
        said = files_of(done)[f"{name}.jsonl"].decode().lower()
        assert ANNA in said
        assert BEN not in said
    assert "of one person" in files_of(done)["README.md"].decode()


def test_who_is_nobody_has_an_export_without_rows(house: House, tmp_path: Path) -> None:
    site, tenant = house.site("rows"), house.make("rows")
    done = export(site.tenancy, tenant, tmp_path / "nobody", subject="nobody@example.org")
    assert (done.rows, done.tables) == (0, ())
    assert sorted(files_of(done)) == ["README.md", "contents.json"]


class Base(DeclarativeBase):
    pass


class Sample(TenantOwned, Base):
    __tablename__ = "samples"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None]
    number: Mapped[Any | None] = mapped_column(Numeric(12, 3))
    weight: Mapped[float | None]
    whole: Mapped[int | None]
    yes: Mapped[bool | None]
    raw: Mapped[bytes | None]
    at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    local: Mapped[datetime.datetime | None] = mapped_column(DateTime)
    day: Mapped[datetime.date | None]
    facts: Mapped[Any | None] = mapped_column(JSONDocument)
    api_key: Mapped[str | None]


AT = datetime.datetime(2026, 11, 22, 10, 30, 0, 5, tzinfo=datetime.UTC)
SAMPLE = {
    "id": 1,
    "text": 'tab\t"quote", ü🙂\nline',
    "number": 12.5,
    "weight": 1e300,
    "whole": -7,
    "yes": True,
    "raw": b"\0\xff",
    "at": AT,
    "local": AT.replace(tzinfo=None),
    "day": AT.date(),
    "facts": {"a": [1, None, "ü"]},
    "api_key": "secret",
}
AS_JSON = {
    **SAMPLE,
    "number": "12.500",
    "raw": base64.b64encode(b"\0\xff").decode(),
    "at": "2026-11-22T10:30:00.000005Z",
    "local": "2026-11-22T10:30:00.000005",
    "day": "2026-11-22",
}


@pytest.fixture(params=["postgresql", "sqlite"])
def samples(request: pytest.FixtureRequest, fresh_database: str, tmp_path: Path) -> Any:
    """A tenancy with the tenant acme, who has the sample and a row without anything."""
    url = fresh_database if request.param == "postgresql" else f"sqlite:///{tmp_path / 'data'}"
    tenancy = Tenancy(url, models=Base)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme", isolation="rows")
    with tenancy.transaction("acme") as db:
        db.add_all([Sample(**SAMPLE), Sample(id=2)])
    yield tenancy
    tenancy.close()


def test_values_look_the_same_from_either_database(samples: Tenancy, tmp_path: Path) -> None:
    done = export(samples, "acme", tmp_path / "json", reveal=["samples.api_key"])
    assert rows_of(done, "samples") == [AS_JSON, {**dict.fromkeys(AS_JSON), "id": 2}]
    table = export(samples, "acme", tmp_path / "csv", form="csv")
    text = files_of(table)["samples.csv"].decode()
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    said = {name: value for name, value in AS_JSON.items() if name != "api_key"}
    assert first == {
        **{name: str(value) for name, value in said.items()},
        "yes": "true",
        "weight": "1e+300",
        "facts": '{"a": [1, null, "ü"]}',
    }
    assert second == {**dict.fromkeys(said, ""), "id": "2"}


def test_a_spreadsheet_meets_no_formula_and_tells_nothing_from_an_empty_text(samples: Tenancy, tmp_path: Path) -> None:
    texts = ["=1+1", "@x", "+1", "-1", "\tx", "\rx", "", " x"]
    with samples.transaction("acme") as db:
        db.add_all(Sample(id=10 + number, text=text) for number, text in enumerate(texts))
    done = export(samples, "acme", tmp_path / "csv.zip", form="csv")
    said = files_of(done)["samples.csv"].decode()
    found = [row[1] for row in csv.reader(io.StringIO(said, newline=""))][3:]
    assert found == [f"'{text}" if text and text[0] in "=@+-\t\r" else text for text in texts]
    assert '\r\n16,"",' in said
    assert "\r\n2,," in said


on_sqlite = pytest.mark.parametrize("samples", ["sqlite"], indirect=True)


@on_sqlite
def test_an_export_takes_no_name_that_is_taken(samples: Tenancy, tmp_path: Path) -> None:
    for name in ("here", "here.zip"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ExportExists):
            export(samples, "acme", tmp_path / name)
        assert (tmp_path / name).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["here", "here.zip"]


REFUSED: dict[type[Exception], Callable[[Tenancy, Path], Any]] = {
    ConfigurationError: lambda tenancy, place: export(tenancy, "acme", place, form="xml"),
    PersonsUndeclared: lambda tenancy, place: export(tenancy, "acme", place, subject="anna@example.org"),
    PersonUnnamed: lambda tenancy, place: export(tenancy, "acme", place, subject=[]),
    TenantNotFound: lambda tenancy, place: export(tenancy, "nobody", place),
    StoreUnavailable: lambda tenancy, place: export(tenancy, "acme", Path("/dev/null") / "export"),
}


@on_sqlite
def test_what_cannot_be_exported_leaves_nothing(samples: Tenancy, tmp_path: Path) -> None:
    for kind, ask in REFUSED.items():
        with pytest.raises(kind):
            ask(samples, tmp_path / "export")
    assert [path for path in tmp_path.iterdir() if path.name != "data"] == []


def test_an_export_is_one_state_of_a_tenant_that_is_suspended(house: House, tmp_path: Path) -> None:
    site, tenant = house.site("schema"), house.make("schema")
    with site.tenancy.transaction(tenant) as db:
        db.add(Customer(email=ANNA))
    site.tenancy.tenants.suspend(tenant)
    assert export(site.tenancy, tenant, tmp_path / "suspended").rows == 2
