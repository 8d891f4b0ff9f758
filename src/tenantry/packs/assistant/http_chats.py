"""Routes about conversations, and what the agents did on the way to an answer."""

from typing import Annotated, Any

from fastapi import APIRouter

from tenantry.access import Access, permits
from tenantry.errors import RecordNotFound
from tenantry.packs.assistant.aio import (
    AsyncAgentLogRepository,
    AsyncConversationRepository,
    AsyncMessageRepository,
)
from tenantry.packs.assistant.http_common import ADMINISTERS, CREATED, NO_CONTENT, Id, person
from tenantry.packs.assistant.models_chats import Conversation
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.schemas import (
    AnswerIn,
    ConversationIn,
    ConversationOut,
    Listing,
    LogOut,
    MessageOut,
    QuestionIn,
    TalkOut,
)
from tenantry.packs.assistant.users import Person
from tenantry.session.aio import AsyncTenantSession
from tenantry.web.routes import Limit, Offset, may, reading_of, writing_of


def conversations(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes about conversations; who does not administer the company sees their own."""
    read, write, asks = reading_of(pack.tenancy), writing_of(pack.tenancy), person(pack)

    @routes.get("/conversations", dependencies=may("conversations:read"), tags=["conversations"])
    async def list_conversations(
        db: Annotated[AsyncTenantSession, read],
        who: Annotated[Person, asks],
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Listing[ConversationOut]:
        """Lists the conversations, the latest first."""
        own: dict[str, Any] = {} if _administers(who) else {"user_id": who.id}
        repository = AsyncConversationRepository(db)
        found = await repository.list(order_by="-created_at", limit=limit, offset=offset, **own)
        items = [ConversationOut.model_validate(conversation) for conversation in found]
        return Listing(items=items, total=await repository.count(**own), limit=limit, offset=offset)

    @routes.post(
        "/conversations", status_code=CREATED, dependencies=may("conversations:create"), tags=["conversations"]
    )
    async def start_conversation(
        body: ConversationIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> ConversationOut:
        """Begins a conversation, over the selected documents or all."""
        started = await pack.chats.aio.start(
            db,
            user_id=who.id,
            title=body.title,
            llm_provider=body.llm_provider or who.preferred_llm,
            selected_document_ids=body.selected_document_ids,
        )
        return ConversationOut.model_validate(started)

    @routes.get("/conversations/{conversation_id}", dependencies=may("conversations:read"), tags=["conversations"])
    async def get_conversation(
        conversation_id: Id, db: Annotated[AsyncTenantSession, read], who: Annotated[Person, asks]
    ) -> TalkOut:
        """Gives a conversation with all that was said."""
        await _one(db, conversation_id, who)
        return TalkOut.model_validate(await AsyncConversationRepository(db).get_with_messages(conversation_id))

    @routes.delete(
        "/conversations/{conversation_id}",
        status_code=NO_CONTENT,
        dependencies=may("conversations:delete"),
        tags=["conversations"],
    )
    async def delete_conversation(
        conversation_id: Id, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> None:
        """Deletes a conversation with all that was said; what the agents did and used stays on record."""
        await AsyncConversationRepository(db).delete(await _one(db, conversation_id, who))


def messages(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the routes by which questions and answers come to a conversation."""
    write, asks = writing_of(pack.tenancy), person(pack)

    @routes.post(
        "/conversations/{conversation_id}/messages",
        status_code=CREATED,
        dependencies=may("chat:create"),
        tags=["conversations"],
    )
    async def ask(
        conversation_id: Id, body: QuestionIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> MessageOut:
        """Adds what the user says."""
        await _one(db, conversation_id, who)
        return MessageOut.model_validate(await pack.chats.aio.ask(db, conversation_id, body.content))

    @routes.post(
        "/conversations/{conversation_id}/answers",
        status_code=CREATED,
        dependencies=may("chat:create"),
        tags=["conversations"],
    )
    async def answer(
        conversation_id: Id, body: AnswerIn, db: Annotated[AsyncTenantSession, write], who: Annotated[Person, asks]
    ) -> MessageOut:
        """Adds what the assistant says, and what it used."""
        await _one(db, conversation_id, who)
        return MessageOut.model_validate(await pack.chats.aio.answer(db, conversation_id, body.answer()))


def agents(routes: APIRouter, pack: Assistant, _: Access) -> None:
    """Adds the route about what the agents did."""
    read, asks = reading_of(pack.tenancy), person(pack)

    @routes.get("/messages/{message_id}/steps", dependencies=may("agents:read"), tags=["conversations"])
    async def list_steps(
        message_id: Id, db: Annotated[AsyncTenantSession, read], who: Annotated[Person, asks]
    ) -> Listing[LogOut]:
        """Lists what the agents did on the way to an answer, in the order they did it."""
        message = await AsyncMessageRepository(db).get_one(message_id)
        await _one(db, message.conversation_id, who)
        found = await AsyncAgentLogRepository(db).of_message(message_id)
        items = [LogOut.model_validate(log) for log in found]
        return Listing(items=items, total=len(items), limit=len(items), offset=0)


def _administers(who: Person) -> bool:
    return permits(who.permissions, ADMINISTERS)


async def _one(db: AsyncTenantSession, conversation_id: int, who: Person) -> Conversation:
    found = await AsyncConversationRepository(db).get(conversation_id)
    if found is None or not (_administers(who) or found.user_id == who.id):
        raise RecordNotFound(model="Conversation")
    return found
