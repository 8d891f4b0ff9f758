"""Tasks that no engine takes: called here, or carried into a thread, an executor or another process."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenantry.jobs.envelope import Envelope
from tenantry.jobs.work import Message, Work

if TYPE_CHECKING:
    from tenantry.jobs.core import Jobs


class PlainTask:
    """A declared function: calling it runs its body for the tenant that is bound here, or does not run it at all."""

    def __init__(self, jobs: Jobs, work: Work) -> None:
        self._jobs = jobs
        self._work = work
        functools.update_wrapper(self, work.body)

    def __repr__(self) -> str:
        return f"<PlainTask {self._work.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the body gives, or what awaiting gives it where the body is a coroutine function.

        Raises: as ``Work.run``.
        """
        return self.run_with(Message(self._jobs.outgoing(self._work), args, kwargs))

    def __reduce__(self) -> str:
        # By its name, as a function is: another process has its own.
        return str(self.__qualname__)  # type: ignore[attr-defined]  # update_wrapper gives it one

    def carry(self) -> Carried:
        """Returns the task with what is bound here, to be called where nothing or something else is bound.

        Raises: JobTenantMissing.
        """
        return Carried(self, self._jobs.outgoing(self._work).headers())

    def run_with(self, message: Message) -> Any:
        """Runs the body for a message.

        Raises: as ``Work.run``.
        """
        return self._work.run_async(message) if self._work.is_async else self._work.run(message)

    @property
    def task_name(self) -> str:
        """The name under which errors speak of it."""
        return self._work.name


@dataclass(frozen=True, slots=True)
class Carried:
    """A task and for whom it is; can be pickled where the task can be imported by its name."""

    task: PlainTask
    headers: Mapping[str, str]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the task, whatever is bound where it is called.

        Raises: as ``Work.run``.
        """
        return self.task.run_with(Message(Envelope.read(self.headers, task=self.task.task_name), args, kwargs))
