"""A store on a directory of this machine, or of a file server that it has mounted."""

from __future__ import annotations

import contextlib
import filecmp
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tenantry.archive.room import unwritten
from tenantry.archive.stores.naming import NAME, check_name, directory_of
from tenantry.errors import ArchiveExists, ArchiveUnknown

_STEP: Final = 1 << 20


class DirectoryStore:
    """Keeps files in a directory, readable by nobody but its owner; what ``put`` returned from survives a power cut.

    A file is written under a hidden name, brought to the disk, and only then linked to its own: who lists or opens
    names never meets half of one. A broken ``put`` leaves the hidden file, which the next ``put`` or ``delete`` of the
    name removes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # The catalog names the store by it, whatever the directory that a later process works in.
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self.path)!r})"

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        """Keeps a copy of the file at *path*; if these very bytes are there already, that is well.

        Raises: ArchiveExists, StoreFull, StoreUnavailable.
        """
        target = self._path(name)
        with Path(path).open("rb") as source, self._told(name):
            _make_directories(target.parent)
            _remove_parts(target)
            part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
            try:
                _copy(source, part)
                self._link(part, target, name=name)
            finally:
                part.unlink(missing_ok=True)
            _sync_directory(target.parent)

    @contextlib.contextmanager
    def get(self, name: str) -> Iterator[BinaryIO]:
        """Gives the file of that name, open for reading.

        Raises: ArchiveUnknown, StoreUnavailable.
        """
        with self._told(name):
            file = self._opened(name)
        with file:
            yield file

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yields the names that begin with *prefix*, in order; a directory that is not there holds none.

        Raises: StoreUnavailable.
        """
        with self._told(prefix):
            found = sorted(_files(self.path, directory_of(prefix)))
        yield from (name for name in found if name.startswith(prefix) and NAME.fullmatch(name))

    def delete(self, name: str) -> None:
        """Removes the file of that name, and what a broken ``put`` left of it.

        Raises: StoreUnavailable.
        """
        target = self._path(name)
        with self._told(name):
            if not target.parent.exists():
                return
            target.unlink(missing_ok=True)
            _remove_parts(target)
            _sync_directory(target.parent)

    def _path(self, name: str) -> Path:
        return self.path.joinpath(*check_name(name).split("/"))

    def _opened(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except FileNotFoundError as error:
            raise ArchiveUnknown(store=repr(self), name=name) from error

    def _link(self, part: Path, target: Path, *, name: str) -> None:
        # A link is refused where the name is taken; a rename would put itself in the other's place.
        try:
            os.link(part, target)
        except FileExistsError as error:
            if not filecmp.cmp(part, target, shallow=False):
                raise ArchiveExists(store=repr(self), name=name) from error

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritten(error, name=name, store=repr(self)) from error


def _make_directories(directory: Path) -> None:
    if directory.is_dir():
        return
    _make_directories(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(directory.parent)


def _copy(source: BinaryIO, part: Path) -> None:
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing:
        shutil.copyfileobj(source, writing, _STEP)
        writing.flush()
        os.fsync(writing.fileno())


def _remove_parts(target: Path) -> None:
    """Removes what a broken ``put`` left of *target*, and second names of any file that is finished."""
    for part in target.parent.glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):
            if part.name.startswith(f".{target.name}.") or part.stat().st_nlink > 1:
                part.unlink()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(root: Path, below: str) -> Iterator[str]:
    start = root / below
    there = start.is_dir() if below else root.exists()
    for directory, _, files in os.walk(start, onerror=_raise) if there else ():
        for file in files:
            yield (Path(directory) / file).relative_to(root).as_posix()


def _raise(error: OSError) -> None:
    raise error
