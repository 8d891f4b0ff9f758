"""What the archive asks of a place that keeps files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


class Store(Protocol):
    """Keeps files under names; a file is there whole or not at all, and is never written over."""

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        """Keeps a copy of the file at *path*, whole; if these very bytes are there already, that is well.

        One process at a time puts one name.

        Raises: ArchiveExists, StoreFull, StoreUnavailable.
        """
        ...

    def get(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Gives the file of that name, open and seekable; nobody else's writing shows in it.

        Raises: ArchiveUnknown, StoreUnavailable; StoreFull where it is fetched to a full disk.
        """
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yields the names that begin with *prefix*, in order.

        Raises: StoreUnavailable.
        """
        ...

    def delete(self, name: str) -> None:
        """Removes the file of that name and whatever a broken ``put`` of it left; if there is none, that is well too.

        Raises: StoreUnavailable.
        """
        ...
