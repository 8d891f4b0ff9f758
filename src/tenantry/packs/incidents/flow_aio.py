"""The asynchronous door of the steps from an event to an outcome: the same methods, awaited."""

from __future__ import annotations

from tenantry.packs.incidents.flow import Flow
from tenantry.session.aio import Face, through


class AsyncFlow(Face[Flow]):
    """The awaited face of ``Flow``; make it through ``flow.aio``."""

    analyse = through(Flow.analyse)
    decide = through(Flow.decide)
    fail = through(Flow.fail)
    ignore = through(Flow.ignore)
    ingest = through(Flow.ingest)
    plan = through(Flow.plan)
    resolve = through(Flow.resolve)
    start = through(Flow.start)
    succeed = through(Flow.succeed)
