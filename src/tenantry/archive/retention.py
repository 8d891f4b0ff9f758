"""Which archives of a tenant are kept: the last so many, and the newest of each of the last days, weeks and months."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from tenantry.catalog.archives import WHOLE, Archived
from tenantry.errors import ConfigurationError

_SPELT: Final = re.compile(r"(last|daily|weekly|monthly)=(\d{1,5})")
_FIX: Final = "Write some of last=7,daily=7,weekly=4,monthly=12."

_PERIODS: Final[Mapping[str, Callable[[datetime], object]]] = {
    # Two of one moment are two.
    "last": lambda _: object(),
    "daily": lambda taken: taken.date(),
    "weekly": lambda taken: taken.isocalendar()[:2],
    "monthly": lambda taken: (taken.year, taken.month),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many archives of each tenant stay: of the last ones, and the newest of each of the last periods, in UTC.

    An archive stays when any of the four counts it. Periods without an archive are not counted, so a tenant whose
    backups stopped long ago loses none of them.

    Raises: ConfigurationError for a number below zero, and where all four are zero.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        numbers = self.to_json().values()
        if min(numbers) < 0 or not any(numbers):
            raise ConfigurationError(what=f"{self} keeps no archive.", fix=_FIX)

    def __str__(self) -> str:
        return ",".join(f"{period}={number}" for period, number in self.to_json().items() if number)

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Returns what ``last=7,daily=7,weekly=4`` means.

        Raises: ConfigurationError.
        """
        parts = [_SPELT.fullmatch(part.strip()) for part in text.split(",")]
        spelt = {part.group(1): int(part.group(2)) for part in parts if part is not None}
        if len(spelt) < len(parts):
            raise ConfigurationError(what=f"{text!r} does not say what to keep.", fix=_FIX)
        return cls(**spelt)

    def to_json(self) -> dict[str, int]:
        """Returns the same as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> Keep:
        """Returns what ``to_json`` gave."""
        return cls(**numbers)

    def reasons(self, archives: Iterable[Archived]) -> dict[uuid.UUID, str]:
        """Returns the identifiers of one tenant's archives that stay, each with why; the others may go.

        Whatever the numbers are, the newest whole archive stays, and the newest one that was verified, and pinned
        ones. A damaged archive takes no whole one's place; it goes once a whole one is newer.
        """
        newest_first = sorted(archives, key=lambda archived: (archived.taken_at, archived.id), reverse=True)
        whole = [archived for archived in newest_first if archived.state == WHOLE]
        kept: dict[uuid.UUID, list[str]] = {}
        for archived, reason in [*self._counted(whole), *_always(newest_first, whole)]:
            kept.setdefault(archived.id, []).append(reason)
        return {archive: ", ".join(reasons) for archive, reasons in kept.items()}

    def _counted(self, whole: Sequence[Archived]) -> Iterator[tuple[Archived, str]]:
        for period, number in self.to_json().items():
            seen: set[object] = set()
            for archived in whole:
                when = _PERIODS[period](archived.taken_at)
                if when not in seen and len(seen) < number:
                    seen.add(when)
                    yield archived, period


def _always(newest_first: Sequence[Archived], whole: Sequence[Archived]) -> Iterator[tuple[Archived, str]]:
    yield from ((archived, "pinned") for archived in newest_first if archived.pinned)
    yield from ((archived, "newest") for archived in whole[:1])
    yield from ((archived, "newest verified") for archived in [each for each in whole if each.verified_at][:1])
    for archived in newest_first:
        if archived.state == WHOLE:
            return
        yield archived, "no newer one is whole"
