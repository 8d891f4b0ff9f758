"""Version floors, by number, and as the doctor meets them on a live PgBouncer."""

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

import psycopg
import pytest

from tenantry.doctor import examine, versions

from .clinic import opened, secret_of

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.mark.parametrize("version", [150020, 160016, 170012, 180007, 180010, 190000])
def test_a_postgresql_with_its_fixes(version):
    assert list(versions.judge_postgres(version, embedded=False, where="main")) == []


@pytest.mark.parametrize("version", [140099, 150019, 160015, 170011, 180006])
def test_a_postgresql_without_its_fixes(version):
    assert [finding.code for finding in versions.judge_postgres(version, embedded=False, where="main")] == ["D701"]
    assert [finding.code for finding in versions.judge_postgres(version, embedded=True, where="main")] == ["N701"]


@pytest.mark.parametrize(
    ("banner", "codes"), [("PgBouncer 1.26.0", ["D702"]), ("PgBouncer 1.26.1", []), ("Odyssey", [])]
)
def test_a_pooler_by_its_banner(banner, codes):
    assert [finding.code for finding in versions.judge_pgbouncer(banner, where="127.0.0.1:6432")] == codes


def test_packages_behind_their_floor():
    found = versions.judge_packages({"PyJWT": "2.14.3", "starlette": "1.3.1", "SQLAlchemy": "2.0.58"})
    assert [(notice.code, notice.object) for notice in found] == [("N702", "PyJWT"), ("N702", "SQLAlchemy")]


def test_what_is_installed_is_known():
    assert versions.installed()["SQLAlchemy"]


@pytest.mark.pgbouncer
@pytest.mark.skipif(PROGRAM is None, reason="needs the program pgbouncer")
def test_a_live_pooler_is_asked_for_its_version(postgres):
    """Through a pooler the doctor finds what it finds without, and judges the pooler where it tells its version."""
    answer = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    wanted = {finding.code for finding in versions.judge_pgbouncer(answer, where="")}
    with (
        opened(postgres, owner="plain") as clinic,
        tempfile.TemporaryDirectory() as directory,
        _pooler(clinic, Path(directory)) as url,
    ):
        tenancy = clinic.open(url=url)
        report = examine(tenancy)
        tenancy.close()
    assert {finding.code for finding in report.findings} - {"D701"} == wanted


@contextlib.contextmanager
def _pooler(clinic, directory: Path) -> Iterator[str]:
    """Lends the app login's URL through a PgBouncer of its own, whose statistics that login may read."""
    with psycopg.connect(clinic.urls["app"]) as direct:
        host, server_port = direct.info.host, direct.info.port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "users").write_text(f'"{clinic.app}" "{secret_of(clinic.urls["app"])}"\n')
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={host} port={server_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {directory}/users\npool_mode = transaction\n"
        f"stats_users = {clinic.app}\nlogfile = {directory}/log\n"
    )
    command = [str(PROGRAM), f"{directory}/pgbouncer.ini"]
    if os.geteuid() == 0:
        # It does not run as root.
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"postgresql://{clinic.app}:{secret_of(clinic.urls['app'])}@127.0.0.1:{port}/{clinic.database}"
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
