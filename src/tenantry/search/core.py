"""A search over the rows of one model: made right after the tenancy, asked through a tenant's session."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    REAL,
    ColumnElement,
    Enum,
    Executable,
    FromClause,
    Integer,
    Select,
    String,
    Subquery,
    Table,
    bindparam,
    column,
    exists,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, Session, class_mapper

from tenantry.errors import ConfigurationError, InvalidPage, SearchNotReady, SearchTextRefused
from tenantry.isolation.searching import ALIKE, FIND, SEARCH, TRIGRAMS, SearchPlan, key_of, named, plan_of
from tenantry.isolation.searching_sqlite import has_engine
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.search import files, plain
from tenantry.search.homes import install
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation

if TYPE_CHECKING:
    from tenantry.search.aio import AsyncSearch

M = TypeVar("M")

_LANGUAGE: Final = re.compile(r"[a-z][a-z_]{0,30}")
_LONGEST: Final = 2000
_MOST: Final = 10_000
_NO_FUNCTION: Final = "42883"
# What is asked of a tenant's own file, beside the functions that are asked of PostgreSQL.
_WORDS: Final = "words"
_WORDS_OR_WITHOUT: Final = "words, or rows without others"
_WIDER: Final = 8


class Found(NamedTuple, Generic[M]):
    """A row that a search found, and how well it fits: more is better, and compares within one answer only."""

    row: M
    rank: float


class Search(Generic[M]):
    """Searches the rows of *model* inside one tenant; make it right after the tenancy.

    On PostgreSQL ``install()`` adds a column and indexes to the table, and functions that search by them. A tenant's
    own SQLite file has an FTS5 index; in common tables on SQLite the rows of the tenant are read.

    Args:
        columns: the names of the columns whose words ``query`` finds.
        similar: the one that ``similar`` compares; the first of *columns* unless it is given.
        language: a text search configuration of PostgreSQL's own, such as ``english``; ``simple`` leaves words as they
            are.

    Raises: ConfigurationError for a model, columns or a language that cannot be searched, and after the tenancy has
        opened a connection.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        model: type[M],
        *,
        columns: Sequence[str],
        similar: str | None = None,
        language: str = "simple",
    ) -> None:
        self.tenancy = tenancy
        self.model = model
        self._mapper: Mapper[M] = class_mapper(model)
        self.table = _searchable(self._mapper, tenancy)
        self.plan = _plan(self.table, columns, similar, language)
        _note(tenancy, self.table, self.plan)
        self._key = self._attribute(key_of(self.table))
        self._pages: dict[str, Select[Any]] = {}
        tenancy.searches[model] = self

    def __repr__(self) -> str:
        return f"Search({self.model.__name__}, columns={list(self.plan.columns)})"

    @functools.cached_property
    def aio(self) -> AsyncSearch[M]:
        """The same for async sessions.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.search.aio import AsyncSearch  # noqa: PLC0415  # needs greenlet, which not everybody has

        return AsyncSearch(self)

    def query(
        self,
        session: TenantSession,
        text: str,
        *,
        limit: int = 20,
        offset: int = 0,
        where: Sequence[ColumnElement[bool]] = (),
    ) -> list[Found[M]]:
        """Returns the tenant's rows with the words of *text*, the best first, as far as they meet *where*.

        Words stand for rows that have all of them; ``"two words"`` that follow each other, ``or`` and ``-without`` mean
        what people expect of them.

        Raises: SearchTextRefused, InvalidPage, SearchNotReady.
        """
        _check(text, limit, offset)
        if on_postgresql(session):
            return self._by_index(session, FIND, {"wanted": text}, limit=limit, offset=offset, where=where)
        if session.tenant.isolation is Isolation.DATABASE and has_engine():
            return self._by_words(session, text, limit=limit, offset=offset, where=where)
        rank = plain.rank(text, [self._attribute(name) for name in self.plan.columns])
        if rank is None:
            return []
        found = select(self.model, rank.label("rank")).where(rank >= 0, *where)
        page = found.order_by(rank.desc(), self._key).offset(offset).limit(limit)
        return [Found(row, float(fits)) for row, fits in session.execute(page)]

    def similar(
        self,
        session: TenantSession,
        text: str,
        *,
        limit: int = 20,
        offset: int = 0,
        where: Sequence[ColumnElement[bool]] = (),
    ) -> list[Found[M]]:
        """Returns the tenant's rows whose one column is written like *text*, with faults in it too, the nearest first.

        Raises: as ``query``.
        """
        _check(text, limit, offset)
        if on_postgresql(session) and TRIGRAMS in self.tenancy.config.extensions:
            return self._by_index(session, ALIKE, {"wanted": text}, limit=limit, offset=offset, where=where)
        asked = select(self._key, self._attribute(self.plan.similar)).where(*where)
        nearest = plain.alike(text, session.execute(asked.execution_options(yield_per=1000)), limit=limit + offset)
        ranks = dict(nearest[offset:])
        rows = session.execute(select(self.model, self._key).where(self._key.in_(ranks))).all() if ranks else []
        by_key = {key: row for row, key in rows}
        return [Found(by_key[key], rank) for key, rank in ranks.items()]

    def install(self) -> int:
        """Puts the search up in every place of a tenant that stands already, and returns how many those are.

        ``tenancy.install()`` does so for common tables, and what is made later has it from the first. A table is locked
        while its column is written, and so is a file. Places that have it already are left alone.

        Raises: LoginRequired without the owner's login, or without one that lists tenants.
        """
        return install(self.tenancy, self.table)

    def _by_words(
        self, session: TenantSession, text: str, *, limit: int, offset: int, where: Sequence[ColumnElement[bool]]
    ) -> list[Found[M]]:
        if not files.is_ready(session, self.table.name):
            raise SearchNotReady(table=self.table.name)
        wanted, unwanted = files.query_of(text)
        if not unwanted:
            return self._by_index(session, _WORDS, {"wanted": wanted}, limit=limit, offset=offset, where=where)
        asked = {"wanted": wanted, "unwanted": unwanted}
        return self._by_index(session, _WORDS_OR_WITHOUT, asked, limit=limit, offset=offset, where=where)

    def _by_index(
        self,
        session: TenantSession,
        source: str,
        asked: Mapping[str, str],
        *,
        limit: int,
        offset: int,
        where: Sequence[ColumnElement[bool]],
    ) -> list[Found[M]]:
        """Asks an index for keys, and for more where too few of them are of rows that are wanted."""
        found = self._paged(source).where(*where) if where else self._paged(source)
        most = limit + offset
        while True:
            given = {**asked, "most": most}
            rows = self._answers(session, found, {**given, "page": limit, "skipped": offset})
            hits = rows[0][2] if rows else most
            if len(rows) == limit or hits < most or most > self._count(session, source, given):
                return [Found(row, float(rank)) for row, rank, _ in rows]
            most *= _WIDER

    def _paged(self, source: str) -> Select[Any]:
        """Returns the question for a page of rows, made once: it is all of Python that a search costs."""
        if source not in self._pages:
            hits = self._hits(source)
            found = select(self.model, hits.c.rank, hits.c.hits).join(hits, self._key == hits.c.id)
            page = found.order_by(hits.c.rank.desc(), self._key).limit(bindparam("page", type_=Integer()))
            self._pages[source] = page.offset(bindparam("skipped", type_=Integer()))
        return self._pages[source]

    def _hits(self, source: str) -> Subquery:
        found: FromClause
        if source in (FIND, ALIKE):
            called: Callable[..., Any] = getattr(func, named(source, self.table.name))
            asked = called(bindparam("wanted", type_=String()), bindparam("most", type_=Integer()))
            found = asked.table_valued(column("id", self._key.type), column("rank", REAL()))
        else:
            key = self.table.c[key_of(self.table)]
            found = files.hits_of(self.table.name, key, without=source == _WORDS_OR_WITHOUT).subquery("found")
        return select(found.c.id, found.c.rank, func.count().over().label("hits")).subquery("hits")

    def _count(self, session: TenantSession, source: str, given: Mapping[str, Any]) -> int:
        # Looked for in the table too: only there is it said of a tenant that it has left this place.
        counted = select(func.count(), exists(select(self._key))).select_from(self._hits(source))
        return int(self._answers(session, counted, given)[0][0])

    def _answers(self, session: TenantSession, asked: Executable, given: Mapping[str, Any]) -> Sequence[Any]:
        try:
            return session.execute(asked, given).all()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NO_FUNCTION:
                raise
            raise SearchNotReady(table=self.table.name) from error

    def _attribute(self, name: str) -> Any:
        return self._mapper.get_property_by_column(self.table.c[name]).class_attribute


def by_words(
    session: Session,
    model: type[M],
    text: str,
    *,
    limit: int,
    offset: int = 0,
    where: Sequence[ColumnElement[bool]] = (),
) -> list[M] | None:
    """Returns the rows that the ``Search`` of a model finds, the best first; None where there is none, or no text.

    Raises: as ``Search.query``.
    """
    tenancy: Tenancy | None = session.info.get("tenancy")
    search: Search[M] | None = tenancy.searches.get(model) if tenancy is not None else None
    if search is None or not text.strip() or not isinstance(session, TenantSession):
        return None
    return [found.row for found in search.query(session, text, limit=limit, offset=offset, where=where)]


def _check(text: str, limit: int, offset: int) -> None:
    if not 0 <= limit <= _MOST or not 0 <= offset <= _MOST:
        raise InvalidPage(reason=f"limit={limit}, offset={offset}: both are numbers from 0 to {_MOST}.")
    if "\0" in text or len(text) > _LONGEST:
        raise SearchTextRefused(reason=f"it is longer than {_LONGEST} characters, or holds a NUL.")


def _searchable(mapper: Mapper[Any], tenancy: Tenancy) -> Table:
    table = mapper.local_table
    known = isinstance(table, Table) and tenancy.metadata.tables.get(table.key) is table
    if not known or not isinstance(table, Table) or not is_walled(table):
        raise _unfit(mapper.class_.__name__, "is no model of this tenancy's whose rows are a tenant's")
    if len(set(table.primary_key.columns.keys()) - {TENANT_COLUMN}) != 1:
        raise _unfit(mapper.class_.__name__, "has not one column that tells a tenant's rows apart")
    return table


def _plan(table: Table, columns: Sequence[str], similar: str | None, language: str) -> SearchPlan:
    chosen = tuple(dict.fromkeys(columns))
    compared = similar or next(iter(chosen), "")
    if isinstance(columns, str) or not chosen:
        raise _unfit(table.name, "is given no list of columns")
    if unfit := sorted(name for name in {*chosen, compared} if not _is_text(table, name)):
        raise _unfit(table.name, f"has no column {unfit[0]!r} that holds text")
    if not _LANGUAGE.fullmatch(language):
        raise _unfit(table.name, f"cannot be searched in {language!r}, which is no name of a language")
    return SearchPlan(chosen, language, compared)


def _is_text(table: Table, name: str) -> bool:
    found = table.columns.get(name)
    # What a type of one's own writes is not what the database reads.
    return found is not None and isinstance(found.type, String) and not isinstance(found.type, Enum)


def _unfit(what: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        what=f"{what} {reason}.", fix="Give Search a model of a tenant's rows, and the names of its columns of text."
    )


def _note(tenancy: Tenancy, table: Table, plan: SearchPlan) -> None:
    if plan_of(table) == plan:
        return
    if any(server.engines.opened for server in tenancy.servers.all()):
        raise ConfigurationError(
            what=f"The search of {table.name} was made after its tenancy had opened a connection.",
            fix="Make it right after the Tenancy: search = Search(tenancy, ...).",
        )
    if plan_of(table) is not None:
        raise ConfigurationError(
            what=f"{table.name} is searched otherwise already: {plan_of(table)}.", fix="Make one Search of a model."
        )
    table.info[SEARCH] = plan
