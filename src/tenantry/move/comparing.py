"""Two copies of a tenant's rows compared by what they say, never by how many there are alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tenantry.archive.places_base import Key, Reader
from tenantry.archive.shapes import TableDigest, TableShape
from tenantry.errors import CopyDiffers


def compare(here: Reader, there: Reader) -> dict[str, TableDigest]:
    """Returns what each table amounts to, the same in both places.

    Raises: CopyDiffers.
    """
    found: dict[str, TableDigest] = {}
    # Each on a connection of its own, so that the one is asked while the other answers.
    with ThreadPoolExecutor(1) as pool:
        for table in here.tables:
            other = pool.submit(there.digest, table)
            found[table.name] = here.digest(table)
            _check(here, table, found[table.name], other.result())
    return found


def compare_changed(here: Reader, there: Reader, changes: Mapping[str, Iterable[Key]]) -> None:
    """Lets rows of these keys pass that are the same in both places, be they there or gone.

    Raises: CopyDiffers.
    """
    for table in here.tables:
        keys = list(changes.get(table.name, ()))
        ours, theirs = (_lines(reader.rows_of(table, keys)) for reader in (here, there))
        if ours != theirs:
            raise CopyDiffers(tenant=here.tenant.id, table=table.name, rows=len(ours), found=len(theirs))


def _check(here: Reader, table: TableShape, ours: TableDigest, theirs: TableDigest) -> None:
    if ours != theirs:
        raise CopyDiffers(tenant=here.tenant.id, table=table.name, rows=ours.rows, found=theirs.rows)


def _lines(chunks: Iterable[bytes]) -> list[bytes]:
    return sorted(b"".join(chunks).splitlines())
