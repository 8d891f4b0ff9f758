"""What the grounds of all packs have: the pack over each driver, and sessions whose repositories need no ``await``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import cells
from cells import Place


class Ground(cells.Ground):
    """A pack in every cell, with a tenant and its neighbour."""

    @property
    def packs(self) -> dict[str, Any]:
        """The pack by driver."""
        return {driver: self._made[id(tenancy)] for driver, tenancy in self._tenancies.items()}

    def pack(self, place: Place) -> Any:
        """Returns the pack whose driver the place names."""
        return self.made(place)


class Desk(cells.Door):
    """A session of one tenant of a pack."""

    names: ModuleType

    @property
    def pack(self) -> Any:
        return self.ground.pack(self.place)

    def repository(self, name: str, **options: Any) -> Any:
        """Returns the pack's repository called so, or its awaited face behind the same spelling."""
        kind = getattr(self.names, f"Async{name}" if self.awaited else name)
        return self.plain(kind(self.session, **options))


class Bound:
    """A service whose methods get the session first."""

    def __init__(self, target: Any, session: Any) -> None:
        self._target = target
        self._session = session

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        return lambda *args, **kwargs: method(self._session, *args, **kwargs)
