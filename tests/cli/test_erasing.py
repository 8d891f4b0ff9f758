"""``tenantry tenants erase``, ``erasures`` and ``certificate``, and ``tenantry archive export``."""

from __future__ import annotations

import json
import zipfile

import pytest

from tenantry.archive.keys import new_key

FILL = """
from {module} import Company, Ticket, tenancy
with tenancy.transaction("acme") as db:
    db.add_all(Ticket(subject=subject) for subject in ("anna", "ben", "=ben"))
"""
ERASING = """
from tenantry.archive import Archive, Erasing
from {module} import tenancy


class Cache:
    name = "the cache"

    def forget(self, tenant, subject):
        return 0


erasing = Erasing(Archive(tenancy, "archives"), copies=[Cache()])
"""


@pytest.fixture
def shop(shop):
    """The shop, whose tickets are somebody's, with three of them, a key and a store."""
    path = shop.directory / f"{shop.module}.py"
    path.write_text(
        path.read_text().replace("Ticket(TenantOwned, Base)", 'Ticket(TenantOwned, Base, subject="subject")')
    )
    shop.environment |= {"TENANTRY_ARCHIVE_KEYS": new_key("2026"), "TENANTRY_ARCHIVE": "archives"}
    shop.write("fill", FILL.format(module=shop.module))
    done = shop.run("shell", "acme", stdin="import fill")
    assert done.code == 0, done
    return shop


def erase(shop, *arguments: str):
    return shop.call("tenants", "erase", "acme", *arguments)


def test_a_person_and_then_the_tenant(shop):
    assert shop.call("archive", "backup", "acme").code == 0
    foreseen = erase(shop, "--subject", "Anna", "--dry-run", "--json").data
    assert (foreseen["scope"], foreseen["rows"]) == ("person", {"tickets": 1})
    assert list(foreseen["archives"].values()) == [1]
    done = erase(shop, "--subject", "anna", "--certificate", "anna.json", "--json").data
    assert done["certificate"] == json.loads((shop.directory / "anna.json").read_text())
    assert done["rows"] == {"tickets": 1}
    assert "It stands as it was signed" in shop.call("tenants", "certificate", "anna.json").said
    assert "Nothing was erased" in erase(shop).said
    whole = erase(shop, "--confirm", "acme")
    assert "acme is erased: 3 rows." in whole.said
    states = {one["state"] for one in shop.call("tenants", "erasures", "--json").data}
    assert states == {"done"}
    assert "2 erasures, 0 not at their end." in shop.call("tenants", "erasures").said
    assert shop.call("archive", "list", "--json").data == []


def test_an_erase_that_would_leave_archives_is_refused(shop):
    shop.call("archive", "backup", "acme")
    del shop.environment["TENANTRY_ARCHIVE"]
    refused = erase(shop, "--confirm", "acme")
    assert refused.code == 2
    assert "acme has 1 archive, and no store was named" in refused.said
    assert "No store was named" in erase(shop, "--subject", "anna").said
    assert erase(shop, "--confirm", "acme", "--store", "archives").code == 0


def test_the_programs_own_erasing_is_taken(shop):
    shop.write("erasing", ERASING.format(module=shop.module))
    settings = shop.directory / "pyproject.toml"
    settings.write_text(f'{settings.read_text()}erasing = "erasing:erasing"\n')
    assert "the cache │ 0 entries" in erase(shop, "--subject", "anna").said
    settings.write_text(settings.read_text().replace("erasing:erasing", "erasing:tenancy"))
    assert "erasing:tenancy is a Tenancy, not an Erasing." in erase(shop, "--subject", "anna").said


WRONG = {
    "No person was named": ["erase", "acme", "--subject", " "],
    "No tenant has the key": ["erase", "nobody", "--subject", "anna"],
    "exists already": ["erase", "acme", "--subject", "anna", "--certificate", "pyproject.toml"],
    "The certificate is not what was signed": ["certificate", "pyproject.toml"],
}


def test_what_is_asked_wrongly_changes_nothing(shop):
    before = shop.call("archive", "export", "acme", "before", "--json").data["rows"]
    for said, arguments in WRONG.items():
        result = shop.call("tenants", *arguments)
        assert result.code in (1, 2)
        assert said in result.said
    assert shop.call("archive", "export", "acme", "after", "--json").data["rows"] == before


def test_exports(shop):
    whole = shop.call("archive", "export", "acme", "acme.zip", "--form", "csv", "--keep", "--json").data
    assert whole["rows"] == {"companies": 1, "tickets": 3}
    assert (shop.directory / "archives" / whole["kept"]).is_file()
    with zipfile.ZipFile(shop.directory / "acme.zip") as files:
        assert "'=ben" in files.read("tickets.csv").decode()
    assert "anna has 1 row of 1 table." in shop.call("archive", "export", "acme", "anna", "--subject", "anna").said
    assert "There is no form 'xml'" in shop.call("archive", "export", "acme", "other", "--form", "xml").said
    assert "exists already" in shop.call("archive", "export", "acme", "anna").said
    assert "is a directory" in shop.call("archive", "export", "acme", "kept", "--keep").said
    assert erase(shop, "--confirm", "acme").code == 0
    assert list((shop.directory / "archives").rglob("*.zip")) == []
