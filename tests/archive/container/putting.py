"""A program that puts one file into a directory; its limit on the size of files stands for a disk that is full."""

from __future__ import annotations

import resource
import sys

from tenantry.archive.stores import DirectoryStore
from tenantry.errors import StoreFull


def main(directory: str, name: str, path: str, room: int) -> None:
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        DirectoryStore(directory).put(name, path)
    except StoreFull as error:
        print(f"full: {error}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
