"""``tenantry tenants move``, ``rollback``, ``finalize`` and ``moves``: from an SQLite file to the common one and on."""

from __future__ import annotations

import pytest

from tenantry.events import Step, listen


def place(shop, slug: str) -> str:
    return shop.call("tenants", "show", slug, "--json").data["isolation"]


def test_a_dry_run_says_what_would_be_carried_and_carries_nothing(shop):
    told = shop.call("tenants", "move", "acme", "--isolation", "rows", "--dry-run")
    assert told.code == 0
    assert "1 row would be carried from main/database to main/rows; nothing was changed." in told.said
    plan = shop.call("tenants", "move", "acme", "--isolation", "rows", "--dry-run", "--json").data
    assert plan["ok"]
    assert plan["tables"] == {"companies": 1, "tickets": 0}
    assert place(shop, "acme") == "database"
    assert shop.call("tenants", "moves", "--json").data == []


def test_what_is_in_the_way_is_told(shop):
    told = shop.call("tenants", "move", "acme", "--isolation", "database", "--dry-run")
    assert told.code == 1
    assert "V103" in told.said
    refused = shop.call("tenants", "move", "acme", "--isolation", "database")
    assert refused.code == 1
    assert "It lives there already" in refused.said
    assert shop.call("tenants", "move", "nobody", "--isolation", "rows").code == 2


def test_there_and_back(shop):
    moved = shop.call("tenants", "move", "acme", "--isolation", "rows", "--rate", "20MB", "--patience", "5")
    assert moved.code == 0
    assert "main/database is kept. Next: tenantry tenants finalize acme" in moved.said
    assert place(shop, "acme") == "rows"
    (open_move,) = shop.call("tenants", "moves", "--json").data
    assert (open_move["slug"], open_move["state"], open_move["way"]) == ("acme", "resting", "out")
    assert "resting" in shop.call("tenants", "moves").said
    would = shop.call("tenants", "rollback", "acme", "--dry-run")
    assert "Nothing was changed" in would.said
    back = shop.call("tenants", "rollback", "acme", "--json").data
    assert (back["state"], back["target"]["isolation"], back["rows"]["companies"]) == ("undone", "database", 1)
    assert place(shop, "acme") == "database"


def test_finalize_asks_first_and_empties_the_old_place(shop):
    assert shop.call("tenants", "create", "beta", "--isolation", "rows").code == 0
    moved = shop.call("tenants", "move", "beta", "--isolation", "database", "--json").data
    assert moved["source"]["isolation"] == "rows"
    asked = shop.call("tenants", "finalize", "beta")
    assert asked.code == 2
    assert "--yes" in asked.said
    assert "Nothing was changed" in shop.call("tenants", "finalize", "beta", "--dry-run").said
    assert shop.call("tenants", "finalize", "beta", "--yes", "--json").data["state"] == "done"
    assert place(shop, "beta") == "database"
    assert shop.call("tenants", "moves").said.count("beta") == 0
    assert [each["state"] for each in shop.call("tenants", "moves", "beta", "--all", "--json").data] == ["done"]
    late = shop.call("tenants", "finalize", "beta", "--yes")
    assert late.code == 2
    assert "no move in hand" in late.said


@pytest.mark.parametrize("verb", ["resume", "rollback"])
def test_what_stopped_goes_on_or_back(shop, verb):
    def stop(step: Step) -> None:
        if step.name == "fence":
            raise KeyboardInterrupt

    forget = listen(stop)
    assert shop.call("tenants", "move", "acme", "--isolation", "rows").code != 0
    forget()
    (stopped,) = shop.call("tenants", "moves", "acme", "--json").data
    assert (stopped["step"], stopped["state"]) == ("fence", "failed")
    if verb == "resume":
        assert shop.call("tenants", "move", "acme", "--resume", "--json").data["state"] == "resting"
        assert place(shop, "acme") == "rows"
    else:
        assert shop.call("tenants", "rollback", "acme", "--json").data["state"] == "undone"
        assert place(shop, "acme") == "database"


@pytest.mark.parametrize(
    "arguments",
    [
        ["move", "acme"],
        ["move", "acme", "--resume", "--isolation", "rows"],
        ["move", "acme", "--isolation", "rows", "--rate", "fast"],
        ["move", "acme", "--isolation", "rows", "--rate", "0MB"],
    ],
)
def test_a_mistake_is_said_in_a_sentence(shop, arguments):
    told = shop.call("tenants", *arguments)
    assert told.code == 2
    assert "Traceback" not in told.said
    assert place(shop, "acme") == "database"
