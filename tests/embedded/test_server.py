"""What a running server promises."""

from __future__ import annotations

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from embedded.processes import processes_in

from tenantry.embedded import PostgresServer, launch
from tenantry.errors import EmbeddedServerError


@pytest.fixture(scope="module")
def server():
    with PostgresServer(settings={"work_mem": "7MB", "tenantry.note": "it's a \\ test"}) as server:
        yield server


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return row and row[0]


def test_a_client_can_recognise_a_development_server(server):
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW tenantry.embedded").fetchone() == ("on",)
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        assert connection.execute("SHOW max_connections").fetchone() == ("200",)
        assert connection.execute("SHOW server_version").fetchone() == (server.version,)


def test_settings_reach_the_server_as_they_are(server):
    assert ask(server.url(), "SHOW work_mem") == "7MB"
    assert ask(server.url(), "SHOW tenantry.note") == "it's a \\ test"


def test_text_is_unicode(server):
    assert ask(server.url(), "SELECT lower('ÄÖÜ')") == "äöü"


def test_extensions_are_there(server):
    with psycopg.connect(server.url("extensions"), autocommit=True) as connection:
        for name in ("vector", "pg_trgm", "citext"):
            connection.execute(f"CREATE EXTENSION {name}")


@pytest.mark.parametrize("password", [None, "", "wrong"])
@pytest.mark.parametrize("door", ["tcp", "socket"])
def test_nobody_enters_without_the_password(server, door, password):
    host = server.host if door == "tcp" else str(server.socket_directory)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=host, port=server.port, user="postgres", password=password)


def test_the_socket_is_a_door_too(server):
    password = urlsplit(server.url()).password
    with psycopg.connect(
        host=str(server.socket_directory), port=server.port, user="postgres", password=password
    ) as connection:
        assert connection.execute("SELECT inet_client_addr()").fetchone() == (None,)


def test_only_loopback_is_listened_on(server):
    assert ask(server.url(), "SHOW listen_addresses") == "127.0.0.1"


def test_passwords_are_kept_as_scram_verifiers(server):
    assert str(ask(server.url(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")).startswith("SCRAM-")


def test_eight_threads_that_want_one_database_all_get_it(server):
    with ThreadPoolExecutor(8) as threads:
        urls = list(threads.map(lambda _: server.url("wanted"), range(8)))
    assert len(set(urls)) == 1
    assert ask(urls[0], "SELECT current_database()") == "wanted"


def test_a_url_for_a_login_carries_its_awkward_password(server):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("""CREATE ROLE "a@b:c/d" LOGIN PASSWORD 'p@s/s:w%rd?'""")
    assert ask(server.url(login="a@b:c/d", password="p@s/s:w%rd?"), "SELECT current_user") == "a@b:c/d"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a?b=c", "ä", "x" * 64, 'a"; DROP DATABASE b'])
def test_a_database_name_that_cannot_stand_in_a_url_is_refused(server, name):
    with pytest.raises(EmbeddedServerError, match="could not make a database"):
        server.url(name)


def test_no_secret_shows(server):
    password = urlsplit(server.url()).password
    assert password
    assert password not in repr(server)
    assert password not in repr(server._current)
    assert password not in Path(server.log).read_text()
    assert not [
        file for file in server.directory.rglob("*") if file.is_file() and password.encode() in file.read_bytes()
    ]


def test_other_accounts_see_neither_data_nor_socket(server):
    for directory in (server.directory / "data", server.socket_directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.log.stat().st_mode) == 0o600


def test_starting_a_running_server_changes_nothing(server):
    port = server.port
    assert server.start() is server
    assert server.port == port


@pytest.mark.soak
def test_two_servers_at_once_are_two():
    with PostgresServer() as one, PostgresServer() as other:
        ask(one.url("mine"), "SELECT 1")
        assert one.port != other.port
        assert one.directory != other.directory
        assert ask(other.url(), "SELECT count(*) FROM pg_database WHERE datname = 'mine'") == 0


def test_nothing_is_left_of_a_temporary_server():
    with PostgresServer() as server:
        directory = server.directory
        assert processes_in(directory)
    assert processes_in(directory) == []
    assert not directory.exists()


@pytest.mark.soak
def test_stopping_does_not_wait_for_clients():
    with PostgresServer() as server:
        connection = psycopg.connect(server.url())
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_a_stopped_server_says_so_and_starts_again():
    server = PostgresServer()
    assert repr(server) == "<PostgresServer stopped, temporary>"
    for _ in range(2):
        with pytest.raises(EmbeddedServerError, match="does not run"):
            server.url()
        with server:
            assert ask(server.url(), "SELECT 1") == 1
        server.stop()


@pytest.mark.soak
def test_a_directory_keeps_data_and_password(place):
    with PostgresServer(place / "pg") as server:
        with psycopg.connect(server.url("kept")) as connection:
            connection.execute("CREATE TABLE notes AS SELECT 'remember' AS text")
        password = urlsplit(server.url()).password
    assert processes_in(place) == []
    with PostgresServer(place / "pg") as server:
        assert ask(server.url("kept"), "SELECT text FROM notes") == "remember"
        assert urlsplit(server.url()).password == password
        assert ask(server.url(), "SHOW fsync") == "on"
    assert stat.S_IMODE((place / "pg" / "password").stat().st_mode) == 0o600
    assert not (place / "pg" / "initdb-password").exists()


@pytest.mark.soak
def test_settings_may_change_from_start_to_start(place):
    for most in (120, 130):
        with PostgresServer(place / "pg", max_connections=most) as server:
            assert ask(server.url(), "SHOW max_connections") == str(most)


def test_data_without_its_password_is_refused(place):
    with PostgresServer(place / "pg"):
        pass
    (place / "pg" / "password").unlink()
    with pytest.raises(EmbeddedServerError, match="Put the password back"):
        PostgresServer(place / "pg").start()


def test_a_directory_with_other_things_in_it_is_refused(place):
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedServerError, match=r"holds other things, such as thesis.txt"):
        PostgresServer(place).start()
    assert [found.name for found in place.iterdir()] == ["thesis.txt"]


def test_a_directory_serves_one_server_at_a_time(place, monkeypatch):
    monkeypatch.setattr(launch, "SECONDS_FOR_PREDECESSOR", 0.2)
    with PostgresServer(place / "pg") as first:
        with pytest.raises(EmbeddedServerError, match="another program runs a server in it"):
            PostgresServer(place / "pg").start()
        assert ask(first.url(), "SELECT 1") == 1


@pytest.mark.soak
def test_a_path_too_long_for_a_socket_gets_a_short_one_elsewhere(place):
    with PostgresServer(place / ("long" * 40)) as server:
        sockets = server.socket_directory
        assert not sockets.is_relative_to(place)
        assert (sockets / f".s.PGSQL.{server.port}").exists()
    assert not sockets.parent.exists()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with pytest.raises(EmbeddedServerError) as refusal:
        PostgresServer(settings={"shared_buffers": "plenty"}).start()
    assert "PostgreSQL ended" in str(refusal.value)
    assert 'invalid value for parameter "shared_buffers"' in str(refusal.value)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("bad name", "1"), ("work_mem", "1\nport = 1"), ("", "1")])
def test_settings_that_do_not_fit_on_a_line_are_refused(name, value):
    with pytest.raises(EmbeddedServerError, match="could not start"):
        PostgresServer(settings={name: value}).start()


def test_a_directory_that_cannot_be_made_is_refused(place):
    (place / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="Not a directory"):
        PostgresServer(place / "file" / "pg").start()


def test_settings_of_the_callers_environment_have_no_effect(monkeypatch):
    for name in ("PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS"):
        monkeypatch.setenv(name, "nonsense")
    with PostgresServer() as server:
        assert processes_in(server.directory)
        assert os.environ["PGDATA"] == "nonsense"
