"""The awaited faces of the repositories of documents: each method runs its synchronous twin inside ``run_sync``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from tenantry.cache import Cache
from tenantry.packs.documents import repositories, repositories_graph
from tenantry.packs.documents.models import Document, DocumentVersion, Organization, Summary, User
from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, GraphRelationship, Topic
from tenantry.packs.documents.repositories import KeptRepository
from tenantry.repository import Repository
from tenantry.repository.aio import AsyncQuery, AsyncRepository

M = TypeVar("M")
P = ParamSpec("P")
R = TypeVar("R")
Twin = TypeVar("Twin", bound=Repository[Any])


def awaited(
    method: Callable[Concatenate[Twin, P], R],
) -> Callable[Concatenate[AwaitedRepository[Any], P], Coroutine[Any, Any, R]]:
    """Returns a method of a repository for its awaited face, with the same parameters."""

    @functools.wraps(method)
    async def run(self: AwaitedRepository[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.session.run_sync(lambda session: method(self.on(session), *args, **kwargs))

    return run


class AwaitedRepository(AsyncRepository[M], Generic[M]):
    """The awaited face of the repository that ``twin`` names."""

    twin: type[Repository[Any]]

    def __init__(
        self,
        session: AsyncSession,
        *,
        model: type[M] | None = None,
        options: Sequence[ORMOption] | None = None,
        cache: Cache | None = None,
    ) -> None:
        super().__init__(session, model=model, options=options)
        self.cache = cache

    def on(self, session: Session) -> Any:
        """Returns the repository itself, over the session behind the async one."""
        if issubclass(self.twin, KeptRepository):
            return self.twin(session, options=self.options, cache=self.cache)
        return self.twin(session, options=self.options)

    def _on(self, session: Session) -> Repository[M]:
        found: Repository[M] = self.on(session)
        return found


class AsyncOrganizationRepository(AwaitedRepository[Organization]):
    """The tenant's own organisation."""

    twin = repositories.OrganizationRepository
    get_own = awaited(twin.get_own)


class AsyncUserRepository(AwaitedRepository[User]):
    """The organisation's users."""

    twin = repositories.UserRepository
    get_by_email = awaited(twin.get_by_email)
    active = awaited(twin.active)


class AsyncDocumentRepository(AwaitedRepository[Document]):
    """The organisation's documents; lists come with the latest first."""

    twin = repositories.DocumentRepository
    create_version = awaited(twin.create_version)
    get_versions = awaited(twin.get_versions)
    get_version = awaited(twin.get_version)
    restore_version = awaited(twin.restore_version)
    compare_versions = awaited(twin.compare_versions)
    find_related = awaited(twin.find_related)
    find_by_topic = awaited(twin.find_by_topic)
    find_by_organization = awaited(twin.find_by_organization)
    find_by_owner = awaited(twin.find_by_owner)
    find_by_status = awaited(twin.find_by_status)
    search = awaited(twin.search)
    get_with_details = awaited(twin.get_with_details)


class AsyncDocumentVersionRepository(AwaitedRepository[DocumentVersion]):
    """The versions of documents, which are added and never change."""

    twin = repositories.DocumentVersionRepository
    latest = awaited(twin.latest)


class AsyncSummaryRepository(AwaitedRepository[Summary]):
    """The summaries of documents; lists come with the latest first."""

    twin = repositories.SummaryRepository
    of_document = awaited(twin.of_document)
    latest = awaited(twin.latest)


class AsyncTopicRepository(AwaitedRepository[Topic]):
    """What documents are about."""

    twin = repositories_graph.TopicRepository
    get_by_name = awaited(twin.get_by_name)
    of_document = awaited(twin.of_document)
    assign = awaited(twin.assign)
    unassign = awaited(twin.unassign)
    most_used = awaited(twin.most_used)


class AsyncDocumentTopicRepository(AwaitedRepository[DocumentTopic]):
    """The links of documents to topics."""

    twin = repositories_graph.DocumentTopicRepository


class AsyncGraphNodeRepository(AwaitedRepository[GraphNode]):
    """The points of the graph, and the walks from one to another."""

    twin = repositories_graph.GraphNodeRepository

    def query(self) -> AsyncQuery[GraphNode]:
        """Returns a query of all nodes, to be narrowed."""
        return super().query().where(repositories_graph.shown())

    of_document = awaited(twin.of_document)
    for_document = awaited(twin.for_document)
    neighbours = awaited(twin.neighbours)
    within_reach = awaited(twin.within_reach)
    shortest_paths = awaited(twin.shortest_paths)
    shortest_path = awaited(twin.shortest_path)


class AsyncGraphRelationshipRepository(AwaitedRepository[GraphRelationship]):
    """The lines of the graph."""

    twin = repositories_graph.GraphRelationshipRepository
    connect = awaited(twin.connect)
    connect_documents = awaited(twin.connect_documents)
    of_node = awaited(twin.of_node)
