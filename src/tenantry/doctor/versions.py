"""Version floors: the releases that hold the last fixes which matter to walls between tenants."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tenantry.types import Finding

# By major version: role-dependent plans, statistics that show hidden rows, code in dumps (HAZARDS A12, A13, S20).
POSTGRES_FLOORS: Final = {15: 20, 16: 16, 17: 12, 18: 7}
# SCRAM impersonation in 1.17 to 1.26.0 (HAZARDS B05).
PGBOUNCER_FLOOR: Final = (1, 26, 1)
# Before it a search by an HNSW index found what the wall left of the nearest few, and no more.
PGVECTOR_FLOOR: Final = (0, 8)
# Tokens of another key accepted; requests that exhaust a server; connections handed out in mid-transaction.
PACKAGE_FLOORS: Final = {"PyJWT": (2, 15), "starlette": (1, 3, 1), "SQLAlchemy": (2, 1)}


def judge_postgres(version: int, *, embedded: bool, where: str) -> Iterator[Finding]:
    """Yields a finding for a PostgreSQL behind its floor; on a development server it is a notice."""
    major, minor = divmod(version, 10000)
    floor = POSTGRES_FLOORS.get(major)
    if major > max(POSTGRES_FLOORS) or (floor is not None and minor >= floor):
        return
    wanted = f"{major}.{floor}" if floor else f"{min(POSTGRES_FLOORS)}.{POSTGRES_FLOORS[min(POSTGRES_FLOORS)]}"
    message = f"PostgreSQL {major}.{minor} lacks fixes that came up to {wanted}."
    yield Finding("N701" if embedded else "D701", where, message, f"Upgrade to {wanted} or newer.")


def judge_pgbouncer(banner: str, *, where: str) -> Iterator[Finding]:
    """Yields a finding for a PgBouncer behind its floor; *banner* is its answer to SHOW VERSION."""
    found = _numbers(banner)
    if found and found < PGBOUNCER_FLOOR:
        wanted = _written(PGBOUNCER_FLOOR)
        message = f"PgBouncer {_written(found)} lets a client pass for another under SCRAM."
        yield Finding("D702", where, message, f"Upgrade to {wanted} or newer.")


def judge_extension(name: str, version: str, *, where: str) -> Iterator[Finding]:
    """Yields a finding for a pgvector behind its floor."""
    if name == "vector" and _numbers(version) < PGVECTOR_FLOOR:
        message = f"pgvector {version} does not go on along its index when rows of other tenants were all it found."
        yield Finding("D703", where, message, "Install pgvector 0.8 or newer, then: ALTER EXTENSION vector UPDATE;")


def installed() -> dict[str, str]:
    """Returns the versions of the packages with a floor that are installed here."""
    found = {}
    for name in PACKAGE_FLOORS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def judge_packages(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Yields a notice for each package behind its floor."""
    for name, version in versions.items():
        floor = PACKAGE_FLOORS[name]
        if _numbers(version) < floor:
            message = f"{name} {version} lacks fixes that came with {_written(floor)}."
            yield Finding("N702", name, message, f'pip install "{name}>={_written(floor)}"')


def _numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def _written(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
