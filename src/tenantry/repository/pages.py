"""What a list is handed out in: numbered pages, and slices that follow a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, overload

from tenantry.errors import InvalidPage

M = TypeVar("M")

LARGEST_PAGE: Final = 1_000
# The largest OFFSET both databases take.
FARTHEST: Final = 2**63 - 1


class _Items(Sequence[M]):
    items: Sequence[M]

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[M]: ...
    def __getitem__(self, index: int | slice) -> M | Sequence[M]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Page(_Items[M], Generic[M]):
    """One page of a list, itself a sequence of its rows: page *number* of *pages*, *size* to a page, *total* in all."""

    items: Sequence[M]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are; 0 where there are no rows."""
        return -(-self.total // self.size)


@dataclass(frozen=True, slots=True)
class Slice(_Items[M], Generic[M]):
    """A run of rows, itself a sequence; *next* is the cursor of what follows, None at the end."""

    items: Sequence[M]
    next: str | None


def check_page(number: int, size: int) -> None:
    """Lets a page pass that can be read.

    Raises: InvalidPage.
    """
    check_size(size)
    if not _is_count(number) or number < 1:
        raise InvalidPage(reason=f"pages are numbered 1, 2, 3 …, and {_shown(number)} is none of them.")


def check_size(size: int) -> None:
    """Lets a size of page pass.

    Raises: InvalidPage.
    """
    if not _is_count(size) or not 1 <= size <= LARGEST_PAGE:
        raise InvalidPage(reason=f"a page holds 1 to {LARGEST_PAGE} rows, not {_shown(size)}.")


def check_bound(name: str, value: int | None) -> None:
    """Lets a limit or an offset pass, and None for no such bound.

    Raises: InvalidPage.
    """
    if value is not None and not (_is_count(value) and 0 <= value <= FARTHEST):
        raise InvalidPage(reason=f"{name} is a whole number from 0 up, not {_shown(value)}.")


def in_batches(batch: int) -> dict[str, int]:
    """Returns the execution options of a read that fetches *batch* rows at a time.

    Raises: InvalidPage.
    """
    if not _is_count(batch) or not 1 <= batch <= FARTHEST:
        raise InvalidPage(reason=f"rows are fetched 1 or more at a time, not {_shown(batch)}.")
    return {"yield_per": batch}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return repr(value)[:40]
