"""However a program ends, its server ends; whatever it left, the next start clears."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from embedded.processes import eventually, processes_in, program

from tenantry.embedded import PostgresServer
from tenantry.embedded.account import Account
from tenantry.embedded.holds import make_temporary
from tenantry.errors import EmbeddedServerError

SERVE = """
import sys
from tenantry.embedded import PostgresServer
server = PostgresServer(*sys.argv[1:]).start()
print(server.directory, server._current.keeper.pid, flush=True)
"""
WRITE = """
import psycopg
with psycopg.connect(server.url()) as connection:
    connection.execute("CREATE TABLE t ()")
print("ok", flush=True)
"""
WAIT = "sys.stdin.readline()\n"


def where(process: subprocess.Popen[str]) -> tuple[Path, int]:
    assert process.stdout
    directory, keeper = process.stdout.readline().split()
    assert processes_in(Path(directory))
    return Path(directory), int(keeper)


def is_gone(directory: Path) -> bool:
    return not processes_in(directory) and not directory.exists()


@pytest.mark.mainly("returns", "aborts")
@pytest.mark.parametrize(
    "last_words",
    ["", "sys.exit(3)", "raise RuntimeError", "import os; os._exit(1)", "import os; os.abort()"],
    ids=["returns", "exits", "raises", "exits at once", "aborts"],
)
def test_a_program_that_ends_takes_its_server_along(last_words):
    with program(SERVE + WAIT + last_words, stderr=subprocess.DEVNULL) as process:
        directory, _ = where(process)
        process.communicate("\n")
        assert eventually(lambda: is_gone(directory))


@pytest.mark.mainly("9", "15")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_program_that_is_killed_takes_its_server_along(number):
    with program(SERVE + WAIT, stderr=subprocess.DEVNULL) as process:
        directory, _ = where(process)
        process.send_signal(number)
        assert eventually(lambda: is_gone(directory))


def test_killing_the_whole_process_group_spares_the_keeper():
    with program(SERVE + WAIT, start_new_session=True) as process:
        directory, _ = where(process)
        os.killpg(process.pid, signal.SIGKILL)
        assert eventually(lambda: is_gone(directory))


def test_a_killed_program_with_busy_clients_takes_its_server_along():
    busy = "import psycopg; connection = psycopg.connect(server.url()); connection.execute('SELECT pg_sleep(600)')"
    with program(SERVE + busy) as process:
        directory, _ = where(process)
        process.kill()
        assert eventually(lambda: is_gone(directory))


def test_a_killed_program_leaves_its_data_directory_ready_for_the_next(place):
    with program(SERVE + WRITE + WAIT, place / "pg") as process:
        where(process)
        assert process.stdout
        assert process.stdout.readline() == "ok\n"
        process.kill()
        with PostgresServer(place / "pg") as server, psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT to_regclass('t') IS NOT NULL").fetchone() == (True,)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_killed_keeper_takes_the_server_along_and_the_next_start_clears_its_directory():
    with program(SERVE + WAIT) as process:
        directory, keeper = where(process)
        os.kill(keeper, signal.SIGKILL)
        assert eventually(lambda: not processes_in(directory))
        with PostgresServer():
            assert not directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_program_and_keeper_killed_at_once_leave_no_server():
    with program(SERVE + WAIT) as process:
        directory, keeper = where(process)
        os.kill(keeper, signal.SIGKILL)
        process.kill()
        assert eventually(lambda: not processes_in(directory))
        with PostgresServer():
            assert not directory.exists()


def test_a_forked_child_neither_stops_the_server_nor_keeps_it_alive():
    fork = (
        "import os; print(os.fork() or sys.exit(0), flush=True)\nprint(os.fork() or sys.stdin.readline(), flush=True)\n"
    )
    with program(SERVE + fork + WAIT) as process:
        directory, _ = where(process)
        assert process.stdout
        process.stdout.readline()
        child = int(process.stdout.readline())
        try:
            assert processes_in(directory)
            process.kill()
            assert eventually(lambda: is_gone(directory))
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_leftovers_are_cleared_and_living_servers_are_not():
    with make_temporary(Path("/tmp")) as leftover:
        (leftover.path / "data").mkdir()
    with make_temporary(Path("/tmp")) as living, PostgresServer():
        assert not leftover.path.exists()
        assert living.path.exists()
        living.path.rmdir()


def test_a_half_made_data_directory_is_made_anew(place):
    (place / "pg" / "data.new" / "base").mkdir(parents=True)
    (place / "pg" / "data.new" / "PG_VERSION").write_text("18")
    (place / "pg" / "initdb-password").write_text("old")
    (place / "pg" / "password").write_text("old")
    with PostgresServer(place / "pg") as server:
        assert psycopg.connect(server.url()).close() is None
        assert (place / "pg" / "password").read_text() != "old"


@pytest.mark.parametrize("tenth", [3, pytest.param(1, marks=pytest.mark.soak), pytest.param(6, marks=pytest.mark.soak)])
def test_a_program_killed_while_it_makes_the_data_directory_is_recovered_from(place, tenth):
    with program(SERVE + WAIT, place / "pg") as process:
        eventually((place / "pg").exists)
        time.sleep(tenth / 10)
        process.kill()
    with PostgresServer(place / "pg") as server:
        assert psycopg.connect(server.url()).close() is None


def test_a_process_id_that_another_program_has_by_now_does_not_stop_a_start(place):
    with PostgresServer(place / "pg") as server:
        lines = (server.directory / "data" / "postmaster.pid").read_text().splitlines(keepends=True)
    account = Account.of(place / "pg" / "data")
    with subprocess.Popen(["sleep", "600"], cwd="/", **account.identity) as stranger:
        stale = place / "pg" / "data" / "postmaster.pid"
        stale.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
        account.give(stale)
        try:
            with PostgresServer(place / "pg") as server:
                assert psycopg.connect(server.url()).close() is None
        finally:
            stranger.kill()


def test_a_server_that_a_person_started_by_hand_is_not_disturbed(place):
    with PostgresServer(place / "pg") as server:
        programs = server.bin
    data = place / "pg" / "data"
    account = Account.of(data)
    (data / "tenantry.conf").write_text(f"listen_addresses = ''\nunix_socket_directories = '{data}'\n")
    with subprocess.Popen(
        [programs / "postgres", "-D", data], cwd="/", stderr=subprocess.DEVNULL, **account.identity
    ) as by_hand:
        try:
            assert eventually(lambda: (data / ".s.PGSQL.5432").exists())
            with pytest.raises(EmbeddedServerError, match=f"process {by_hand.pid} runs PostgreSQL in"):
                PostgresServer(place / "pg").start()
            assert by_hand.poll() is None
        finally:
            by_hand.send_signal(signal.SIGINT)


def test_an_interrupt_in_the_middle_of_a_start_leaves_nothing(place):
    interrupt = """
import signal, sys, tempfile
from tenantry.embedded import PostgresServer
tempfile.tempdir = sys.argv.pop(1)
signal.signal(signal.SIGALRM, lambda *_: sys.exit("interrupted"))
signal.setitimer(signal.ITIMER_REAL, float(sys.argv.pop(1)))
"""
    for seconds in (0.05, 0.2, 0.4, 0.6, 0.8):
        with program(interrupt + SERVE + WAIT, place, seconds, stderr=subprocess.DEVNULL) as process:
            process.wait(30)
            assert eventually(lambda: not list(place.iterdir()))
            assert processes_in(place) == []
