"""One start of one server: a directory held, programs found, the data made, a port chosen, a keeper set to watch."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenantry.embedded import binaries, cluster, holds
from tenantry.embedded.account import ENVIRONMENT, Account
from tenantry.errors import EmbeddedServerError

HOST = "127.0.0.1"
KEEPER = Path(__file__).with_name("keeper.py")
SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 30.0
SECONDS_FOR_PREDECESSOR = 25.0  # the keeper of a killed program may still be stopping the server in the same directory
PORT_TRIES = 5
PORT_TAKEN = "could not create any TCP/IP sockets"
LONGEST_SOCKET = 103  # bytes of a socket's path: 107 on Linux, 103 on macOS
OURS = {"data", "data.new", "initdb-password", "log", "password", "socket", "wheel"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the program asked for."""

    directory: Path | None
    programs: Path | None
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """A server that takes connections, and what watches it."""

    starter: int
    keeper: subprocess.Popen[bytes]
    home: Path
    programs: Path
    version: str
    sockets: Path
    port: int
    password: str = field(repr=False)


class PortTaken(Exception):
    """Another program took the port between our choice and PostgreSQL's start."""


def launch(wish: Wish) -> Run:
    """Returns a server that takes connections.

    Raises: EmbeddedServerError, ExtraMissing.
    """
    holds.clear_leftovers(_bases())
    for _ in range(PORT_TRIES):
        with contextlib.suppress(PortTaken), contextlib.ExitStack() as stack:
            return _launch(wish, stack)
    raise EmbeddedServerError(action="start", reason=f"{PORT_TRIES} ports that were free were taken at once.")


def end(keeper: subprocess.Popen[bytes]) -> None:
    """Has the keeper stop its server, and returns when that is done."""
    let_go(keeper)
    try:
        keeper.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    finally:
        if keeper.stdout:
            keeper.stdout.close()


def let_go(keeper: subprocess.Popen[bytes]) -> None:
    """Closes this process's end of the keeper's pipe."""
    if keeper.stdin:
        keeper.stdin.close()


def _launch(wish: Wish, stack: contextlib.ExitStack) -> Run:
    home = stack.enter_context(_hold_home(wish.directory))
    data = home.path / "data"
    account = Account.of(data)
    _open_the_way(home, account)
    programs = binaries.runnable(binaries.find(wish.programs), account, home=home.path)
    password = cluster.prepare(home, programs, account=account)
    held, sockets = _make_socket_directory(home, account, stack)
    port = _free_port()
    cluster.configure(data, _settings(wish, home, sockets=sockets, port=port), account=account)
    version = binaries.version(programs)
    keeper = _start_keeper([str(programs / "postgres"), "-D", str(data)], account, held)
    # Leaving by an error, Ctrl-C included, the server ends first, and then its directories go.
    stack.push(lambda kind, _, __: end(keeper) if kind else None)
    _await_ready(keeper, home.path)
    return Run(os.getpid(), keeper, home.path, programs, version, sockets, port, password)


def _bases() -> list[Path]:
    # A short base serves sockets whose path would be too long, and root's servers where nobody may not enter TMPDIR.
    return [base for base in dict.fromkeys(map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp"))) if base.is_dir()]


def _reachable_bases(account: Account) -> list[Path]:
    if found := [base for base in _bases() if account.reaches(base)]:
        return found
    reason = f"user {account.user} can enter none of {', '.join(map(str, _bases()))}. Set TMPDIR to a directory it can."
    raise EmbeddedServerError(action="start", reason=reason)


def _hold_home(wanted: Path | None) -> holds.Hold:
    if wanted is None:
        return holds.make_temporary(_reachable_bases(Account.of(None))[0])
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = wanted.resolve()
        foreign = {found.name for found in home.iterdir()} - OURS
    except OSError as error:
        raise EmbeddedServerError(action=f"use {wanted}", reason=f"{error}.") from error
    if foreign:
        reason = f"it holds other things, such as {min(foreign)}. Give a directory that is new or empty."
        raise EmbeddedServerError(action=f"use {wanted}", reason=reason)
    if hold := holds.take(home, seconds=SECONDS_FOR_PREDECESSOR):
        return hold
    raise EmbeddedServerError(
        action=f"use {wanted}", reason="another program runs a server in it. Stop that one first."
    )


def _open_the_way(home: holds.Hold, account: Account) -> None:
    if account.reaches(home.path):
        return
    os.fchmod(home.descriptor, holds.TRAVERSABLE)
    if not account.reaches(home.path):
        reason = (
            f"user {account.user}, who runs PostgreSQL for root, can not enter it. Give one below /var/lib or /srv."
        )
        raise EmbeddedServerError(action=f"use {home.path}", reason=reason)


def _make_socket_directory(
    home: holds.Hold, account: Account, stack: contextlib.ExitStack
) -> tuple[list[holds.Hold], Path]:
    held = [home]
    if len(os.fsencode(home.path / "socket" / ".s.PGSQL.65535")) > LONGEST_SOCKET:
        shortest = min(_reachable_bases(account), key=lambda base: len(os.fsencode(base)))
        held.append(stack.enter_context(holds.make_temporary(shortest)))
    return held, account.make_directory(held[-1].path / "socket")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(wish: Wish, home: holds.Hold, *, sockets: Path, port: int) -> dict[str, str]:
    reached_by = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": '"' + str(sockets).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
    }
    return cluster.DEVELOPMENT | (cluster.FORGETFUL if home.temporary else {}) | dict(wish.settings) | reached_by


def _start_keeper(command: list[str], account: Account, held: list[holds.Hold]) -> subprocess.Popen[bytes]:
    descriptors = [hold.descriptor for hold in held]
    plan = {
        "command": command,
        "identity": account.identity,
        "holds": descriptors,
        "temporary": [str(hold.path) for hold in held if hold.temporary],
    }
    log = held[0].path / "log"
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C goes to the program, which then stops its server in order.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), json.dumps(plan)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=descriptors,
            start_new_session=True,
        )


def _await_ready(keeper: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not cluster.is_ready(home / "data"):
        ended = _has_ended(keeper, seconds=0.02)
        if ended or time.monotonic() > deadline:
            log = (home / "log").read_text(encoding="utf-8", errors="replace")
            if PORT_TAKEN in log:
                raise PortTaken
            reason = "PostgreSQL ended." if ended else f"it took more than {SECONDS_TO_START:g} seconds."
            raise EmbeddedServerError(action="start", reason=reason, log=log)


def _has_ended(keeper: subprocess.Popen[bytes], *, seconds: float) -> bool:
    poll = select.poll()
    poll.register(keeper.stdout or -1, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
