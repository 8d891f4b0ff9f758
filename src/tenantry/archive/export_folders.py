"""Where an export is written: a directory or a zip file, which has its name only once it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from tenantry.errors import ExportExists, StoreFull, StoreUnavailable

_ZIP: Final = ".zip"
_ODD: Final = re.compile(r"[^\w.-]|^\.")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Folder(Protocol):
    """Takes files one after the other."""

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Writes one file."""
        ...


class _Directory:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        with open(os.open(self._path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        with self._archive.open(name, "w", force_zip64=True) as file:
            for chunk in chunks:
                file.write(chunk)


@contextlib.contextmanager
def folder(place: Path) -> Iterator[Folder]:
    """Yields an empty folder that is at *place* once the block is left, a zip file where the name ends so.

    An error leaves nothing there.

    Raises: ExportExists, StoreFull, StoreUnavailable.
    """
    if place.exists():
        raise ExportExists(place=place)
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with _told_of(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with _open(place, scratch) as opened:
                yield opened
            # Neither takes the place of what somebody made meanwhile.
            _name(scratch, place)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        elif scratch.exists():
            scratch.unlink()


def file_name(table: str, form: str) -> str:
    """Returns what the file of a table is called, whatever the table is called."""
    return f"{_ODD.sub(lambda found: f'%{ord(found[0]):02x}', table)}.{form}"


@contextlib.contextmanager
def _open(place: Path, scratch: Path) -> Iterator[Folder]:
    if place.suffix != _ZIP:
        scratch.mkdir(mode=0o700)
        yield _Directory(scratch)
        return
    with open(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            yield _Zip(archive)
        file.flush()
        os.fsync(file.fileno())


def _name(scratch: Path, place: Path) -> None:
    try:
        # A directory of that name that is empty gives way; nothing else does.
        scratch.rename(place) if scratch.is_dir() else os.link(scratch, place)
    except (FileExistsError, NotADirectoryError):
        raise ExportExists(place=place) from None
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise ExportExists(place=place) from None


@contextlib.contextmanager
def _told_of(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = os.strerror(error.errno) if error.errno else type(error).__name__
        if error.errno in _NO_ROOM:
            raise StoreFull(name=str(place), reason=f"{name}.") from error
        raise StoreUnavailable(store=str(place), reason=f"{name}.") from error
