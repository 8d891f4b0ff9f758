"""How changes are noticed: what the unit of work writes row by row, and bulk statements by what they match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Delete, Insert, Table, Update, event
from sqlalchemy.engine import Result
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, UOWTransaction, object_session
from sqlalchemy.orm.base import instance_state

from tenantry.audit.capturing import (
    CREATED,
    DELETED,
    UPDATED,
    Captured,
    Image,
    Key,
    modified_names,
    renewed_names,
)
from tenantry.errors import CaptureRefused
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.session.core import TenantSession

Rows = dict[Key, Image]

_IMAGES: Final = "tenantry_audit_images"
_ROWS_AT_ONCE: Final = 500


class Watcher(Protocol):
    """Who records the changes of captured models."""

    most: int

    def of_mapper(self, mapper: Mapper[Any]) -> Captured | None:
        """Returns what is recorded of a class, or None."""
        ...

    def of_table(self, table: object) -> Captured | None:
        """Returns what is recorded of the class that a table belongs to, or None."""
        ...

    def changed(self, session: TenantSession, values: dict[str, Any]) -> None:
        """Records one change."""
        ...


_watchers: Final[WeakKeyDictionary[object, list[Watcher]]] = WeakKeyDictionary()


def watch(tenancy: object, watcher: Watcher) -> None:
    """Has *watcher* told of the changes in every session of *tenancy* from now on."""
    watchers = _watchers.setdefault(tenancy, [])
    if watcher not in watchers:
        watchers.append(watcher)
    if not event.contains(TenantSession, "do_orm_execute", _see_statement):
        # A session without it is 2 % faster at a short read, so it comes with the first capture.
        event.listen(TenantSession, "do_orm_execute", _see_statement)
        event.listen(TenantSession, "before_flush", _read_before)
        TenantSession.before_bulk.append(_refuse_bulk)


def watch_model(model: type[Any]) -> None:
    """Hears of what the unit of work does with rows of a class and of those that inherit from it."""
    for name, hear in _ROW_EVENTS.items():
        if not event.contains(model, name, hear):
            event.listen(model, name, hear, propagate=True)


def _watching(session: Session | None) -> Iterator[Watcher]:
    if session is not None and _watchers:
        yield from _watchers.get(session.info.get("tenancy", session), ())


def _captured(row: object, mapper: Mapper[Any]) -> Iterator[tuple[TenantSession, Watcher, Captured]]:
    session = object_session(row)
    for watcher in _watching(session):
        found = watcher.of_mapper(mapper)
        if found is not None and isinstance(session, TenantSession):
            yield session, watcher, found


# --- the unit of work ----------------------------------------------------------------------------------------------


class _Images:
    """What the rows of one flush were before it, by watcher and key; and which attributes of an object were set."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Watcher, Mapper[Any], Key], Image] = {}
        self.before: dict[tuple[Watcher, int], tuple[Image | None, set[str]]] = {}


def _images(session: Session) -> _Images:
    found: _Images = session.info.setdefault(_IMAGES, _Images())
    return found


def _read_before(session: Session, _: UOWTransaction, __: object) -> None:
    """Reads what the rows of a flush are before it, all of one class at once: what a session holds may be outdated."""
    session.info.pop(_IMAGES, None)
    for watcher in _watching(session):
        waiting: dict[Captured, list[Key]] = {}
        for row in (*session.dirty, *session.deleted):
            state = instance_state(row)
            found = watcher.of_mapper(state.mapper)
            if found is not None and state.identity is not None and _is_touched(session, row):
                waiting.setdefault(found, []).append(state.identity)
        for captured, keys in waiting.items():
            _remember(session, watcher, captured, keys)


def _is_touched(session: Session, row: object) -> bool:
    return row in session.deleted or session.is_modified(row, include_collections=False)


def _remember(session: Session, watcher: Watcher, captured: Captured, keys: list[Key]) -> None:
    rows = _images(session).rows
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        for row in session.execute(captured.select_keys(keys[start : start + _ROWS_AT_ONCE])).mappings():
            rows[watcher, captured.mapper, captured.key(row)] = dict(row)


def _row_before(
    session: Session, connection: Connection, watcher: Watcher, captured: Captured, row: object
) -> Image | None:
    key = tuple(instance_state(row).identity or ())
    held = _images(session).rows.pop((watcher, captured.mapper, key), None)
    return held or _read(connection, captured, key)


def _read(connection: Connection, captured: Captured, key: Key) -> Image | None:
    found = connection.execute(captured.select_keys([key])).mappings().first()
    return None if found is None else dict(found)


def _before_change(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    for session, watcher, captured in _captured(row, mapper):
        image = _row_before(session, connection, watcher, captured, row)
        _images(session).before[watcher, id(row)] = image, modified_names(row)


def _after_insert(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    for session, watcher, captured in _captured(row, mapper):
        after = _image_of(connection, captured, row)
        _tell(session, watcher, captured.change(CREATED, None, after, captured.names))


def _after_update(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    for session, watcher, captured in _captured(row, mapper):
        before, modified = _images(session).before.pop((watcher, id(row)), (None, set()))
        # Another listener may have set some since; and what an expression was set to is no longer noted.
        changed = modified | modified_names(row) | renewed_names(mapper)
        names = [name for name in captured.names if name in changed]
        # One whose only changes are to collections is no change of the row.
        if before is not None and names:
            _tell(session, watcher, captured.change(UPDATED, before, _image_of(connection, captured, row), names))


def _after_delete(mapper: Mapper[Any], _: Connection, row: object) -> None:
    for session, watcher, captured in _captured(row, mapper):
        before, _modified = _images(session).before.pop((watcher, id(row)), (None, set()))
        if before is not None:
            _tell(session, watcher, captured.change(DELETED, before, None, captured.names))


def _image_of(connection: Connection, captured: Captured, row: object) -> Image:
    """Returns what an object's row is now; what the database filled in is read."""
    state = instance_state(row)
    if state.unloaded.isdisjoint(captured.names):
        return {name: state.dict[name] for name in (*captured.key_names, *captured.names)}
    found = _read(connection, captured, tuple(state.mapper.primary_key_from_instance(row)))
    if found is None:
        raise _refused(captured, "a row that the database did not keep as it was written", "Look at its triggers.")
    return found


def _tell(session: Session, watcher: Watcher, values: dict[str, Any] | None) -> None:
    if values is not None and isinstance(session, TenantSession):
        watcher.changed(session, values)


_ROW_EVENTS: Final = {
    "after_insert": _after_insert,
    "before_update": _before_change,
    "after_update": _after_update,
    "before_delete": _before_change,
    "after_delete": _after_delete,
}


# --- statements ----------------------------------------------------------------------------------------------------


def _see_statement(state: ORMExecuteState) -> Result[Any] | None:
    statement = state.statement
    if not isinstance(statement, Insert | Update | Delete):
        return None
    told = {watcher: _of_statement(watcher, state, statement.table) for watcher in _watching(state.session)}
    concerned = {watcher: found for watcher, found in told.items() if found is not None}
    return _run_watched(state, concerned) if concerned else None


def _refuse_bulk(session: TenantSession, mapper: Mapper[Any]) -> None:
    for watcher in _watching(session):
        found = watcher.of_mapper(mapper)
        if found is not None:
            raise _refused(found, "a bulk_* method", "Use session.add_all(), or change loaded objects.")


def _of_statement(watcher: Watcher, state: ORMExecuteState, table: object) -> Captured | None:
    mapper = state.bind_mapper
    return (watcher.of_mapper(mapper) if mapper is not None else None) or watcher.of_table(_plain(table))


def _plain(table: Any) -> Table:
    """Returns the table that a statement names, without what SQLAlchemy notes on it."""
    found: Table = table._deannotate() if hasattr(table, "_deannotate") else table
    return found


def _run_watched(state: ORMExecuteState, told: dict[Watcher, Captured]) -> Result[Any]:
    """Runs a bulk UPDATE or DELETE, and records each row that it changes; one that is refused has done nothing."""
    for captured in told.values():
        _check(state, captured)
    with state.session.begin_nested():
        before = {watcher: _matched(state, captured, watcher.most) for watcher, captured in told.items()}
        result, count = _counted(state.statement, state.invoke_statement())
        for watcher, captured in told.items():
            _tell_rows(state, watcher, captured, before[watcher], count)
    return result


def _tell_rows(state: ORMExecuteState, watcher: Watcher, captured: Captured, before: Rows, count: int) -> None:
    deletes = isinstance(state.statement, Delete)
    after = {} if deletes else _again(state.session, captured, list(before))
    if count != len(before) or not (deletes or before.keys() == after.keys()):
        fix = "Change loaded objects, or delete rows and add others."
        raise _refused(captured, "a statement that changes keys, or other rows than its conditions select", fix)
    for key, image in before.items():
        change = captured.change(DELETED if deletes else UPDATED, image, after.get(key), captured.names)
        _tell(state.session, watcher, change)


def _counted(statement: Any, result: Any) -> tuple[Result[Any], int]:
    """Returns a statement's result, still to be read, and how many rows it changed."""
    if not statement._returning:
        return result, result.rowcount
    rows = result.freeze()
    return rows(), len(rows.data)


def _check(state: ORMExecuteState, captured: Captured) -> None:
    statement: Any = state.statement
    if isinstance(statement, Insert):
        raise _refused(captured, "an INSERT statement", "Add objects with session.add_all() instead.")
    if isinstance(state.parameters, list):
        raise _refused(captured, "an UPDATE by a list of keys", "Change loaded objects, or use update().where(...).")
    if statement._independent_ctes:
        raise _refused(captured, "a statement with a CTE of its own", "Use a sub-select in where() instead.")


def _matched(state: ORMExecuteState, captured: Captured, most: int) -> Rows:
    statement: Any = state.statement
    wanted = captured.select().where(*statement._where_criteria).with_for_update(of=captured.mapper.class_)
    # Hidden rows are found as the statement finds them: by one on a table always, by one on a class if it asks.
    hidden = not state.is_orm_statement or bool(state.execution_options.get(INCLUDE_DELETED))
    parameters: Any = state.parameters
    options = {INCLUDE_DELETED: hidden}
    rows = state.session.execute(wanted.limit(most + 1), parameters, execution_options=options).mappings()
    found: Rows = {captured.key(row): dict(row) for row in rows}
    if len(found) > most:
        raise _refused(captured, f"a statement on more than {most} rows", "Take fewer at once.")
    return found


def _again(session: Session, captured: Captured, keys: list[Key]) -> Rows:
    found: Rows = {}
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        for row in session.execute(captured.select_keys(keys[start : start + _ROWS_AT_ONCE])).mappings():
            found[captured.key(row)] = dict(row)
    return found


def _refused(captured: Captured, statement: str, fix: str) -> CaptureRefused:
    return CaptureRefused(model=captured.mapper.class_.__name__, statement=statement, fix=fix)
