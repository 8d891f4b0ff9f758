"""A token bucket on PostgreSQL beside the same rule in a script of Redis, in streams of calls by turns."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Final

import redis
from sqlalchemy.orm import DeclarativeBase

from bench.cores import one_core
from bench.samples import summarise, table
from bench.sessions import Turn, timed
from tenantry import Config, Tenancy
from tenantry.embedded import PostgresServer
from tenantry.isolation import short
from tenantry.limits import Rates, TokenBucket
from tenantry.limits.rate_statements import Ask, Statements
from tenantry.limits.redis import SCRIPT, RedisStore

# Never empty, so that every call is granted and written down.
_RULE: Final = TokenBucket(1000, burst=10**9)
# Each turn is a stream of calls, as a busy program makes them.
_CALLS: Final = 20
_SECONDS_TO_START: Final = 20
_REDIS: Final = "Rates on Redis, a Lua script"
_POSTGRESQL: Final = "Rates on PostgreSQL, one statement, synchronous_commit = off"


class _Base(DeclarativeBase):
    pass


def report(rounds: int) -> None:
    """Prints a stream of calls by each way of counting, all on one core, and how the two databases compare."""
    rounds = max(50, rounds // 5)
    with one_core(), _tenancy() as tenancy, _redis() as url:
        ours = {_POSTGRESQL: _turn(Rates(tenancy))}
        durable = {"Rates on PostgreSQL, durable": _turn(Rates(tenancy, durable=True))}
        if url is None:
            print(table(f"{_CALLS} tokens taken from a bucket", timed(ours | durable, rounds)))
            print("\nredis-server is not installed, so there was nothing to compare with.", flush=True)
            return
        # Only these two, since a third would warm the caches for the one that comes after it.
        samples = timed({_REDIS: _turn(Rates(tenancy, store=RedisStore(url)))} | ours, rounds)
        print(table(f"{_CALLS} tokens taken from a bucket, by the same rule", samples))
        print(f"\nPostgreSQL {_times(samples)} as Redis, with synchronous_commit = off;", end=" ")
        print("Redis writes nothing to disk here (no save, no append-only file).")
        alone = {"the Redis script alone, by redis-py": _bare(url)}
        faceless = timed(alone | {"the PostgreSQL statement alone, behind the wall": _bare_statement(tenancy)}, rounds)
        print(table(f"{_CALLS} times script beside statement, without Rates before either", faceless))
        print(f"\nThe statement {_times(faceless)} as the script.")
        beside = timed(alone | ours, rounds)
        print(table(f"{_CALLS} times Rates on PostgreSQL beside the script alone", beside))
        print(f"\nPostgreSQL {_times(beside)} as the bare script.")
        print(table(f"{_CALLS} tokens, each safe on disk", timed(ours | durable, rounds)), flush=True)


def _times(samples: dict[str, list[float]]) -> str:
    return f"makes {1 / summarise(samples)[1].ratio:.2f} times as many calls"


def _turn(rates: Rates) -> Turn:
    def call() -> None:
        assert rates.consume("acme", "bench", limit=_RULE)

    return _stream(call)


def _bare(url: str) -> Turn:
    script = redis.Redis.from_url(url).register_script(SCRIPT)
    weight, room = _RULE.weight(1), _RULE.weight(_RULE.capacity)

    def call() -> None:
        assert script(keys=["bench"], args=[weight, room, 0, 0])[3] == 1

    return _stream(call)


def _bare_statement(tenancy: Tenancy) -> Turn:
    route = tenancy.router.route("acme")
    ask = Ask(route.tenant.id, "bench", _RULE)
    one, engine = Statements(tenancy.metadata.tables["rate_limits"]).short(ask), route.engine()

    def call() -> None:
        assert short.run(engine, route.binding, one, ask.values, durable=False)[3] == b"t"

    return _stream(call)


def _stream(call: Callable[[], None]) -> Turn:
    def turn(_: int) -> None:
        for _ in range(_CALLS):
            call()

    return turn


@contextlib.contextmanager
def _tenancy() -> Iterator[Tenancy]:
    # In a directory, since a temporary server waits for no disk.
    with tempfile.TemporaryDirectory() as directory, PostgresServer(directory) as server:
        owner_url = server.url("limits")
        owner = Tenancy(owner_url, models=_Base)
        Rates(owner)
        owner.install(create_tables=True)
        app_url = owner.create_login("limits_app")
        owner.close()
        tenancy = Tenancy(app_url, models=_Base, owner_url=owner_url, config=Config(route_ttl=300.0))
        Rates(tenancy)
        tenancy.tenants.create("acme")
        yield tenancy
        tenancy.close()


@contextlib.contextmanager
def _redis() -> Iterator[str | None]:
    """Lends the URL of a Redis on a loopback port, with a password of its own, or None where the program is missing."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    password, port = secrets.token_hex(16), _free_port()
    settings = f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=directory)
        try:
            _feed(process, settings)
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            _await(url)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _feed(process: subprocess.Popen[bytes], settings: str) -> None:
    assert process.stdin is not None
    process.stdin.write(settings.encode())
    process.stdin.close()


def _await(url: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with redis.Redis.from_url(url) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                return
            time.sleep(0.02)
    raise TimeoutError("Redis did not start.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
