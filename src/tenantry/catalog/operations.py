"""Long operations on one tenant as the journal has them: begun, taken up again, noted step by step, ended."""

from __future__ import annotations

import contextlib
import datetime
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, insert, select, update

from tenantry.catalog.holder import LEASE_SECONDS, has_let_go, held, this_process
from tenantry.catalog.tables import journal, meta, now
from tenantry.errors import OperationInProgress, OperationLost, OperationUnknown, TenantryError
from tenantry.events import announce
from tenantry.ids import uuid7

BACKUP: Final = "backup"
RESTORE: Final = "restore"
VERIFY: Final = "verify"
MOVE: Final = "move"
ERASE: Final = "erase"
# No two of them touch one tenant at a time: each takes its rows away from where they are.
CHANGING: Final = frozenset({RESTORE, MOVE, ERASE})

RUNNING: Final = "running"
RESTING: Final = "resting"
FAILED: Final = "failed"
DONE: Final = "done"
UNDONE: Final = "undone"
ENDED: Final = frozenset({DONE, UNDONE})

# ``Tenancy.catalog``.
CatalogDoor = Callable[[str], AbstractContextManager[Connection]]

_ACTION: Final = "Working on a tenant's data"
# This process's own; of what others run only their process tells whether it goes on.
_in_hand: set[uuid.UUID] = set()


@dataclass(frozen=True, slots=True)
class Operation:
    """One long operation as the journal has it: the step that was begun last, and what is needed to go on."""

    id: uuid.UUID
    kind: str
    tenant: uuid.UUID
    step: str
    state: str
    detail: Mapping[str, Any]
    created_at: datetime.datetime
    updated_at: datetime.datetime
    # Running, as the journal says, while who ran it has gone.
    abandoned: bool


def begin(
    connection: Connection,
    kind: str,
    tenant: uuid.UUID,
    *,
    step: str,
    detail: Mapping[str, Any] | None = None,
    apart_from: Collection[str] = CHANGING,
) -> Operation:
    """Enters an operation that this process is about to run, unless the tenant has one in hand of *apart_from*.

    One that was begun and neither ended nor undone counts as in hand, whoever ran it: it is to be resumed first.

    Raises: OperationInProgress.
    """
    # As in warming.enter(): two that begin at once wait for each other here.
    connection.execute(select(meta.c.value).where(meta.c.name == "version").with_for_update())
    for other in of_tenant(connection, tenant, *apart_from):
        if other.state not in ENDED:
            raise OperationInProgress(tenant=tenant, kind=other.kind, operation=other.id, step=other.step)
    begun, facts = uuid7(), {"kind": kind, "step": step, "state": RUNNING, "detail": dict(detail or {})}
    _in_hand.add(begun)
    connection.execute(insert(journal).values(id=begun, tenant_id=tenant, **facts, **held()))
    return get(connection, begun)


def take(connection: Connection, operation: uuid.UUID) -> Operation:
    """Takes up an operation that nobody runs any more: abandoned, failed or resting.

    Raises: OperationUnknown, OperationInProgress while its process lives.
    """
    row = _row(connection, operation)
    if row.state == RUNNING and not _is_abandoned(row):
        raise OperationInProgress(tenant=row.tenant_id, kind=row.kind, operation=row.id, step=row.step)
    seen = and_(journal.c.id == operation, journal.c.holder == row.holder, journal.c.state == row.state)
    if not connection.execute(update(journal).where(seen).values(state=RUNNING, **held())).rowcount:
        raise OperationInProgress(tenant=row.tenant_id, kind=row.kind, operation=row.id, step=row.step)
    _in_hand.add(operation)
    return get(connection, operation)


def note(connection: Connection, operation: uuid.UUID, *, state: str = RUNNING, **facts: Any) -> None:
    """Records a step of an operation in hand and holds it longer; *facts* are ``step`` and ``detail``.

    Raises: OperationLost when another process has it by now.
    """
    mine = and_(journal.c.id == operation, journal.c.holder == this_process(), journal.c.state == RUNNING)
    if not connection.execute(update(journal).where(mine).values(state=state, **facts, **held())).rowcount:
        raise OperationLost(operation=operation)


def get(connection: Connection, operation: uuid.UUID) -> Operation:
    """Returns an operation.

    Raises: OperationUnknown.
    """
    return _operation(_row(connection, operation))


def of_tenant(connection: Connection, tenant: uuid.UUID, *kinds: str) -> list[Operation]:
    """Returns a tenant's operations of some kinds, the newest first."""
    wanted = and_(journal.c.tenant_id == tenant, journal.c.kind.in_(kinds))
    return _operations(connection, wanted)


def unfinished(connection: Connection, *kinds: str) -> list[Operation]:
    """Returns the operations of some kinds that were begun and neither ended nor undone, the newest first."""
    return _operations(connection, and_(journal.c.kind.in_(kinds), journal.c.state.not_in(ENDED)))


def forget(connection: Connection, operation: uuid.UUID) -> None:
    """Strikes an operation that left nothing behind out of the journal."""
    connection.execute(delete(journal).where(journal.c.id == operation))


class Course:
    """An operation in this process's hands: each step is noted, then announced, and only then done."""

    def __init__(self, door: CatalogDoor, operation: Operation) -> None:
        self._door = door
        self.id = operation.id
        self.kind = operation.kind
        self.tenant = operation.tenant
        self.begun_at = operation.created_at
        self.detail = dict(operation.detail)
        # What was begun last before this process came: where to go on.
        self.reached = operation.step
        self.is_over = False
        self._lost = False

    def step(self, name: str, **detail: Any) -> None:
        """Notes that a step is begun, with what a successor must know to do it again, and announces it.

        Raises: OperationLost.
        """
        self._write(step=name, **detail)
        announce(self.kind, name, entry=self.id, tenant=self.tenant)

    def tell(self, name: str, *, done: int, total: int, **facts: Any) -> None:
        """Announces how far a step has come; nothing is written down.

        Raises: OperationLost.
        """
        self._check()
        announce(self.kind, name, entry=self.id, tenant=self.tenant, done=done, total=total, **facts)

    def end(self, state: str = DONE, **detail: Any) -> None:
        """Notes that the operation has come to its end, was undone, or rests until somebody takes it up.

        Raises: OperationLost.
        """
        self._write(state=state, **detail)
        self.is_over = True

    def renew(self) -> None:
        """Holds the operation longer."""
        try:
            with self._door(_ACTION) as connection:
                note(connection, self.id)
        except OperationLost:
            self._lost = True

    def _write(self, *, state: str = RUNNING, step: str | None = None, **detail: Any) -> None:
        self._check()
        self.detail |= detail
        facts = {"detail": self.detail} if step is None else {"detail": self.detail, "step": step}
        with self._door(_ACTION) as connection:
            note(connection, self.id, state=state, **facts)

    def _check(self) -> None:
        if self._lost:
            raise OperationLost(operation=self.id)


@contextlib.contextmanager
def on_course(door: CatalogDoor, operation: Operation) -> Iterator[Course]:
    """Holds an operation that ``begin`` or ``take`` gave, while a ``with`` block works on it.

    An error inside is noted, and the operation is left failed, to be taken up or undone. Leaving it without having
    called ``end`` is its end.
    """
    course, over = Course(door, operation), threading.Event()
    keeper = threading.Thread(target=_keep, args=(course, over), name=f"tenantry-{operation.kind}", daemon=True)
    keeper.start()
    try:
        yield course
    except BaseException as error:
        # A catalog that is out of reach must not hide what happened; a lost operation is somebody else's to note.
        with contextlib.suppress(Exception):
            course.end(FAILED, error=_told(error))
        raise
    else:
        if not course.is_over:
            course.end()
    finally:
        over.set()
        keeper.join()
        _in_hand.discard(operation.id)


def _keep(course: Course, over: threading.Event) -> None:
    while not over.wait(LEASE_SECONDS / 4):
        # The catalog may be away for a while; the lease outlives three such attempts.
        with contextlib.suppress(Exception):
            course.renew()


def _told(error: BaseException) -> str:
    # What a database says may hold values of rows.
    return str(error) if isinstance(error, TenantryError) else type(error).__name__


def _operations(connection: Connection, wanted: Any) -> list[Operation]:
    newest = select(journal).where(wanted).order_by(journal.c.created_at.desc(), journal.c.id.desc())
    return [_operation(row) for row in connection.execute(newest)]


def _row(connection: Connection, operation: uuid.UUID) -> Any:
    row = connection.execute(select(journal).where(journal.c.id == operation)).one_or_none()
    if row is None:
        raise OperationUnknown(operation=operation)
    return row


def _operation(row: Any) -> Operation:
    return Operation(
        id=row.id,
        kind=row.kind,
        tenant=row.tenant_id,
        step=row.step,
        state=row.state,
        detail=row.detail,
        created_at=row.created_at,
        updated_at=row.updated_at,
        abandoned=row.state == RUNNING and _is_abandoned(row),
    )


def _is_abandoned(row: Any) -> bool:
    if row.holder == this_process():
        return row.id not in _in_hand
    return has_let_go(row.holder, expired=row.lease_until < now())
