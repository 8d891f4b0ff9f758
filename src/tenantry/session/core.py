"""A SQLAlchemy Session that is bound to one tenant for life."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, SessionTransaction, UOWTransaction
from sqlalchemy.orm.util import LoaderCriteriaOption

from tenantry.errors import (
    CrossTenant,
    OutcomeUnknown,
    SessionBoundForLife,
    SessionInUse,
    StatementRefused,
    TransactionModeRefused,
)
from tenantry.isolation.binding import Binding
from tenantry.isolation.hooks import enter
from tenantry.models import TENANT_COLUMN, is_walled, stamp
from tenantry.session.appending import check_appending, refuse_append_only
from tenantry.session.criteria import takes_criteria
from tenantry.session.guard import unscoped_part
from tenantry.types import Tenant

try:
    from greenlet import getcurrent as _current
except ImportError:  # without greenlet there is no async door, and threads are all there is
    _current = threading.get_ident

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")
S = TypeVar("S", bound="BoundSession")

_WHOLE_KEY: Final = (tuple, list)


def alone(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Lets one task or thread at a time through *method*; what it calls itself passes."""

    @functools.wraps(method)
    def one_user(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        caller = _current()
        user = self._user
        if user is caller or user == caller:
            return method(self, *args, **kwargs)
        if user is not None:
            raise SessionInUse
        self._user = caller
        try:
            return method(self, *args, **kwargs)
        finally:
            self._user = None

    return one_user


class BoundSession(Session):
    """A session that keeps its engine for life and refuses two users at once: tenants', operators', the platform's."""

    _user: object = None

    def __init__(self, bind: Engine, *, binding: Binding, **options: Any) -> None:
        if options.get("twophase"):
            raise TransactionModeRefused(mode="A two-phase transaction", fix="Use one ordinary transaction per tenant.")
        options.setdefault("expire_on_commit", False)
        super().__init__(bind, **options)
        self._engine = bind
        self._binding = binding

    def get_bind(self, *_: Any, bind: Any = None, **__: Any) -> Engine:
        """Returns the engine the session was opened with.

        Raises: SessionBoundForLife for any other.
        """
        if bind is not None and bind is not self._engine:
            raise SessionBoundForLife
        return self._engine

    def bind_transaction(self, connection: Connection) -> None:
        """Begins the transaction of *connection* with what this session is bound to."""
        enter(connection, self._binding)

    @alone
    def _execute_internal(self, *args: Any, **kwargs: Any) -> Any:
        # The one door that execute(), scalars(), scalar(), lazy loads and refreshes pass.
        return super()._execute_internal(*args, **kwargs)

    @alone
    def flush(self, objects: Any = None) -> None:
        super().flush(objects)

    @alone
    def commit(self) -> None:
        """Commits the transaction.

        Raises: OutcomeUnknown when the connection was lost while the database was confirming.
        """
        try:
            super().commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise OutcomeUnknown(action="a commit") from error
            raise

    @alone
    def rollback(self) -> None:
        super().rollback()


class TenantSession(BoundSession):
    """A session of one tenant: gives new objects its ``tenant_id``, refuses foreign ones, sees its rows alone."""

    # Asked before SQLAlchemy's bulk_* methods, which pass no event.
    before_bulk: ClassVar[list[Callable[[TenantSession, Mapper[Any]], None]]] = []

    def __init__(
        self,
        bind: Engine,
        *,
        tenant: Tenant,
        binding: Binding,
        criteria: LoaderCriteriaOption,
        walled: bool,
        **options: Any,
    ) -> None:
        super().__init__(bind, binding=binding, **options)
        self.info["tenant"] = tenant
        self._tenant = tenant
        self._criteria = criteria
        self._walled = walled
        self._by_key = False
        if not walled:
            event.listen(self, "do_orm_execute", self.scope)

    def __repr__(self) -> str:
        return f"<TenantSession of {self._tenant.slug!r} ({self._tenant.id})>"

    @property
    def tenant(self) -> Tenant:
        """The tenant this session belongs to."""
        return self._tenant

    def get(self, entity: type[E] | Mapper[E], ident: Any, **options: Any) -> E | None:
        """Returns the row with this own id, or None; a row of another tenant is None, like a missing one."""
        self._by_key, before = True, self._by_key
        try:
            return super().get(entity, self._whole_key(entity, ident), **options)
        finally:
            self._by_key = before

    def get_one(self, entity: type[E] | Mapper[E], ident: Any, **options: Any) -> E:
        """Returns the row with this own id.

        Raises: sqlalchemy.exc.NoResultFound for a missing row and a row of another tenant alike.
        """
        return super().get_one(entity, self._whole_key(entity, ident), **options)

    def refresh(self, instance: object, *args: Any, **options: Any) -> None:
        """Reads the row of *instance* anew."""
        self._by_key, before = True, self._by_key
        try:
            super().refresh(instance, *args, **options)
        finally:
            self._by_key = before

    def _whole_key(self, entity: Any, ident: Any) -> Any:
        width = _key_widths.get(entity)
        if width is None:
            width = _key_widths[entity] = _key_width(entity)
        if not width:
            return ident
        if isinstance(ident, Mapping):
            return {TENANT_COLUMN: self._tenant.id, **ident}
        parts = tuple(ident) if isinstance(ident, _WHOLE_KEY) else (ident,)
        return parts if len(parts) == width else (self._tenant.id, *parts)

    def _execute_internal(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if getattr(statement, "is_dml", False):
            check_appending(statement)
        # No event: that costs 2 % of a short read. A load by the whole key holds the predicate already.
        if self._walled and not self._by_key and takes_criteria(statement, params):
            statement = statement.options(self._criteria)
        return super()._execute_internal(statement, params, **options)

    def scope(self, state: ORMExecuteState) -> None:
        """Adds the tenant's predicate to an ORM statement where no wall stands behind it, and refuses what has none.

        Raises: StatementRefused.
        """
        scoped = state.is_orm_statement and not state.is_insert and not isinstance(state.parameters, list)
        if not (scoped and (state.is_select or state.is_update or state.is_delete)) or state.is_from_statement:
            self._refuse_unwalled(f"a statement of kind {type(state.statement).__name__}")
        by_key = self._by_key or state.is_column_load
        if not (by_key or state.is_relationship_load) and (part := unscoped_part(state.statement)):
            self._refuse_unwalled(part)
        if scoped:
            state.statement = state.statement.options(self._criteria)

    def connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Returns the session's connection, whose statements the wall in the database keeps inside the tenant.

        Raises: StatementRefused where no wall stands.
        """
        self._refuse_unwalled("a statement on the connection itself")
        return super().connection(*args, **kwargs)

    def _bulk_save_mappings(self, mapper: Any, mappings: Any, **options: Any) -> None:
        # Behind bulk_save_objects, bulk_insert_mappings and bulk_update_mappings, which pass no event.
        self._refuse_unwalled("a bulk_* method")
        for ask in self.before_bulk:
            ask(self, inspect(mapper).mapper)
        for table in inspect(mapper).tables if options["isupdate"] else ():
            refuse_append_only(table, "a bulk UPDATE")
        super()._bulk_save_mappings(mapper, mappings, **options)

    def _refuse_unwalled(self, statement: str) -> None:
        if not self._walled:
            raise StatementRefused(statement=statement, tenant=self._tenant.id)

    def adopt(self, instance: object) -> None:
        """Gives an object that has no tenant this session's.

        Raises: CrossTenant for an object of another tenant.
        """
        if not stamp(instance, self._tenant.id):
            raise CrossTenant(model=type(instance).__name__, tenant=self._tenant.id)


_key_widths: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()


def _key_width(entity: Any) -> int:
    """Returns how many columns the key of a walled entity has, the tenant's included, and nought for any other."""
    mapper: Mapper[Any] = inspect(entity).mapper
    walled = is_walled(mapper.local_table)  # type: ignore[arg-type]  # mapped to a Table wherever it is walled
    return len(mapper.primary_key) if walled else 0


@event.listens_for(BoundSession, "after_begin")
def _bind(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    # A savepoint stands inside a transaction that is bound already.
    if isinstance(session, BoundSession) and not transaction.nested:
        session.bind_transaction(connection)


@event.listens_for(TenantSession, "before_attach")
def _adopt_attached(session: Session, instance: object) -> None:
    if isinstance(session, TenantSession):
        session.adopt(instance)


@event.listens_for(TenantSession, "before_flush")
def _adopt_flushed(session: Session, _: UOWTransaction, __: object) -> None:
    if isinstance(session, TenantSession):
        for instance in (*session.new, *session.dirty):
            session.adopt(instance)


def tenant_id_of(session: Session) -> uuid.UUID | None:
    """Returns the tenant a session is bound to, or None for a session that belongs to no tenant."""
    tenant = session.info.get("tenant")
    return tenant.id if isinstance(tenant, Tenant) else None
