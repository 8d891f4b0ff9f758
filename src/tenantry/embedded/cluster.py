"""The data directory: made once and whole, its password, its settings, and what a dead server left in it."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from tenantry.embedded.account import Account
from tenantry.embedded.holds import Hold
from tenantry.errors import EmbeddedServerError

SUPERUSER = "postgres"
SETTINGS_FILE = "tenantry.conf"
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.$]*")

DEVELOPMENT = {
    "tenantry.embedded": "on",
    "wal_level": "logical",
    "max_locks_per_transaction": "256",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What a crash of the machine may ruin: only for data that is thrown away anyhow.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "30min",
    "max_wal_size": "2GB",
}


def prepare(home: Hold, programs: Path, *, account: Account) -> str:
    """Returns the superuser's password; afterwards ``data`` is whole and nothing of a dead server is in its way.

    Raises: EmbeddedServerError.
    """
    data, kept = home.path / "data", home.path / "password"
    if data.exists():
        _remove_stale_pid(data)
        return _read_password(kept)
    password = secrets.token_urlsafe(24)
    if not home.temporary:
        _write_secret(kept, password)
    _initialise(home, programs, account, password=password)
    return password


def configure(data: Path, settings: Mapping[str, str], *, account: Account) -> None:
    """Writes the settings with which the next start of the server runs.

    Raises: EmbeddedServerError for a name or a value that cannot be written.
    """
    lines = [f"{_checked_name(name)} = {_quoted(value)}\n" for name, value in settings.items()]
    path = data / SETTINGS_FILE
    path.write_text("".join(lines), encoding="utf-8")
    account.give(path)


def is_ready(data: Path) -> bool:
    """Whether the server says in its pid file that it takes connections."""
    lines = _pid_file_lines(data)
    return len(lines) > 7 and lines[7].strip() == "ready"


def _initialise(home: Hold, programs: Path, account: Account, *, password: str) -> None:
    # The directory gets its name when it is whole, so that a crash leaves no half of one under that name.
    draft, secret = home.path / "data.new", home.path / "initdb-password"
    account.make_directory(draft)
    _write_secret(secret, password)
    account.give(secret)
    try:
        _initdb(home, programs / "initdb", account, draft=draft, secret=secret)
    finally:
        secret.unlink()
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\ninclude = '{SETTINGS_FILE}'\n")
    draft.rename(home.path / "data")


def _initdb(home: Hold, initdb: Path, account: Account, *, draft: Path, secret: Path) -> None:
    locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    options = ["--encoding=UTF8", f"--locale={locale}", "--auth=scram-sha-256", "--no-instructions"]
    options += [f"--username={SUPERUSER}", f"--pwfile={secret}", f"--pgdata={draft}"]
    options += ["--no-sync"] if home.temporary else []
    # initdb inherits the hold: it works on when we are killed, and nobody may begin anew before it is done.
    done = account.run(initdb, *options, pass_fds=[home.descriptor])
    if done.returncode:
        raise EmbeddedServerError(action="make its data directory", reason="initdb failed.", log=done.stdout)


def _remove_stale_pid(data: Path) -> None:
    # We hold the directory, so no server of ours runs in it; but its process id may be another program's by now,
    # which PostgreSQL would take for a running server. One that a person started by hand works in the directory.
    lines = _pid_file_lines(data)
    if not lines:
        return
    try:
        working_directory = os.readlink(f"/proc/{int(lines[0])}/cwd")
    except (OSError, ValueError):
        working_directory = ""
    if Path(working_directory) == data.resolve():
        reason = f"process {lines[0]} runs PostgreSQL in {data}. Stop that one first."
        raise EmbeddedServerError(action="start", reason=reason)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _read_password(kept: Path) -> str:
    try:
        return kept.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"its data is there but not its password: {error}. Put the password back, or give another directory."
        raise EmbeddedServerError(action="start", reason=reason) from error


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _checked_name(name: str) -> str:
    if not SETTING.fullmatch(name):
        raise EmbeddedServerError(action="start", reason=f"{name!r} is no name of a setting.")
    return name


def _quoted(value: str) -> str:
    if not value.isprintable():
        raise EmbeddedServerError(action="start", reason=f"{value!r} does not fit on one line of settings.")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
