"""The store in the tenants' own places: a walled table, searched by pgvector where there is one, else by numpy."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Float, Index, Select, String, delete, func, insert, literal, select
from sqlalchemy.dialects import postgresql

from tenantry.errors import ConfigurationError
from tenantry.models import TENANT_COLUMN, JSONDocument, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.vectors.columns import Embedding, as_vector
from tenantry.vectors.filters import conditions
from tenantry.vectors.protocols import Hit, Record, Where
from tenantry.vectors.values import spelled

EXTENSION: Final = "vector"
EXACT_UP_TO: Final = 10_000
# What an HNSW index of pgvector's takes.
MOST_INDEXED: Final = 2000
_ROWS_AT_ONCE: Final = 1000
_SETTINGS: Final = {"hnsw.iterative_scan": "strict_order", "hnsw.ef_search": "100"}


class TableStore:
    """Keeps vectors beside the rows, behind the same wall, in the same transactions, archives and moves.

    Where the tenancy's Config has ``extensions=("vector",)`` PostgreSQL's tables are pgvector's; a search of a tenant
    with more than *exact_up_to* records goes by the HNSW index, and every other one compares all the tenant has.
    *native* says otherwise: False keeps bytes where pgvector is, too.

    Raises: as ``Tenancy.table``, and ConfigurationError for a table with vectors of other dimensions.
    """

    beside_rows = True

    def __init__(
        self,
        tenancy: Tenancy,
        table: str,
        *,
        dimensions: int,
        index: bool = True,
        exact_up_to: int = EXACT_UP_TO,
        native: bool | None = None,
    ) -> None:
        wanted = EXTENSION in tenancy.config.extensions if native is None else native
        self._dimensions = dimensions
        self._exact_up_to = exact_up_to
        made = table not in tenancy.metadata.tables
        self.table = tenancy.table(
            table,
            Column("key", String(255), primary_key=True),
            Column("embedding", Embedding(dimensions, native=wanted), nullable=False),
            Column("metadata", JSONDocument, nullable=False),
            Column("content_hash", String(64), nullable=False),
            Column("updated_at", UTCDateTime, nullable=False),
            behaviour="Vectors",
        )
        # Another tenancy of the same models may have declared it before.
        kept: Any = self.table.c.embedding.type
        if kept.dimensions != dimensions:
            raise ConfigurationError(
                what=f"The table {table!r} holds vectors of {kept.dimensions} dimensions, not of {dimensions}.",
                fix="Give these another name.",
            )
        self.native: bool = kept.native
        self.indexed = index and self.native and dimensions <= MOST_INDEXED
        if made and self.indexed:
            self._add_index()

    def __repr__(self) -> str:
        return f"TableStore({self.table.name!r})"

    def put(self, session: TenantSession, records: Sequence[Record]) -> None:
        """Keeps the records with the caller's transaction."""
        if not records:
            return
        if on_postgresql(session):
            self._upsert(session, records)
            return
        self.delete(session, [record.key for record in records])
        session.execute(insert(self.table), [self._row(session, record) for record in records])

    def delete(self, session: TenantSession, keys: Collection[str]) -> None:
        """Removes records with the caller's transaction."""
        for part in _parts(keys):
            session.execute(delete(self.table).where(self._mine(session), self.table.c.key.in_(part)))

    def known(self, session: TenantSession, keys: Collection[str] | None = None) -> dict[str, str]:
        """Returns the content hashes of the tenant's records, of all or of those with these keys."""
        columns = self.table.c
        found = select(columns.key, columns.content_hash).where(self._mine(session))
        asked = [found] if keys is None else [found.where(columns.key.in_(part)) for part in _parts(keys)]
        return {row.key: row.content_hash for each in asked for row in session.execute(each)}

    def search(self, session: TenantSession, vector: bytes, *, limit: int, where: Where) -> list[Hit]:
        """Returns the tenant's nearest records that meet *where*, the nearest first.

        Raises: SearchRefused, and ExtraMissing without numpy where pgvector does not compare.
        """
        narrowed = conditions(self.table.c["metadata"], where, postgresql=on_postgresql(session))
        mine = [self._mine(session), *narrowed]
        if not (self.native and on_postgresql(session)):
            return self._compared_here(session, mine, vector, limit)
        if self.indexed and self._is_large(session):
            hits = self._by_index(session, mine, vector, limit)
            # An index that is walked in vain for a rare value gives up; what it did not find may be there.
            if len(hits) == limit:
                return hits
        return self._compared_there(session, mine, vector, limit)

    def forget(self, _tenant: uuid.UUID) -> int:
        """Returns nought: the table went with the rest of the tenant's."""
        return 0

    def _add_index(self) -> None:
        name = f"ix_{self.table.name}_embedding"
        kind: dict[str, Any] = {"postgresql_using": "hnsw", "postgresql_ops": {"embedding": "vector_ip_ops"}}
        Index(name, self.table.c.embedding, **kind).ddl_if(dialect="postgresql")

    def _mine(self, session: TenantSession) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = self.table.c[TENANT_COLUMN] == session.tenant.id
        return mine

    def _row(self, session: TenantSession, record: Record) -> dict[str, Any]:
        return {
            TENANT_COLUMN: session.tenant.id,
            "key": record.key,
            "embedding": record.vector,
            "metadata": dict(record.metadata),
            "content_hash": record.content_hash,
            "updated_at": utc_now(),
        }

    def _upsert(self, session: TenantSession, records: Sequence[Record]) -> None:
        rows = [self._row(session, record) for record in records]
        if self.native:
            for row in rows:
                row["embedding"] = as_vector(literal(spelled(row["embedding"])), self._dimensions)
        columns = self.table.c
        for first in range(0, len(rows), 100):
            added = postgresql.insert(self.table).values(rows[first : first + 100])
            changed = {name: added.excluded[name] for name in rows[0] if name not in (TENANT_COLUMN, "key")}
            key = [columns[TENANT_COLUMN], columns.key]
            session.execute(added.on_conflict_do_update(index_elements=key, set_=changed))

    def _is_large(self, session: TenantSession) -> bool:
        """Returns whether the tenant has so much that the index pays, and readies it for this transaction."""
        some = select(literal(1)).select_from(self.table).where(self._mine(session)).limit(self._exact_up_to + 1)
        counted = select(func.count()).select_from(some.subquery()).scalar_subquery()
        settings = (func.set_config(name, value, True) for name, value in _SETTINGS.items())
        return int(session.execute(select(counted, *settings)).one()[0]) > self._exact_up_to

    def _distances(self, vector: bytes, mine: Sequence[ColumnElement[bool]]) -> tuple[Select[Any], ColumnElement[Any]]:
        columns = self.table.c
        wanted = as_vector(literal(spelled(vector)), self._dimensions)
        distance = columns.embedding.op("<#>", return_type=Float())(wanted)
        return select(columns.key, columns["metadata"], distance.label("distance")).where(*mine), distance

    def _by_index(
        self, session: TenantSession, mine: Sequence[ColumnElement[bool]], vector: bytes, limit: int
    ) -> list[Hit]:
        found, distance = self._distances(vector, mine)
        return _hits(session.execute(found.order_by(distance).limit(limit)))

    def _compared_there(
        self, session: TenantSession, mine: Sequence[ColumnElement[bool]], vector: bytes, limit: int
    ) -> list[Hit]:
        # Out of the index's reach, which would skip some of a tenant among many.
        compared = self._distances(vector, mine)[0].cte("compared").prefix_with("MATERIALIZED")
        return _hits(session.execute(select(compared).order_by(compared.c.distance, compared.c.key).limit(limit)))

    def _compared_here(
        self, session: TenantSession, mine: Sequence[ColumnElement[bool]], vector: bytes, limit: int
    ) -> list[Hit]:
        from tenantry.vectors.exact import nearest  # noqa: PLC0415  # needs numpy, and pgvector does not

        columns = self.table.c
        found = session.execute(
            select(columns.key, columns.embedding).where(*mine).execution_options(yield_per=_ROWS_AT_ONCE)
        )
        scores = {key: score for score, key in nearest(found.partitions(), vector, limit=limit)}
        of_these = select(columns.key, columns["metadata"]).where(self._mine(session), columns.key.in_(scores))
        metadata = {row[0]: row[1] for row in session.execute(of_these)} if scores else {}
        return [Hit(key, score, metadata[key]) for key, score in scores.items()]


def _parts(keys: Collection[str]) -> Iterator[list[str]]:
    several = list(keys)
    for first in range(0, len(several), _ROWS_AT_ONCE):
        yield several[first : first + _ROWS_AT_ONCE]


def _hits(rows: Any) -> list[Hit]:
    found: Iterator[Hit] = (Hit(row.key, -float(row.distance), row.metadata) for row in rows)
    return sorted(found, key=lambda hit: (-hit.score, hit.key))
