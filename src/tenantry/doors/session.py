"""A session that is not bound yet: the first tenant that is named in it binds it for life."""

from __future__ import annotations

import secrets
from typing import Any, TypeVar

from sqlalchemy import ColumnClause, Select, event, inspect
from sqlalchemy.engine import Connection, Engine, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import InstrumentedAttribute, Mapper, Session, SessionTransaction

from tenantry.doors.naming import Names, Wanted
from tenantry.doors.ways import Way
from tenantry.errors import CrossTenant, InvalidKey, TenantExists, TenantNotFound, TenantRequired
from tenantry.models import is_walled
from tenantry.provision.creating import Begun
from tenantry.session.core import TenantSession, alone
from tenantry.session.hiding import HidingSession, session_kind
from tenantry.session.routes import Route
from tenantry.types import Isolation, Tenant, TenantKey

E = TypeVar("E")


class LateSession(TenantSession):
    """A session that has no tenant until one is named; then it is that tenant's like any other.

    A tenant is named by its id or a unique identity in a statement's criteria or a key, and by an object that is added:
    one that has a tenant, or a new record, whose tenant is then made. Anything else raises TenantRequired.
    """

    def __init__(
        self,
        bind: None = None,
        *,
        way: Way,
        names: Names,
        isolation: Isolation | None = None,
        server: str | None = None,
        **options: Any,
    ) -> None:
        # What a bound session is made with comes when its tenant is known.
        options.setdefault("expire_on_commit", False)
        Session.__init__(self, bind, **options)
        self._way = way
        self._names = names
        self._place = isolation, server
        self._bound = False
        self._claimed: TenantKey | None = None
        self._begun: Begun | None = None
        self._committed = False
        self._by_key = False

    def __repr__(self) -> str:
        return super().__repr__() if self._bound else f"<{type(self).__name__} of no tenant yet>"

    @property
    def tenant(self) -> Tenant:
        """The tenant this session belongs to.

        Raises: TenantRequired while there is none.
        """
        if not self._bound:
            raise TenantRequired
        return self._tenant

    def get_bind(self, *args: Any, **options: Any) -> Engine:
        """Returns the engine of the session's tenant: whatever needs a connection asks here for it.

        Raises: TenantRequired while there is none; SessionBoundForLife.
        """
        self._settle()
        return super().get_bind(*args, **options)

    def connection(self, *args: Any, **options: Any) -> Connection:
        """Returns the session's connection.

        Raises: TenantRequired while there is no tenant; StatementRefused where no wall stands.
        """
        self._settle()
        return super().connection(*args, **options)

    @alone
    def get(self, /, entity: type[E] | Mapper[E], ident: Any, **options: Any) -> E | None:
        """Returns the row with this key, or None; a key that names a tenant binds the session to it.

        Raises: TenantRequired for another key while there is no tenant.
        """
        if not self._bound and not self._reach(self._names.of_key(entity, ident)):
            return None
        return super().get(entity, ident, **options)

    @alone
    def get_one(self, /, entity: type[E] | Mapper[E], ident: Any, **options: Any) -> E:
        """Returns the row with this key.

        Raises: as ``get``, and sqlalchemy.exc.NoResultFound.
        """
        if not self._bound and not self._reach(self._names.of_key(entity, ident)):
            raise NoResultFound("No row was found when one was required")
        return super().get_one(entity, ident, **options)

    @alone
    def _execute_internal(self, /, statement: Any, params: Any = None, **options: Any) -> Any:
        if not self._bound:
            key = self._names.of_statement(statement, params)
            if not self._reach(key):
                return _nothing(statement, key, scalar=options.get("_scalar_result", False))
        return super()._execute_internal(statement, params, **options)

    @alone
    def flush(self, objects: Any = None) -> None:
        """Writes what is pending, and makes the tenant of a new record.

        Raises: TenantRequired for objects of no tenant.
        """
        if not self._bound and (self.new or self.dirty or self.deleted):
            self._settle_pending()
        super().flush(objects)

    def adopt(self, instance: object) -> None:
        """Gives an object that has no tenant this session's, once there is one; one that has a tenant names it.

        Raises: CrossTenant for an object of another tenant; TenantRequired for one that no tenant can own.
        """
        if self._bound:
            super().adopt(instance)
            return
        if not is_walled(inspect(instance, raiseerr=True).mapper.local_table):
            raise TenantRequired
        key = self._names.of_row(instance)
        if key is not None and self._claimed not in (None, key):
            raise CrossTenant(model=type(instance).__name__, tenant=self._claimed)
        self._claimed = self._claimed or key

    def _bulk_save_mappings(self, mapper: Any, mappings: Any, **options: Any) -> None:
        self._settle()
        super()._bulk_save_mappings(mapper, mappings, **options)

    def _reach(self, key: TenantKey | None) -> bool:
        """Binds the session to the tenant that *key* finds, unless something else named one, and says if it is there.

        Raises: TenantRequired without a key.
        """
        if self._claimed is None and any(map(self._names.is_record, self.new)):
            self._autoflush()
        if self._bound:
            return True
        wanted = self._claimed or key
        if wanted is None:
            raise TenantRequired
        try:
            self._take(self._way.route(wanted))
        except (TenantNotFound, InvalidKey):
            return False
        return True

    def _settle(self) -> None:
        if self._bound:
            return
        if self._claimed is None:
            raise TenantRequired
        self._take(self._way.route(self._claimed))

    def _settle_pending(self) -> None:
        records = [row for row in self.new if self._names.is_record(row)]
        if self._claimed is None and len(records) == 1:
            self._begin_tenant(self._names.wanted(records[0]))
        else:
            self._settle()

    def _take(self, route: Route) -> None:
        self._engine = self._way.engine(route)
        self._binding, self._criteria = route.binding, route.criteria
        self._walled = route.strategy.walled
        self._tenant = self.info["tenant"] = route.tenant
        self._bound = True
        if not self._walled:
            event.listen(self, "do_orm_execute", self.scope)

    def _begin_tenant(self, wanted: Wanted) -> None:
        """Makes the tenant of a new record, into which nobody else is let before this transaction commits."""
        self._begun, self._committed = self._way.run(lambda: self._begin(wanted)), False
        tenant = self._begun.tenant
        self._take(Route(tenant, self._way.tenancy.servers.strategy_of(tenant)))

    def _begin(self, wanted: Wanted) -> Begun:
        isolation, server = self._place
        options: Any = {"isolation": isolation, "server": server, "identities": wanted.identities, "name": wanted.name}
        try:
            return self._way.tenancy.tenants.begin(wanted.slug, **options)
        except TenantExists:
            # Names may repeat; what finds the tenant is its identity.
            return self._way.tenancy.tenants.begin(f"{wanted.slug}-{secrets.token_hex(4)}", **options)

    def note_commit(self) -> None:
        """Takes note that a transaction was committed, unless it was a savepoint."""
        self._committed = self._committed or not self.in_nested_transaction()

    def end_tenant(self) -> None:
        """Opens a tenant that was made in the transaction that has ended, or removes it."""
        if self._begun is None:
            return
        begun, self._begun = self._begun, None
        if self._committed:
            self._tenant = self.info["tenant"] = self._way.run(begun.finish)
            self._way.tenancy.router.forget(self._tenant)
        else:
            self._let_go()
            self._way.run(begun.abandon)

    def _let_go(self) -> None:
        # Its tenant was never there: what is tried again names another, and finds nothing that was loaded before.
        self.expunge_all()
        if not self._walled:
            event.remove(self, "do_orm_execute", self.scope)
        self._bound, self._claimed = False, None
        del self.info["tenant"]


@event.listens_for(LateSession, "after_commit")
def _note_commit(session: Session) -> None:
    if isinstance(session, LateSession):
        session.note_commit()


@event.listens_for(LateSession, "after_transaction_end")
def _end_tenant(session: Session, transaction: SessionTransaction) -> None:
    # Its connections have gone back by now.
    if isinstance(session, LateSession) and transaction.parent is None:
        session.end_tenant()


class HidingLateSession(LateSession, HidingSession):
    """The same for models with SoftDelete."""


def late_kind() -> type[LateSession]:
    """Returns the class of late sessions for the models of this process."""
    return HidingLateSession if issubclass(session_kind(), HidingSession) else LateSession


def _nothing(statement: Any, key: TenantKey | None, *, scalar: bool) -> Any:
    """Returns the rows of a tenant that does not exist: none, like those of any row that is not there.

    Raises: TenantNotFound for what would have an answer without rows, such as a count, and for writes.
    """
    described = statement.column_descriptions if isinstance(statement, Select) else []
    if not described or not all(_reads_rows(each["expr"]) for each in described):
        raise TenantNotFound(key=key)
    names = [each["name"] for each in described]
    return None if scalar else IteratorResult(SimpleResultMetaData(names), iter(()))


def _reads_rows(expression: Any) -> bool:
    found = inspect(expression, raiseerr=False)
    return isinstance(expression, InstrumentedAttribute | ColumnClause) or getattr(found, "is_mapper", False)
