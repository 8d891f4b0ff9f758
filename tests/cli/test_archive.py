"""``tenantry archive``: a tenant's rows kept, proved, compared and given back; keys, schedules and pruning."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from datetime import UTC, datetime

import pytest

from tenantry.archive.keys import new_key

TOLD = "print(sorted(ticket.subject for ticket in db.scalars(select(Ticket))))"
NAME = re.compile(r"[0-9a-f-]{36}/\d{8}t\d{6}\.\d{6}z\.tenantry")


@pytest.fixture
def kept(shop):
    """The shop with a place for archives, a key, a second tenant, and a ticket of each."""
    shop.environment |= {"TENANTRY_ARCHIVE": f"{shop.directory}/backups", "TENANTRY_ARCHIVE_KEYS": new_key("one")}
    assert shop.call("tenants", "create", "globex", "--record", '{"name": "Globex"}').code == 0
    write(shop, "acme", "Cannot log in")
    write(shop, "globex", "No ink")
    return shop


def write(shop, slug: str, subject: str) -> None:
    assert shop.call("shell", slug, "-c", f"db.add(Ticket(subject={subject!r})); db.commit()").code == 0


def tickets(shop, slug: str) -> list[str]:
    return eval(shop.call("shell", slug, "-c", TOLD).out)


def archive(shop, *arguments: str):
    return shop.call("archive", *arguments)


def backup(shop, slug: str) -> str:
    """Backs a tenant up and returns the archive's name."""
    taken = archive(shop, "backup", slug, "--json")
    assert taken.code == 0, taken
    (done,) = taken.data["done"]
    return done["name"]


def names(shop, *arguments: str) -> list[str]:
    return [each["name"] for each in archive(shop, "list", *arguments, "--json").data]


def test_a_tenant_is_backed_up_verified_compared_and_given_back(kept):
    foreseen = archive(kept, "backup", "acme", "--dry-run", "--json")
    assert foreseen.data["done"][0]["tables"] == {"companies": 1, "tickets": 1}
    assert names(kept) == []
    name = backup(kept, "acme")
    assert NAME.fullmatch(name)
    assert names(kept, "acme") == [name] == names(kept)
    assert "not verified" in archive(kept, "list").said
    assert archive(kept, "verify", "acme", "--dry-run").code == 0
    assert "acme restored and compared: equal." in archive(kept, "verify", "acme").said
    assert archive(kept, "list", "--json").data[0]["verified_at"]
    assert archive(kept, "diff", "acme").code == 0
    write(kept, "acme", "Slow")
    differs = archive(kept, "diff", "acme", "--json")
    assert (differs.code, [(each["table"], each["only_live"]) for each in differs.data["tables"]]) == (
        1,
        [("tickets", 1)],
    )
    assert "some keys" in archive(kept, "diff", "acme").said
    foreseen = archive(kept, "restore", "acme", "--dry-run")
    assert "It would be refused: the place is not empty." in foreseen.said
    refused = archive(kept, "restore", "acme")
    assert refused.code == 2
    assert "has rows already" in refused.said
    asked = archive(kept, "restore", "acme", "--in-place")
    assert asked.code == 2
    assert "The rows that acme has would be replaced, and kept in an archive." in asked.said
    assert tickets(kept, "acme") == ["Cannot log in", "Slow"]
    done = archive(kept, "restore", "acme", "--in-place", "--from", name, "--yes", "--json")
    assert done.code == 0, done
    assert done.data["rows"] == {"companies": 1, "tickets": 1}
    assert names(kept, "acme") == [done.data["kept"], name]
    assert tickets(kept, "acme") == ["Cannot log in"]
    assert tickets(kept, "globex") == ["No ink"]


def test_yesterdays_state_stands_beside_todays(kept):
    backup(kept, "acme")
    moment = f"before:{datetime.now(UTC).isoformat()}"
    write(kept, "acme", "Slow")
    backup(kept, "acme")
    assert "a new tenant old" in archive(kept, "restore", "acme", "--into", "old", "--from", moment, "--dry-run").said
    beside = archive(kept, "restore", "acme", "--into", "old", "--from", moment)
    assert beside.code == 0, beside
    assert "old has the 2 rows of" in beside.said
    assert (tickets(kept, "old"), tickets(kept, "acme")) == (["Cannot log in"], ["Cannot log in", "Slow"])
    none = archive(kept, "restore", "acme", "--into", "older", "--from", "before:2020-01-01T00:00+00:00")
    assert none.code == 2
    assert "holds no archive of tenant" in none.said


def test_many_at_once_and_one_that_fails_beside_them(kept):
    every = archive(kept, "backup", "--all", "--encrypt", "--jobs", "2", "--json")
    assert {each["of"] for each in every.data["done"]} == {"acme", "globex"}
    assert all(each["key"] for each in every.data["done"])
    assert len(archive(kept, "verify", "--all", "--json").data["done"]) == 2
    assert [each["of"] for each in archive(kept, "backup", "--all", "--where", "slug=g*", "--json").data["done"]] == [
        "globex"
    ]
    kept.call("tenants", "suspend", "globex")
    some = archive(kept, "backup", "acme", "globex")
    assert some.code == 3
    assert "is suspended, so no backup of it was taken" in some.said
    assert "1 of 2: backed up." in some.said
    assert archive(kept, "backup", "globex", "--suspended").code == 0


def test_an_archive_goes_to_another_store_and_back(kept):
    name = backup(kept, "acme")
    file = f"{kept.directory}/backups/{name}"
    other = ["--store", f"{kept.directory}/elsewhere"]
    assert "would be imported; nothing was changed: 2 rows" in archive(kept, "import", file, *other, "--dry-run").said
    assert names(kept) == [name]
    assert "is imported: 2 rows" in archive(kept, "import", file, *other).said
    assert {each["store"] for each in archive(kept, "list", "--json").data} == {
        f"DirectoryStore('{kept.directory}/backups')",
        f"DirectoryStore('{kept.directory}/elsewhere')",
    }
    assert archive(kept, "verify", file).code == 0
    with open(file, "r+b") as bytes_:
        bytes_.seek(300)
        byte = bytes_.read(1)
        bytes_.seek(300)
        bytes_.write(bytes([byte[0] ^ 1]))
    damaged = archive(kept, "verify", name)
    assert damaged.code == 1
    assert "Nothing of it may be used" in damaged.said
    assert archive(kept, "verify", name, *other).code == 0


def test_what_is_not_kept_is_pruned_and_what_is_pinned_stays(kept):
    taken = [backup(kept, "acme") for _ in range(4)]
    assert archive(kept, "pin", taken[0]).code == 0
    foreseen = archive(kept, "prune", "--keep", "last=2", "--dry-run")
    assert "1 archive would be deleted" in foreseen.said
    assert len(names(kept)) == 4
    asked = archive(kept, "prune", "--keep", "last=2")
    assert (asked.code, len(names(kept))) == (2, 4)
    pruned = archive(kept, "prune", "--keep", "last=2", "--yes", "--json")
    assert {each["name"]: each["kept"] for each in pruned.data} == {
        taken[3]: "last, newest",
        taken[2]: "last",
        taken[1]: None,
        taken[0]: "pinned",
    }
    assert names(kept) == [taken[3], taken[2], taken[0]]
    left = {f"{path.parent.name}/{path.name}" for path in (kept.directory / "backups").rglob("*.tenantry")}
    assert left == set(names(kept))
    assert archive(kept, "pin", taken[0], "--undo").code == 0
    kept.environment["TENANTRY_ARCHIVE_KEEP"] = "last=1"
    assert archive(kept, "prune", "acme", "--yes").code == 0
    assert names(kept) == [taken[3]]


def test_an_archive_removed_by_hand_is_missed_until_it_is_struck_off(kept):
    taken = [backup(kept, "acme") for _ in range(3)]
    assert "so it stays on the list" in archive(kept, "forget", taken[2]).said
    (kept.directory / "backups" / taken[2]).unlink()
    missed = archive(kept, "prune", "--keep", "last=1", "--yes")
    assert (missed.code, f"it lacks {taken[2]}" in missed.said) == (1, True)
    assert len(names(kept)) == 3
    assert archive(kept, "forget", taken[2]).code == 0
    assert archive(kept, "forget", taken[2]).code == 2
    assert archive(kept, "prune", "--keep", "last=1", "--yes").code == 0
    assert names(kept) == [taken[1]]


def test_backups_by_the_clock(kept):
    set_ = archive(kept, "schedule", "set", "acme", "--every", "6h", "--keep", "last=1", "--verify", "--json")
    assert (set_.code, set_.data["every"], set_.data["options"]["verify"]) == (0, 21600.0, True)
    assert archive(kept, "schedule", "set", "--all", "--every", "24h", "--jitter", "1h").code == 0
    assert "1 backup due; 1 tenant would be entered." in archive(kept, "schedule", "run", "--dry-run").said
    ran = archive(kept, "schedule", "run", "--json")
    (line,) = ran.lines
    assert (ran.code, line["tenant"], line["error"]) == (0, "acme", None)
    (found,) = archive(kept, "list", "--json").data
    assert found["name"] == line["archive"]
    assert found["verified_at"]
    assert "0 backups taken, 0 failed." in archive(kept, "schedule", "run").said
    listed = archive(kept, "schedule", "list", "--json").data
    assert {each["tenant"]: each["own"] for each in listed} == {"acme": True, "globex": False, "every tenant": True}
    assert "up to" not in archive(kept, "schedule", "list").said
    assert archive(kept, "schedule", "pause", "acme", "--json").data == {"tenant": "acme", "schedule": "paused"}
    assert "paused" in archive(kept, "schedule", "list").said
    assert "acme: the schedule is resumed." in archive(kept, "schedule", "resume", "acme").said
    for whose in ("acme", "--all"):
        assert archive(kept, "schedule", "cancel", whose).code == 0
    assert archive(kept, "schedule", "list", "--json").data == []
    assert "There is no schedule" in archive(kept, "schedule", "cancel", "acme").said


def test_a_process_that_backs_up_for_ever_ends_well(kept):
    archive(kept, "schedule", "set", "acme")
    forever = kept.command("archive", "schedule", "run", "--forever", "--poll", "0.1", "--json")
    with subprocess.Popen(**forever, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (line["tenant"], line["error"], process.returncode) == ("acme", None, 130)
    assert "Interrupted: the backups in hand were finished" in said
    assert names(kept) == [line["archive"]]


def test_a_backup_that_fails_by_the_clock_is_told_and_tried_again(kept):
    archive(kept, "schedule", "set", "acme")
    (kept.directory / "backups").write_text("in the way")
    ran = archive(kept, "schedule", "run")
    assert ran.code == 3
    assert "0 backups taken, 1 failed." in ran.said
    (listed,) = archive(kept, "schedule", "list", "--json").data
    assert (listed["failures"], "did not do what was asked" in listed["error"]) == (1, True)
    assert "failed 1 time" in archive(kept, "schedule", "list").said


def test_keys_are_made_listed_replaced_wrapped_anew_and_destroyed(kept):
    fresh = archive(kept, "key", "--name", "two")
    assert re.fullmatch(r"two:[A-Za-z0-9+/]{43}=\n", fresh.out)
    archive(kept, "backup", "acme", "--encrypt")
    assert [each["under"] for each in archive(kept, "key", "list", "acme", "--json").data] == ["one"]
    assert "would get a new key" in archive(kept, "key", "rotate", "acme", "--dry-run").said
    assert "has the new key" in archive(kept, "key", "rotate", "acme").said
    kept.environment["TENANTRY_ARCHIVE_KEYS"] = f"{fresh.out.strip()},{kept.environment['TENANTRY_ARCHIVE_KEYS']}"
    assert "2 keys wrapped by two." in archive(kept, "key", "rewrap").said
    assert archive(kept, "verify", "acme").code == 0
    foreseen = archive(kept, "key", "destroy", "acme", "--dry-run")
    assert "2 keys would be destroyed, which 1 archive need" in foreseen.said
    assert archive(kept, "key", "destroy", "acme").code == 2
    assert archive(kept, "key", "destroy", "acme", "--yes").code == 0
    lost = archive(kept, "verify", "acme")
    assert lost.code == 1
    assert "is encrypted with a key of its tenant's own" in lost.said


def test_a_whole_server_goes_to_a_folder_and_back(kept):
    place = f"{kept.directory}/dumps"
    foreseen = archive(kept, "server", "backup", place, "--dry-run", "--json")
    assert (foreseen.code, foreseen.data["databases"]["catalog.sqlite3"] > 0) == (0, True)
    dumped = archive(kept, "server", "backup", place, "--json")
    assert dumped.code == 0, dumped
    folder = dumped.data["dump"]
    assert {each["database"] for each in dumped.data["databases"]} == set(foreseen.data["databases"])
    assert [each["dump"] for each in archive(kept, "server", "list", place, "--json").data] == [folder]
    in_use = archive(kept, "server", "restore", folder, "--yes")
    assert (in_use.code, "so nothing was restored to it" in in_use.said) == (2, True)
    kept.environment["TENANTRY_URL"] = f"sqlite:///{kept.directory}/anew"
    assert "Whole and signed; nothing was changed:" in archive(kept, "server", "restore", folder, "--dry-run").said
    assert archive(kept, "server", "restore", folder).code == 2
    assert archive(kept, "server", "restore", folder, "--yes").code == 0
    assert (tickets(kept, "acme"), tickets(kept, "globex")) == (["Cannot log in"], ["No ink"])
    assert "0 dumps deleted." in archive(kept, "server", "prune", place, "--yes").said


def test_what_is_in_hand_is_listed_and_what_is_unknown_refused(kept):
    assert archive(kept, "status", "--json").data == []
    unknown = "0199c5f0-0000-7000-8000-000000000000"
    for verb in ("resume", "rollback"):
        refused = archive(kept, verb, unknown)
        assert refused.code == 2
        assert f"has no operation {unknown}" in refused.said


def test_an_archive_of_the_programs_own(kept):
    kept.environment.pop("TENANTRY_ARCHIVE")
    own = f"from {kept.module} import tenancy\nfrom tenantry.archive import Archive\n"
    kept.write("vault", f"{own}archive = Archive(tenancy, {str(kept.directory / 'vault')!r}, encrypt=True)\n")
    taken = archive(kept, "backup", "acme", "--store", "vault:archive", "--json")
    assert taken.code == 0, taken
    assert taken.data["done"][0]["key"]
    assert archive(kept, "backup", "acme", "--store", "vault:tenancy").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backup"], "Say which tenants are meant. Give keys, or --all"),
        (["backup", "acme", "--all"], "Say which tenants are meant."),
        (["backup", "acme", "--where", "slug=a*"], "Say which tenants are meant."),
        (["backup", "nobody"], "No tenant has the key 'nobody'"),
        (["backup", "acme", "--store", "ftp://x/y"], "is no store that archives can lie in"),
        (["verify"], "Nothing was named to verify."),
        (["verify", "acme"], "holds no archive of tenant"),
        (["restore", "acme", "--from", "before:noon", "--into", "x"], "is no time"),
        (["prune", "--yes"], "Nothing says which archives stay."),
        (["prune", "--keep", "hourly=3", "--yes"], "does not say what to keep"),
        (["pin", "nothing"], "holds no archive 'nothing'"),
        (["schedule", "set"], "A schedule is one tenant's, or every tenant's."),
        (["schedule", "set", "acme", "--every", "often"], "is no span of time"),
        (["schedule", "set", "acme", "--every", "0s"], "interval of at least a second"),
        (["schedule", "set", "acme", "--every", "1h", "--jitter", "2h"], "no more jitter than that"),
        (["import", "nothing.tenantry"], "holds no archive 'nothing.tenantry'"),
        (["key", "--name", "not a name"], "cannot name an archive key"),
        (["key", "rotate", "nobody"], "No tenant has the key 'nobody'"),
    ],
)
def test_mistakes_are_said_in_a_sentence(untouched, arguments, said):
    untouched.environment |= {
        "TENANTRY_ARCHIVE": f"{untouched.directory}/none",
        "TENANTRY_ARCHIVE_KEYS": new_key("one"),
    }
    refused = untouched.call("archive", *arguments)
    assert refused.code == 2, refused
    assert said in refused.said
    assert not (untouched.directory / "none").exists()


def test_without_a_store_or_a_key_the_way_to_one_is_told(shop):
    assert "No store was named" in shop.call("archive", "backup", "acme").said
    shop.environment["TENANTRY_ARCHIVE"] = f"{shop.directory}/backups"
    assert "`tenantry archive key` prints a fresh one" in shop.call("archive", "backup", "acme").said
