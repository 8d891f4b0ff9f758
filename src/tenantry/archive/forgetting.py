"""A person forgotten in one transaction: the person's own rows go, and the tables that the library adds know no more.

What those keep is treated by its kind: events and idempotency keys that mention the person go, audit entries lose their
content and the chain holds, everything else stays without the person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import MetaData, Table

from tenantry.archive.mentions import Mentions, blank, mentioning
from tenantry.archive.persons import BATCH, Holdings, Key, Person, check_entangled, find, remove
from tenantry.archive.places_base import Reader
from tenantry.audit.core import Audit
from tenantry.audit.entries import OWN_CATEGORY
from tenantry.audit.retaining import redact_within
from tenantry.errors import AuditNotGiven
from tenantry.isolation.purging import Purge
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.models import Ownership, owned_tables
from tenantry.models.behaviours import BEHAVIOUR
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation

_AUDIT: Final = "Audit"
# What is of no use without what it says of the person.
_GOING: Final = frozenset({"Outbox", "Idempotency"})
# Who caused an event is not whom it is about.
_BESIDE: Final = frozenset({"headers"})


@dataclass(frozen=True, slots=True)
class Traces:
    """What a tenant's rows hold of a person: the person's *own* rows, those that *go* or are *blanked* beside them,
    *entries* of audits, and *others*, which are somebody else's rows that mention the person."""

    own: Holdings
    going: Mapping[str, Sequence[Key]]
    blanked: Mapping[str, Sequence[Key]]
    entries: Mapping[str, Sequence[int]]
    others: Mapping[str, Sequence[Key]]

    def counts(self, *, others: bool) -> dict[str, int]:
        """Returns how many rows of each table an erase changes; with *others* it takes the person out of those too."""
        kinds: list[Mapping[str, Any]] = [self.own, self.going, self.blanked, self.entries]
        kinds += [self.others] if others else []
        counts: dict[str, int] = {}
        for kind in kinds:
            for name, rows in kind.items():
                counts[name] = counts.get(name, 0) + len(rows)
        return counts


class Forgetting:
    """The rows of one tenant as a purge reaches them, and one person to be forgotten there."""

    def __init__(self, view: Purge, metadata: MetaData, person: Person, audits: Sequence[Audit]) -> None:
        self._view = view
        self._metadata = metadata
        self._person = person
        self._mentions = Mentions(person)
        self._audits = {audit.recorder.tables.entries.name: audit for audit in audits}

    def traces(self) -> Traces:
        """Returns what there is of the person; nothing is changed.

        Raises: PersonsUndeclared.
        """
        own = find(self._view, self._metadata, self._person.is_named)
        kinds: dict[str, dict[str, Any]] = {"going": {}, "blanked": {}, "entries": {}, "others": {}}
        for table in owned_tables(self._metadata, Ownership.TENANT, Ownership.RECORD):
            for kind, found in self._look(table, own):
                if found:
                    kinds[kind][table.name] = found
        return Traces(own, **kinds)

    def forget(self, traces: Traces, *, others: bool, reason: str) -> None:
        """Removes what was found.

        Raises: PersonEntangled, AuditNotGiven; then nothing may be committed.
        """
        check_entangled(self._view, self._metadata, traces.own)
        for name, seqs in traces.entries.items():
            for start in range(0, len(seqs), BATCH):
                redact_within(self._audit(name).recorder, self._view, seqs[start : start + BATCH], reason=reason)
        for name, keys in [*traces.blanked.items(), *(traces.others.items() if others else ())]:
            blank(self._view, self._metadata.tables[name], self._mentions, keys)
        both = {name: {*traces.own.get(name, ()), *traces.going.get(name, ())} for name in (*traces.own, *traces.going)}
        remove(self._view, self._metadata, both)

    def check_audits(self) -> None:
        """Lets models pass whose audits can all be redacted.

        Raises: AuditNotGiven.
        """
        for table in owned_tables(self._metadata, Ownership.TENANT):
            if _is_entries(table):
                self._audit(table.name)

    def _look(self, table: Table, own: Holdings) -> Iterator[tuple[str, list[Any]]]:
        behaviour = table.info.get(BEHAVIOUR)
        if _is_entries(table):
            yield "entries", sorted(self._entries(table, own))
            return
        mine = own.get(table.name, set())
        found = mentioning(self._view, table, self._mentions)
        if behaviour in _GOING:
            yield "going", [key for key, columns in found.items() if not _BESIDE.issuperset(columns)]
            yield "blanked", [key for key, columns in found.items() if _BESIDE.issuperset(columns)]
            return
        yield ("others" if behaviour is None else "blanked"), [key for key in found if key not in mine]

    def _entries(self, table: Table, own: Holdings) -> Iterator[int]:
        """Yields the numbers of the entries that mention the person, or tell of a row of the person's."""
        rows = {(name, ",".join(map(str, key))) for name, keys in own.items() for key in keys}
        names = ("seq", "category", "salt", "resource_type", "resource_id")
        said = ("description", "actor", "impersonator", "changes", "details")
        for row in self._view.select(table, [table.c[name] for name in (*names, *said)]):
            told = (row.resource_type, row.resource_id) in rows
            kept = row.salt is not None and row.category != OWN_CATEGORY
            if kept and (told or self._mentions.in_value([row.resource_id, *row[len(names) :]])):
                yield row.seq

    def _audit(self, name: str) -> Audit:
        if name not in self._audits:
            raise AuditNotGiven(table=name)
        return self._audits[name]


def view_of(tenancy: Tenancy, place: Reader) -> Purge:
    """Returns the rows of a place that is being read, or written, as one looks for persons in them."""
    on_sqlite = isinstance(tenancy.servers.get(place.tenant.server), SqliteServer)
    if on_sqlite and place.tenant.isolation is Isolation.ROWS:
        return Purge(place.tenant.id, place.connection, lambda name: name + STORED_SUFFIX)
    return Purge(place.tenant.id, place.connection)


def _is_entries(table: Table) -> bool:
    return table.info.get(BEHAVIOUR) == _AUDIT and "content_digest" in table.c
