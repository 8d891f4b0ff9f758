"""What a reader finds wrong with a file, said before it is known by which name people call that file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tenantry.errors import ArchiveDamaged, ArchiveForeign, StoreUnavailable


class Fault(Exception):
    """The file is not what was once written."""


class Strange(Fault):
    """The file never was an archive that this version reads."""


@contextlib.contextmanager
def told_of(name: str) -> Iterator[None]:
    """Has whatever is wrong inside told of the file that people call *name*.

    Raises: ArchiveForeign, ArchiveDamaged; StoreUnavailable for a file that can no longer be read.
    """
    try:
        yield
    except Strange as fault:
        raise ArchiveForeign(name=name, reason=str(fault)) from fault
    except Fault as fault:
        raise ArchiveDamaged(name=name, reason=str(fault)) from fault
    except OSError as error:
        raise StoreUnavailable(store=name, reason=f"{error.strerror or type(error).__name__}.") from error
