"""The awaited face of the retrieval."""

from __future__ import annotations

from tenantry.packs.assistant.retrieval import Retrieval
from tenantry.session.aio import Face, through


class AsyncRetrieval(Face[Retrieval]):
    """The awaited face of a ``Retrieval``; reach it through ``retrieval.aio``."""

    index = through(Retrieval.index)
    search = through(Retrieval.search)
    forget = through(Retrieval.forget)
