"""Which model a repository is for: its generic argument, or its attribute ``model``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, get_args, get_origin

from sqlalchemy.orm.interfaces import ORMOption

from tenantry.errors import ConfigurationError

M = TypeVar("M")


class Modelled(Generic[M]):
    """A class that knows its model; *options* say how its rows are loaded (``selectinload(...)`` and the like)."""

    model: type[M]
    options: Sequence[ORMOption] = ()

    def __init__(self, *, model: type[M] | None = None, options: Sequence[ORMOption] | None = None) -> None:
        if model is not None:
            self.model = model
        if options is not None:
            self.options = options
        if not isinstance(getattr(self, "model", None), type):
            raise ConfigurationError(
                what=f"{type(self).__name__} does not say which model it is for.",
                fix="Write class Tickets(Repository[Ticket]), or pass model=Ticket.",
            )

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for base in () if "model" in vars(cls) else vars(cls).get("__orig_bases__", ()):
            origin, given = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Modelled) and isinstance(given[0], type):
                cls.model = given[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model.__name__}>"
