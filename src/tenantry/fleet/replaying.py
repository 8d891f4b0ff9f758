"""What was rendered, kept: the statements between two revisions for each kind of home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from alembic.runtime.migration import RevisionStep

from tenantry.fleet.history import Pace
from tenantry.fleet.lineage import Lineage
from tenantry.fleet.recording import Schema, Scratch, record
from tenantry.fleet.rendering import Rendering, render, rendered
from tenantry.fleet.sites import Site

# Files that were made at many times have as many schemas, to the letter.
_KEPT: Final = 256
# What a revision is told the second time of how many rows it changed: if it does otherwise then, it looks at them.
_ROWS: Final = 7
_SECONDS: Final = 10.0
_UNKNOWN: Final = Rendering(())


class Renderings:
    """Renders each way once, whichever thread asks first; None stands for a way that only Alembic itself can go."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._lock = threading.Lock()
        self._kept: dict[Hashable, Rendering | None] = {}

    def postgres(self, site: Site, before: str | None, target: str | None) -> Rendering | None:
        """Returns the statements for every PostgreSQL home of that kind on that server."""
        return self._get(
            site,
            before,
            target,
            lambda one, again, steps: render(one, before, steps, pretended=_ROWS if again else None),
        )

    def sqlite(
        self, site: Site, before: str | None, target: str | None, *, schema: Schema, pace: Pace
    ) -> Rendering | None:
        """Returns the statements for every SQLite file of that schema."""

        def write(one: Site, again: bool, steps: Sequence[RevisionStep]) -> Rendering:
            seconds = min(pace.statement_timeout or _SECONDS, _SECONDS)
            scratch = Scratch(site, schema, before, pretended=_ROWS if again else 0, seconds=seconds)
            return record(one, scratch, steps)

        return self._get(site, before, target, write, schema.fingerprint)

    def _get(
        self,
        site: Site,
        before: str | None,
        target: str | None,
        write: Callable[[Site, bool, Sequence[RevisionStep]], Rendering],
        fingerprint: str = "",
    ) -> Rendering | None:
        key = (site.home.server, site.home.kind, before, target, fingerprint)
        found = self._kept.get(key, _UNKNOWN)
        if found is not _UNKNOWN:
            # Without the lock, behind which somebody may wait for Alembic.
            return found
        with self._lock:
            if key not in self._kept:
                steps = self._lineage.plan(before, target)
                self._kept[key] = rendered(site, steps, lambda one, again: write(one, again, steps))
                if len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
            return self._kept[key]
