"""References to secrets: what counts as one, how it is read, and that nothing shows what it leads to."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tenantry.errors import ConfigurationError, SecretRefused, SecretUnreadable
from tenantry.secrets import Secrets, check_reference, is_reference

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:crm-AbCdEf"


def test_the_environment_is_read_when_it_is_asked_and_each_time_anew() -> None:
    environ = {"CRM_TOKEN": token_hex()}
    secret = Secrets(environ=environ).get("env:CRM_TOKEN")
    assert secret.reveal() == environ["CRM_TOKEN"]
    environ["CRM_TOKEN"] = "rotated"
    assert secret.reveal() == "rotated"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secrets().get("env:TENANTRY_TEST_SECRET")
    monkeypatch.setenv("TENANTRY_TEST_SECRET", "set later")
    assert secret.reveal() == "set later"


@pytest.mark.parametrize(
    ("written", "read"), [("abc\n", "abc"), ("abc", "abc"), ("a\nb\n\n", "a\nb\n"), ("ü\r\n", "ü")]
)
def test_a_file_is_read_without_the_end_of_its_last_line(tmp_path: Path, written: str, read: str) -> None:
    path = tmp_path / "a secret"
    path.write_bytes(written.encode())
    assert Secrets().read(f"file:{path}") == read
    assert Secrets().read(f"file://{path}") == read


def test_a_resolver_gets_the_whole_reference() -> None:
    seen = []

    def read(reference: str) -> str:
        seen.append(reference)
        return "from the vault"

    secrets = Secrets({"arn": read, "vault": read})
    secret = secrets.get(ARN)
    assert seen == []
    assert secret.reveal() == secrets.read("vault:crm/token") == "from the vault"
    assert seen == [ARN, "vault:crm/token"]


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "our_vault.py").write_text("def read(reference):\n    return reference.upper()\n")
    made = tmp_path / "our_vault-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: our-vault\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text("[tenantry.secrets]\nvault = our_vault:read\n")
    program = "from tenantry.secrets import Secrets; print(Secrets(), Secrets().read('vault:crm'))"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "Secrets(env, file, arn, vault) VAULT:CRM\n", ran.stderr


UNREADABLE: dict[str, tuple[str, str]] = {
    "not set": ("env:NOT_SET", "the variable is not set"),
    "empty": ("env:EMPTY", "it is empty"),
    "no file": ("file:/nowhere/at/all", "No such file"),
    "a directory": ("file:/", "directory"),
    "no plug-in": (ARN, "nothing is installed that reads arn: references"),
    "a plug-in that fails": ("broken:x", "raised KeyError"),
    "a plug-in without words": ("silent:x", "it is empty"),
}


def broken(reference: str) -> str:
    raise KeyError("hunter2")


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_says_why_and_whose_it_is(case: str) -> None:
    reference, reason = UNREADABLE[case]
    secrets = Secrets({"broken": broken, "silent": lambda _: None}, environ={"EMPTY": ""})
    secret = secrets.get(reference, whose="The CRM token")
    with pytest.raises(SecretUnreadable, match=r"Set it, or mend the reference") as raised:
        secret.reveal()
    message = str(raised.value)
    assert reason in message
    assert message.startswith(f"The CRM token stands in {reference}")
    assert "hunter2" not in message


def test_bytes_that_are_no_text_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfehunter2")
    with pytest.raises(SecretUnreadable, match="holds no text") as raised:
        Secrets().read(f"file:{path}")
    assert raised.value.__cause__ is None
    assert "hunter2" not in repr(raised.value)


NONE: list[Any] = [
    "hunter2",
    "hunter2:really",
    "postgresql://app:hunter2@db/saas",
    "env:",
    "env:1X",
    "env:A B",
    "env:HOME\n",
    "file:",
    "file:/a\nb",
    "arn:aws",
    "arn:aws:secretsmanager:",
    "arn:aws:secretsmanager:x y",
    "ENV:HOME",
    " env:HOME",
    "",
    None,
    b"env:HOME",
    17,
    "file:/" + "x" * 600,
]


@pytest.mark.parametrize("text", NONE, ids=repr)
def test_what_is_no_reference_is_refused_and_not_shown(text: Any) -> None:
    with pytest.raises(SecretRefused, match=r"such as env:NAME") as raised:
        check_reference(text, whose="The CRM token")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(SecretRefused):
        Secrets().get(text)


@pytest.mark.parametrize(
    "text", ["env:HOME", "file:/run/secrets/a b", "file:relative", ARN, "arn:aws:secretsmanager:..."]
)
def test_references_are_known_by_their_form(text: str) -> None:
    assert is_reference(text)
    assert check_reference(text) == text


@pytest.mark.parametrize("scheme", ["env", "file", "Vault", "", "a b"])
def test_a_resolver_of_no_kind_of_its_own_is_refused(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="lower-case word"):
        Secrets({scheme: str.upper})


def test_a_secret_is_not_shown_copied_or_serialised() -> None:
    value = token_hex()
    secret = Secrets(environ={"TOKEN": value}).get("env:TOKEN")
    assert secret.reveal() == value
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), f"{secret!r:>60}"):
        assert value not in shown
        assert "env:TOKEN" in shown
    with pytest.raises(TypeError, match="reference"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="reference"):
        copy.copy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
