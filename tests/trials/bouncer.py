"""A PgBouncer of the trial's own, on a loopback port, in transaction mode."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from tenantry.embedded.account import Account

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
SECONDS_TO_START = 20


@contextlib.contextmanager
def pgbouncer(urls: list[str], *, server_connections: int) -> Iterator[tuple[str, int]]:
    """Lends the address of a pooler that knows the logins of *urls* and gives each *server_connections*."""
    account = Account.of(None)
    directory = Path(tempfile.mkdtemp(prefix="bouncer-", dir="/tmp"))
    port = _free_port()
    try:
        _write(directory / "users", "".join(f'"{user}" "{password}"\n' for user, password in map(_login, urls)))
        _write(directory / "ini", _settings(directory, urls[0], port, server_connections))
        for path in (directory, directory / "users", directory / "ini"):
            account.give(path)
        process = subprocess.Popen(
            [PROGRAM, "-q", str(directory / "ini")],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account.identity,
        )
        try:
            _await(process, urls[0], port, directory / "log")
            yield "127.0.0.1", port
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(directory)


def _settings(directory: Path, url: str, port: int, server_connections: int) -> str:
    server = urlsplit(url)
    return f"""
[databases]
* = host={server.hostname} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory / "users"}
logfile = {directory / "log"}
pool_mode = transaction
default_pool_size = {server_connections}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


def _login(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await(process: subprocess.Popen[bytes], url: str, port: int, log: Path) -> None:
    parts = urlsplit(url)
    through = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            psycopg.connect(through, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer does not answer: {log.read_text() if log.exists() else ''}") from None
            time.sleep(0.05)
        else:
            return
