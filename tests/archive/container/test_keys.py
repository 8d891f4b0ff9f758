"""The key ring signs for one purpose each, opens what it wrapped and nothing else, and never shows a key."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tenantry.archive.keys import DataKey, KeyRing, new_key, wrapped_under
from tenantry.errors import ArchiveError, ArchiveKeyMissing, ConfigurationError

from . import forging

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(40)
RING = KeyRing({"new": NEW, "old": OLD}, "new")
TENANT = uuid.uuid4()


def spelled(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


def test_signature_holds_for_its_message_and_purpose_alone() -> None:
    signature = RING.sign(b"erased", purpose="certificate")
    assert signature.startswith("new:")
    assert RING.check(b"erased", signature, purpose="certificate")
    assert not RING.check(b"erased!", signature, purpose="certificate")
    assert not RING.check(b"erased", signature, purpose="subject")
    assert not RING.check(b"erased", signature.replace("new:", "old:"), purpose="certificate")
    assert not RING.check(b"erased", signature.replace("new:", "other:"), purpose="certificate")
    for nothing in ("", ":", "new", "new:", "new:é", signature[:-1]):
        assert not RING.check(b"erased", nothing, purpose="certificate")


def test_signature_of_an_older_key_goes_on_holding() -> None:
    signature = KeyRing({"old": OLD}, "old").sign(b"erased", purpose="certificate")
    assert RING.check(b"erased", signature, purpose="certificate")


def test_keys_of_purposes_are_made_as_the_docs_say() -> None:
    assert RING.derived("old", purpose="certificate") == forging.hkdf(OLD, salt=b"", info=b"tenantry certificate 1")


def test_data_key_opens_again_for_its_tenant_and_id_alone() -> None:
    key = DataKey.new()
    wrapped = RING.wrap(key, tenant=TENANT)
    assert wrapped_under(wrapped) == "new"
    assert RING.unwrap(wrapped, tenant=TENANT, key_id=key.id) == key
    assert RING.wrap(key, tenant=TENANT) != wrapped
    assert key.secret not in base64.b64decode(wrapped.rpartition(":")[2])
    for tenant, key_id in ((uuid.uuid4(), key.id), (TENANT, DataKey.new().id)):
        with pytest.raises(ArchiveError, match="does not open"):
            RING.unwrap(wrapped, tenant=tenant, key_id=key_id)


def test_wrapped_key_that_was_changed_does_not_open() -> None:
    key = DataKey.new()
    head, _, text = RING.wrap(key, tenant=TENANT).rpartition(":")
    sealed = base64.b64decode(text)
    changed = [spelled(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) for at in range(len(sealed))]
    for other in (*changed, text[:-4], text + "AAAA", "", "####", spelled(b"short")):
        with pytest.raises(ArchiveError, match="does not open"):
            RING.unwrap(f"{head}:{other}", tenant=TENANT, key_id=key.id)
    with pytest.raises(ArchiveError, match="does not open"):
        RING.unwrap(f"2{head[1:]}:{text}", tenant=TENANT, key_id=key.id)


def test_wrapped_key_needs_the_ring_that_wrapped_it() -> None:
    key = DataKey.new()
    wrapped = KeyRing({"old": OLD}, "old").wrap(key, tenant=TENANT)
    assert RING.unwrap(wrapped, tenant=TENANT, key_id=key.id) == key
    with pytest.raises(ArchiveKeyMissing, match="'old'"):
        KeyRing({"new": NEW}, "new").unwrap(wrapped, tenant=TENANT, key_id=key.id)
    with pytest.raises(ArchiveError, match="does not open"):
        KeyRing({"old": NEW}, "old").unwrap(wrapped, tenant=TENANT, key_id=key.id)


def test_no_two_data_keys_are_the_same() -> None:
    made = [DataKey.new() for _ in range(100)]
    assert len({key.secret for key in made}) == len({key.id for key in made}) == 100


def test_ring_of_the_environment_begins_with_the_current_key(tmp_path: Path) -> None:
    (tmp_path / "old").write_text(spelled(OLD) + "\n")
    (tmp_path / "all").write_text(f"new:{spelled(NEW)}\n\nold:{spelled(OLD)}\n")
    for text in (
        f"new:{spelled(NEW)},old:{spelled(OLD)}",
        f" new:{spelled(NEW)} ,\n old:{spelled(OLD)},",
        f"new:env:NEW_KEY,old:file:{tmp_path / 'old'}",
        f"file:{tmp_path / 'all'}",
        "env:ALL_KEYS",
    ):
        env = {
            "TENANTRY_ARCHIVE_KEYS": text,
            "NEW_KEY": spelled(NEW),
            "ALL_KEYS": f"new:{spelled(NEW)},old:{spelled(OLD)}",
        }
        ring = KeyRing.from_env(env)
        assert ring.current == "new"
        assert "old" in ring
        assert RING.check(b"x", ring.sign(b"x", purpose="p"), purpose="p")
        assert ring.derived("old", purpose="p") == RING.derived("old", purpose="p")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "new",
        "new:",
        "new:short",
        f"new:{spelled(b'x' * 31)}",
        f"New:{spelled(NEW)}",
        f":{spelled(NEW)}",
        f"../new:{spelled(NEW)}",
        f"new:{spelled(NEW)},new:{spelled(OLD)}",
        f"new:{spelled(NEW)[:-2]}%%",
        "new:file:/nowhere/at/all",
        "new:env:NOT_SET",
        "file:/nowhere/at/all",
        "env:NOT_SET",
    ],
    # What follows the name is another in each process.
    ids=lambda text: text.partition(":")[0],
)
def test_environment_that_describes_no_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.from_env({"TENANTRY_ARCHIVE_KEYS": text})
    assert spelled(NEW)[:12] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_environment_without_the_variable_says_how_to_make_a_key() -> None:
    with pytest.raises(ConfigurationError, match="tenantry archive key"):
        KeyRing.from_env({})


def test_fresh_entry_is_a_ring() -> None:
    first, second = new_key("2026-11"), new_key("2026-11")
    assert first != second
    assert KeyRing.from_env({"TENANTRY_ARCHIVE_KEYS": first}).current == "2026-11"
    for name in ("", "a b", "A", "file", "env", "x" * 33, "-a"):
        with pytest.raises(ConfigurationError):
            new_key(name)


def test_current_key_has_to_be_in_the_ring() -> None:
    with pytest.raises(ConfigurationError, match="not in the ring"):
        KeyRing({"old": OLD}, "new")


@pytest.mark.parametrize(
    ("key_id", "secret"), [("", OLD), ("../x", OLD), ("A", OLD), ("a", b""), ("a", NEW), ("a" * 37, OLD)]
)
def test_data_key_of_another_form_is_none(key_id: str, secret: bytes) -> None:
    with pytest.raises(ArchiveError, match="is none"):
        DataKey(key_id, secret)


def test_keys_are_shown_nowhere() -> None:
    key = DataKey.new()
    for said in (repr(RING), str(RING), repr(key), str(key)):
        for secret in (OLD, NEW, key.secret):
            assert secret.hex() not in said
            assert repr(secret)[2:-1] not in said
            assert spelled(secret) not in said
    assert repr(RING) == "KeyRing(new, old; current='new')"


ZSTD = "compression" if sys.version_info >= (3, 14) else "backports"


@pytest.mark.parametrize("package", ["obstore", "cryptography", ZSTD])
def test_missing_package_is_told_in_one_sentence(package: str) -> None:
    program = f"""
import sys
sys.modules[{package!r}] = None
import tenantry.errors
try:
    import tenantry.archive.keys
except tenantry.errors.ExtraMissing as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == (
        'The archive needs a package that is not installed. Run: pip install "tenantry[archive]".'
    )
