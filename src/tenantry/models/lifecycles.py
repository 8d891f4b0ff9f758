"""Life cycles: which step may follow which in a column, held at assignment, and between callers who race."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import InstrumentedAttribute, object_session
from sqlalchemy.orm.base import NO_VALUE

from tenantry.errors import IllegalStep, RowNotInSession
from tenantry.models.columns import utc_now


class Lifecycle:
    """The steps that a column of a model may take: ``Lifecycle(Ticket.status, {"open": ["closed"], "closed": []})``.

    From then on an assignment of a step that does not follow the row's present one raises IllegalStep, and the state
    that a row begins with is one of *first*, or any where none is named.
    """

    def __init__(
        self,
        column: InstrumentedAttribute[Any],
        steps: Mapping[str, Collection[str]],
        *,
        first: Collection[str] = (),
        stamps: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            stamps: by step, the column that gets the time when the row takes it.

        Raises: ValueError for a step that leads nowhere known.
        """
        self.steps = {str(step): frozenset(map(str, following)) for step, following in steps.items()}
        self.first = frozenset(map(str, first)) or frozenset(self.steps)
        self.stamps = {str(step): name for step, name in (stamps or {}).items()}
        named = frozenset().union(*self.steps.values(), self.first, self.stamps)
        if unknown := sorted(named - set(self.steps)):
            raise ValueError(f"{', '.join(unknown)}: named as a step, but what may follow it is not said.")
        self._column = column
        event.listen(column, "set", self._refuse, retval=True, propagate=True, active_history=True)

    def __repr__(self) -> str:
        return f"<Lifecycle of {self._column}>"

    def allows(self, present: str, following: str) -> bool:
        """Returns whether *following* may follow *present*; to stay is always allowed."""
        return present == following or following in self.steps.get(str(present), ())

    def after(self, present: str) -> list[str]:
        """Returns the steps that may follow *present*, by name."""
        return sorted(self.steps.get(str(present), ()))

    def take(self, row: object, step: str, **changes: Any) -> None:
        """Takes a step under the row's lock, *changes* to other columns with it: of two callers at once, one takes it.

        Raises: IllegalStep where it may not follow, and to whom another was first; RowNotInSession.
        """
        session = object_session(row)
        if session is None:
            raise RowNotInSession(row=type(row).__name__)
        session.flush()
        session.refresh(row, [self._column.key], with_for_update=True)
        present = getattr(row, self._column.key)
        if present == step:
            raise self._illegal(present, step)
        for name, value in {self._column.key: step, **changes}.items():
            setattr(row, name, value)
        session.flush()

    def _stamped(self, step: str) -> dict[str, Any]:
        return {self.stamps[step]: utc_now()} if step in self.stamps else {}

    def _refuse(self, row: object, step: Any, present: Any, _: Any) -> Any:
        if present in (NO_VALUE, None):
            if str(step) not in self.first:
                raise self._illegal("new", step)
            return step
        if not self.allows(present, step):
            raise self._illegal(present, step)
        if present != step:
            for name, moment in self._stamped(str(step)).items():
                setattr(row, name, moment)
        return step

    def _illegal(self, present: Any, step: Any) -> IllegalStep:
        allowed = self.after(present) if present != "new" else sorted(self.first)
        return IllegalStep(
            column=str(self._column), present=str(present), step=str(step), allowed=", ".join(allowed) or "nothing"
        )
