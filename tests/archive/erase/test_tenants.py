"""A tenant erased: a word planted in every column is found nowhere afterwards, and the neighbours are as they were."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tenantry.archive import Archive, DirectoryStore, Erasing, export, keep_export
from tenantry.archive.certificates import TENANT, Certificate
from tenantry.archive.programs import Programs
from tenantry.errors import (
    ArchiveError,
    ArchiveSealed,
    CertificateInvalid,
    EraseNotConfirmed,
    LifecycleError,
    TenantNotFound,
    TenantWasErased,
)
from tenantry.models import Ownership, owned_tables

from .houses import PLACES, RING, House
from .planting import plant, wordless


def new_word() -> str:
    return f"zq{uuid.uuid4().hex[:6]}"


@pytest.mark.parametrize("place", PLACES)
def test_a_planted_word_is_found_nowhere_after_the_erase(house: House, place: str, tmp_path: Path) -> None:
    site, word = house.site(place), new_word()
    tenant, neighbour = house.make(place, word=word), house.make(place, word="neighbour")
    kept = site.archive.backup(tenant)
    keep_export(export(site.tenancy, tenant, tmp_path / "kept.zip"), site.archive.store)
    before = house.digests(place, neighbour)
    if PLACES[place][0] == "postgresql":
        # As the server does by itself, sooner or later.
        with house.postgres.admin(house.database) as connection:
            connection.execute("ANALYZE")
    assert house.said(place, word)

    certificate = site.erasing.tenant(tenant, confirm=tenant.slug)

    assert house.said(place, word) == []
    assert house.digests(place, neighbour) == before
    assert certificate.clean
    assert certificate.scope == TENANT
    certificate.check(RING)
    told = {store.name: store.erased for store in certificate.stores}
    assert all(told["rows"][table.name] == 1 for table in owned_tables(site.tenancy.metadata, Ownership.TENANT))
    assert told["data keys"] == {"keys": 1}
    assert told[f"archives in {site.archive.store!r}"] == {"files": 2}
    with pytest.raises(TenantWasErased):
        site.archive.restore(tenant.id, kept.name, into="again")


@pytest.mark.soak
def test_no_dump_of_the_databases_has_the_word(house: House, tmp_path: Path) -> None:
    words = {place: new_word() for place in PLACES if PLACES[place][0] == "postgresql"}
    tenants = {place: house.make(place, word=word) for place, word in words.items()}
    text = dumped(house, tmp_path / "before")
    assert all(word in text for word in words.values())
    for place, tenant in tenants.items():
        house.site(place).erasing.tenant(tenant, confirm=tenant.slug)
    text = dumped(house, tmp_path / "after")
    print(
        f"\nfound in {len(text)} bytes of dumps: {sum(word in text for word in words.values())} of {len(words)} words"
    )
    assert not any(word in text for word in words.values())


def dumped(house: House, directory: Path) -> str:
    """Returns what pg_dump writes of the common database and of every tenant's own, the planner's statistics too."""
    programs = Programs(None, server_version=house.postgres.version)
    with house.postgres.admin() as connection:
        names = [name for (name,) in connection.execute("select datname from pg_database where datname ~ '^t_'")]
    directory.mkdir()
    options = ["--statistics"] if house.postgres.version >= 180000 else []
    for name in [house.database, *names]:
        programs.call("pg_dump", f"--file={directory / name}", *options, url=house.postgres.url(name))
    return "".join(path.read_text(errors="replace") for path in directory.iterdir())


def test_the_word_is_planted_in_every_column_that_holds_words(house: House) -> None:
    site, word = house.site("rows"), new_word()
    tables = owned_tables(site.tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
    columns = {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    planted = set(plant(site.tenancy, house.make("rows"), word))
    assert columns - planted == set().union(*map(wordless, tables))


def test_the_search_finds_a_word_wherever_it_is_left(house: House) -> None:
    """The control: what the library leaves of a tenant that is not erased, it finds in all these places."""
    for place in PLACES:
        word = new_word()
        site, tenant = house.site(place), house.make(place, word=word)
        (site.directory / "store").mkdir(parents=True, exist_ok=True)
        (site.directory / "store" / "loose").write_text(word)
        found = house.said(place, word)
        assert any("loose" in where for where in found)
        assert len(found) > 1
        (site.directory / "store" / "loose").unlink()
        site.tenancy.tenants.erase(tenant, confirm=tenant.slug)
        # What the rows leave in the bytes of a file they share.
        assert house.said(place, word) or place != "common file"


def test_archives_in_a_store_that_was_not_given_are_not_forgotten(house: House, tmp_path: Path) -> None:
    site, tenant = house.site("rows"), house.make("rows")
    other = Archive(site.tenancy, DirectoryStore(tmp_path / "other"), keys=RING)
    kept = other.backup(tenant)
    with pytest.raises(ArchiveError, match="has archives elsewhere too"):
        site.erasing.tenant(tenant, confirm=tenant.slug)
    assert site.tenancy.tenants.get(tenant.slug) == tenant
    Erasing(site.archive, stores=[other.store]).tenant(tenant, confirm=tenant.slug)
    assert list(other.store.names(kept.name)) == []


def test_an_archive_that_somebody_kept_elsewhere_is_unreadable(house: House) -> None:
    site, tenant = house.site("schema"), house.make("schema", word="elsewhere")
    kept = site.archive.backup(tenant)
    copy = site.directory / "a copy"
    with site.archive.store.get(kept.name) as file:
        copy.write_bytes(file.read())
    site.erasing.tenant(tenant, confirm=tenant.slug)
    with pytest.raises(ArchiveSealed):
        site.archive.verify(copy)


def test_what_is_erased_is_asked_for_by_its_slug_and_only_once(house: House) -> None:
    site, tenant = house.site("common file"), house.make("common file")
    with pytest.raises(EraseNotConfirmed):
        site.erasing.tenant(tenant, confirm="another")
    foreseen = site.erasing.foresee(tenant)
    assert foreseen.rows["companies"] == 1
    assert site.tenancy.tenants.get(tenant.slug) == tenant
    certificate = site.erasing.tenant(tenant.slug, confirm=tenant.slug)
    with pytest.raises(TenantNotFound):
        site.erasing.tenant(tenant.slug, confirm=tenant.slug)
    with pytest.raises(LifecycleError):
        site.erasing.tenant(tenant.id, confirm=tenant.slug)
    (logged,) = site.erasing.log(tenant.id)
    assert Certificate.from_json(logged.certificate or {}) == certificate
    assert not site.erasing.status()


def test_a_further_place_is_asked_to_forget_and_asked_again(house: House) -> None:
    class Cache:
        name = "the cache"

        def __init__(self) -> None:
            self.held: dict[uuid.UUID, int] = {}

        def forget(self, tenant: uuid.UUID, subject: object) -> int:
            return self.held.pop(tenant, 0)

    site, cache = house.site("rows"), Cache()
    tenant = house.make("rows")
    cache.held[tenant.id] = 7
    certificate = Erasing(site.archive, copies=[cache]).tenant(tenant, confirm=tenant.slug)
    told = next(store for store in certificate.stores if store.name == "the cache")
    assert (told.erased, told.left) == ({"entries": 7}, {"entries": 0})


def test_a_certificate_that_was_changed_is_not_what_was_signed(house: House) -> None:
    site, tenant = house.site("file"), house.make("file")
    certificate = site.erasing.tenant(tenant, confirm=tenant.slug)
    assert Certificate.from_json(str(certificate)) == certificate
    forged = Certificate.from_json(str(certificate).replace('"companies": 1', '"companies": 2'))
    assert forged != certificate
    for other in (forged, Certificate.from_json({**certificate.to_json(), "tenant": str(uuid.uuid4())})):
        with pytest.raises(CertificateInvalid):
            other.check(RING)
    for broken in ("", "{}", "[]", '{"format": "tenantry erasure certificate 2"}'):
        with pytest.raises(CertificateInvalid):
            Certificate.from_json(broken)
