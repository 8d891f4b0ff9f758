"""Somebody who may write the database as its superuser, and twelve things they might do to a chain."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, delete, func, insert, make_url, select, text, update

from tenantry.audit import Audit
from tenantry.audit.digests import content_digest, entry_digest
from tenantry.audit.entries import NAMES
from tenantry.models.append_only import trigger_names
from tenantry.types import Tenant

ASIDE = 10_000_000


class Forger:
    """Changes one tenant's chain past every guard, and puts it back."""

    def __init__(self, url: str, audit: Audit, tenant: Tenant) -> None:
        self.tables = audit.recorder.tables
        self.keys = audit.recorder.keys
        self.tenant = tenant
        self._engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg" if "postgres" in url else "sqlite")
        )
        self._log = self.tables.entries.name
        spelled = tenant.id.hex if url.startswith("sqlite") else str(tenant.id)
        self._mine = f"tenant_id = '{spelled}'"
        self._touched: list[tuple[int, int]] = []
        with self.writing() as connection:
            connection.execute(text(f"CREATE TABLE pristine_log AS SELECT * FROM {self._log} WHERE {self._mine}"))
            connection.execute(text(f"CREATE TABLE pristine_head AS SELECT * FROM audit_heads WHERE {self._mine}"))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
                connection.execute(text("SET LOCAL search_path = public"))
            for name in trigger_names(self._log) if connection.dialect.name == "sqlite" else ():
                connection.execute(text(f'DROP TRIGGER IF EXISTS "{name}"'))
            yield connection

    def restore(self) -> None:
        """Puts back what was there before."""
        with self.writing() as connection:
            for first, last in self._touched:
                self._delete(connection, first, last)
            # A place may have been touched twice.
            places = " OR ".join(f"seq BETWEEN {first} AND {last}" for first, last in self._touched) or "false"
            back = f"SELECT * FROM pristine_log WHERE {places}"
            connection.execute(text(f"INSERT INTO {self._log} {back}"))
            connection.execute(text(f"DELETE FROM audit_heads WHERE {self._mine}"))
            connection.execute(text("INSERT INTO audit_heads SELECT * FROM pristine_head"))
        self._touched.clear()

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *_: object) -> None:
        with self.writing() as connection:
            for name in ("pristine_log", "pristine_head"):
                connection.execute(text(f"DROP TABLE {name}"))
        self._engine.dispose()

    # --- what the mutations are made of ------------------------------------------------------------------------

    def rows(self, connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
        entries = self.tables.entries
        wanted = select(*(entries.c[name] for name in NAMES)).where(self._own(), entries.c.seq.between(first, last))
        return [dict(row) for row in connection.execute(wanted.order_by(entries.c.seq)).mappings()]

    def length(self, connection: Connection) -> int:
        return connection.scalar(select(func.max(self.tables.entries.c.seq)).where(self._own())) or 0

    def change(self, connection: Connection, place: int, **values: Any) -> None:
        entries = self.tables.entries
        self._touched += [(seq, seq) for seq in {place, values.get("seq", place)}]
        connection.execute(update(entries).where(self._own(), entries.c.seq == place).values(**values))

    def cut(self, connection: Connection, first: int, last: int) -> None:
        self._touched.append((first, last))
        self._delete(connection, first, last)

    def _delete(self, connection: Connection, first: int, last: int) -> None:
        entries = self.tables.entries
        connection.execute(delete(entries).where(self._own(), entries.c.seq.between(first, last)))

    def add(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        self._touched.append((rows[0]["seq"], rows[-1]["seq"]))
        connection.execute(insert(self.tables.entries), rows)

    def move_head(self, connection: Connection, row: dict[str, Any]) -> None:
        moved = {name: row[name] for name in ("seq", "digest", "recorded_at")}
        connection.execute(update(self.tables.heads).where(self.tables.own_head(self.tenant.id)).values(moved))

    def rewrite(self, connection: Connection, rows: list[dict[str, Any]], key_id: str | None = None) -> None:
        """Makes a chain of *rows* that follows what stands before them, and puts it in their place."""
        first = rows[0]["seq"]
        previous = self.rows(connection, first - 1, first - 1)[0]["digest"] if first > 1 else "0" * 64
        for row in rows:
            row["key_id"] = row["key_id"] if key_id is None else key_id
            row["content_digest"] = content_digest(row)
            row["previous_digest"] = previous
            row["digest"] = previous = entry_digest(self.keys, self.tenant.id, row)
        self.cut(connection, first, self.length(connection))
        self.add(connection, rows)
        self.move_head(connection, rows[-1])

    def _own(self) -> Any:
        return self.tables.entries.c.tenant_id == self.tenant.id


def _somewhere(forger: Forger, connection: Connection, chance: random.Random) -> int:
    return chance.randint(2, forger.length(connection) - 1)


def _edit_text(forger: Forger, connection: Connection, chance: random.Random) -> None:
    forger.change(connection, _somewhere(forger, connection, chance), description="Nothing was done")


def _edit_changes(forger: Forger, connection: Connection, chance: random.Random) -> None:
    (row,) = forger.rows(connection, seq := _somewhere(forger, connection, chance), seq)
    forger.change(connection, seq, changes={**row["changes"], "amount": {"before": 1, "after": 2.25}})


def _edit_actor(forger: Forger, connection: Connection, chance: random.Random) -> None:
    forger.change(connection, _somewhere(forger, connection, chance), actor="somebody else")


def _backdate(forger: Forger, connection: Connection, chance: random.Random) -> None:
    (row,) = forger.rows(connection, seq := _somewhere(forger, connection, chance), seq)
    earlier = row["recorded_at"] - datetime.timedelta(microseconds=chance.randint(1, 1_000_000))
    forger.change(connection, seq, recorded_at=earlier)


def _delete(forger: Forger, connection: Connection, chance: random.Random) -> None:
    first = _somewhere(forger, connection, chance)
    last = min(first + chance.randint(0, 3), forger.length(connection) - 1)
    forger.cut(connection, first, last)


def _cut_beginning(forger: Forger, connection: Connection, chance: random.Random) -> None:
    forger.cut(connection, 1, _somewhere(forger, connection, chance))


def _insert(forger: Forger, connection: Connection, chance: random.Random) -> None:
    place, length = _somewhere(forger, connection, chance), forger.length(connection)
    (row,) = forger.rows(connection, place, place)
    later = forger.rows(connection, place, length)
    forged = {**row, "id": Forged.id(chance), "description": "This was done too"}
    forger.cut(connection, place, length)
    forger.add(connection, [forged, *({**row, "seq": row["seq"] + 1} for row in later)])
    forger.move_head(connection, {**later[-1], "seq": length + 1})


def _swap_entries(forger: Forger, connection: Connection, chance: random.Random) -> None:
    one, other = chance.sample(range(2, forger.length(connection)), 2)
    for seq, to in ((one, ASIDE), (other, one), (ASIDE, other)):
        forger.change(connection, seq, seq=to)


def _swap_digests(forger: Forger, connection: Connection, chance: random.Random) -> None:
    one, other = chance.sample(range(2, forger.length(connection)), 2)
    (first,), (second,) = forger.rows(connection, one, one), forger.rows(connection, other, other)
    for seq, row in ((one, second), (other, first)):
        forger.change(connection, seq, digest=row["digest"], previous_digest=row["previous_digest"])


def _cut_tail(forger: Forger, connection: Connection, chance: random.Random) -> None:
    length = forger.length(connection)
    forger.cut(connection, length - chance.randint(0, 20), length)


def _cut_tail_and_move_head(forger: Forger, connection: Connection, chance: random.Random) -> None:
    last = chance.randint(2, forger.length(connection) - Forged.since_anchor - 1)
    forger.cut(connection, last + 1, forger.length(connection))
    forger.move_head(connection, forger.rows(connection, last, last)[0])


def _rewrite(forger: Forger, connection: Connection, chance: random.Random) -> None:
    length = forger.length(connection)
    first = length - Forged.since_anchor - chance.randint(0, 50)
    rows = forger.rows(connection, first, length)
    rows[0]["description"] = "Nothing was done"
    forger.rewrite(connection, rows)


class Forged:
    """How many entries the chains here have after their last anchor, and ids that nobody has."""

    since_anchor = 30

    @staticmethod
    def id(chance: random.Random) -> uuid.UUID:
        return uuid.UUID(int=chance.getrandbits(128), version=4)


Mutation = Callable[[Forger, Connection, random.Random], None]

MUTATIONS: dict[str, Mutation] = {
    "text edited": _edit_text,
    "changes edited": _edit_changes,
    "actor replaced": _edit_actor,
    "entry backdated": _backdate,
    "entries deleted": _delete,
    "beginning cut": _cut_beginning,
    "entry inserted": _insert,
    "entries swapped": _swap_entries,
    "digests swapped": _swap_digests,
    "tail cut": _cut_tail,
    "tail cut, head moved": _cut_tail_and_move_head,
    "rewritten from an entry on": _rewrite,
}
