"""``tenantry tenants``, on SQLite; what is asked wrongly is said in a sentence and changes nothing."""

from __future__ import annotations

import uuid

import pytest


def slugs(shop):
    return [tenant["slug"] for tenant in shop.call("tenants", "list", "--json").data]


def test_a_tenants_life(shop):
    created = shop.call("tenants", "create", "beta", "--name", "Beta", "--setting", "plan=gold", "--json")
    assert created.code == 0
    assert created.data["status"] == "active"
    assert created.data["settings"] == {"plan": "gold"}
    key = str(uuid.UUID(created.data["id"]))
    assert slugs(shop) == ["acme", "beta"]
    assert shop.call("tenants", "suspend", key, "--json").data["status"] == "suspended"
    assert shop.call("tenants", "resume", "beta", "--json").data["status"] == "active"
    assert shop.call("tenants", "rename", "beta", "gamma", "--name", "Gamma", "--json").data["name"] == "Gamma"
    assert slugs(shop) == ["acme", "gamma"]
    erased = shop.call("tenants", "erase", "gamma", "--confirm", "gamma", "--json")
    assert erased.data["erased"] == "gamma"
    assert slugs(shop) == ["acme"]


@pytest.mark.parametrize("key", ["acme", "slack:T012"])
def test_show_by_slug_and_by_identity(shop, key):
    shown = shop.call("tenants", "show", key, "--json")
    assert shown.data["slug"] == "acme"
    assert shown.data["identities"] == [["slack", "T012"]]
    assert "slack:T012" in shop.call("tenants", "show", key).said


def test_tables_for_people(shop):
    listed = shop.call("tenants", "list")
    assert "acme" in listed.out
    assert "isolation" in listed.out
    erased = shop.call("tenants", "erase", "acme", "--confirm", "acme")
    assert "companies" in erased.out
    assert "acme is erased: 1 rows." in erased.said


def test_pages(shop):
    for number in range(3):
        shop.call("tenants", "create", f"t{number}")
    first = shop.call("tenants", "list", "--limit", "2")
    assert "There may be more: tenantry tenants list --after t0" in first.said
    rest = shop.call("tenants", "list", "--after", "t0", "--json")
    assert [tenant["slug"] for tenant in rest.data] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "Acme!"], "The slug is not usable"),
        (["create", "acme"], "exists already"),
        (["create", "x", "--server", "moon"], "No server named 'moon'"),
        (["create", "x", "--isolation", "schema"], "not available"),
        (["create", "x", "--isolation", "shelf"], "Invalid value"),
        (["create", "x", "--identity", "slack"], "has no '='"),
        (["create", "x", "--identity", "slack=T012"], "finds another tenant"),
        (["create", "x", "--record", "{"], "is no JSON"),
        (["create", "x", "--record", "[]"], "is no JSON object"),
        (["show", "nobody"], "No tenant has the key 'nobody'"),
        (["show", "slack:T999"], "No tenant has the key 'T999'"),
        (["suspend", "nobody"], "No tenant has the key"),
        (["resume", "acme"], "cannot become active"),
        (["rename", "acme", "Not A Slug"], "The slug is not usable"),
        (["erase", "acme"], "Nothing was erased"),
        (["erase", "acme", "--confirm", "other"], "Nothing was erased"),
        (["erase", "nobody", "--confirm", "nobody"], "No tenant has the key"),
        (["list", "--limit", "0"], "Invalid value"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(shop, arguments, sentence):
    result = shop.call("tenants", *arguments)
    assert result.code == 2
    assert sentence in result.said
    assert result.out == ""
    assert "Traceback" not in result.err
    assert slugs(shop) == ["acme"]
    assert shop.call("tenants", "show", "acme", "--json").data["status"] == "active"


def test_without_a_program_the_catalog_can_still_be_managed(shop):
    (shop.directory / "pyproject.toml").unlink()
    assert slugs(shop) == ["acme"]
    assert shop.call("tenants", "suspend", "acme", "--json").data["status"] == "suspended"
    assert "needs your program's models" in shop.call("tenants", "erase", "acme", "--confirm", "acme").said


def test_without_a_program_and_without_a_database(program):
    (program.directory / "pyproject.toml").unlink()
    result = program.call("tenants", "list")
    assert result.code == 2
    assert "TENANTRY_URL" in result.said


def test_before_the_installation(program):
    program.environment["TENANTRY_URL"] = f"sqlite:///{program.directory}/data"
    result = program.call("tenants", "list")
    assert result.code == 1
    assert "Run `tenantry install`" in result.said


def test_placements_kept_ready(shop):
    made = shop.call("tenants", "warm", "database", "--size", "2", "--json")
    assert made.code == 0, made
    assert made.data == {
        "made": 2,
        "ready": [{"server": "main", "isolation": "database", "revision": "none", "ready": 2}],
    }
    shop.call("tenants", "create", "beta")
    told = shop.call("tenants", "warm")
    assert "0 made, 1 ready." in told.said
    assert shop.call("tenants", "warm", "database", "--size", "0", "--json").data == {"made": 0, "ready": []}
    refused = shop.call("tenants", "warm", "rows")
    assert (refused.code, refused.out) == (2, "")
    assert "no placement of their own" in refused.said
