"""The suite for APIs asks for keys in bodies and queries, takes steps that fit once, and says what it could not try."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from tenantry.testing.apps import Caller, leaks_of

Rows = dict[uuid.UUID, dict[str, Any]]
LEAKS = {
    "body": ("oracle", "POST /links"),
    "query": ("oracle", "GET /links"),
    "delete": ("untried", "DELETE /notes/{note_id}"),
    "show": ("untried", "GET /notes/{note_id}"),
    "change": ("untried", "PATCH /notes/{note_id}"),
    "step": ("untried", "POST /notes/{note_id}/retry"),
}


class NewNote(BaseModel):
    """A note, whose address has a form that only its example tells."""

    words: str
    address: Annotated[str, Field(pattern=r"^\w+@\w+\.example$", examples=["ann@client.example"])]


class NewLink(BaseModel):
    """A link to a note."""

    source_note_id: uuid.UUID


class Notebooks:
    """Two tenants' notes, and what is wrong with the routes to them."""

    def __init__(self, *wrong: str) -> None:
        self.wrong = wrong
        self.kept: dict[str, Rows] = {"near": {}, "far": {}}

    def mine(self, x_key: Annotated[str, Header()] = "") -> Rows:
        """Returns the notes of whoever asks."""
        if x_key not in self.kept:
            raise HTTPException(401)
        return self.kept[x_key]

    def one(self, rows: Rows, note_id: uuid.UUID, leak: str) -> dict[str, Any]:
        """Returns a note; where it leaks, another's is refused in other words than none."""
        if note_id not in rows:
            raise HTTPException(
                409 if leak in self.wrong and any(note_id in each for each in self.kept.values()) else 404
            )
        return rows[note_id]

    def step(self, rows: Rows, note_id: uuid.UUID, before: str, after: str) -> dict[str, Any]:
        """Takes a note from one state to the next."""
        note = self.one(rows, note_id, "steps")
        if note["state"] != before:
            raise HTTPException(409)
        return rows[note_id].__ior__({"state": after})

    def refuse(self, leak: str) -> None:
        """Refuses what nobody may, where that is what is wrong."""
        if leak in self.wrong:
            raise HTTPException(403)


def built(*wrong: str) -> FastAPI:
    books, routes, app = Notebooks(*wrong), APIRouter(), FastAPI()
    mine = Depends(books.mine)

    @routes.post("/notes", status_code=201)
    async def make(new: NewNote, rows: Rows = mine) -> dict[str, Any]:
        # A second that the other tenant's notes come to as well, at another time.
        due = f"2030-01-01T00:00:{len(rows) + (7 if rows is books.kept['near'] else 0):02}Z"
        note = {"id": uuid.uuid4(), "state": "new", "due": due, **new.model_dump()}
        return rows.setdefault(note["id"], note)

    @routes.get("/notes/{note_id}")
    async def show(note_id: uuid.UUID, rows: Rows = mine) -> dict[str, Any]:
        books.refuse("show")
        return books.one(rows, note_id, "path")

    @routes.patch("/notes/{note_id}")
    async def change(note_id: uuid.UUID, new: NewNote, rows: Rows = mine) -> dict[str, Any]:
        books.refuse("change")
        return books.one(rows, note_id, "path").__ior__(new.model_dump())

    @routes.delete("/notes/{note_id}", status_code=204)
    async def delete(note_id: uuid.UUID, rows: Rows = mine) -> None:
        books.refuse("delete")
        del rows[books.one(rows, note_id, "path")["id"]]

    @routes.post("/notes/{note_id}/retry")
    async def retry(note_id: uuid.UUID, rows: Rows = mine) -> dict[str, Any]:
        return books.step(rows, note_id, "failed" if "step" not in wrong else "lost", "new")

    @routes.post("/notes/{note_id}/start")
    async def start(note_id: uuid.UUID, rows: Rows = mine) -> dict[str, Any]:
        return books.step(rows, note_id, "new", "started")

    @routes.post("/notes/{note_id}/fail")
    async def fail(note_id: uuid.UUID, rows: Rows = mine) -> dict[str, Any]:
        return books.step(rows, note_id, "started", "failed")

    @routes.post("/links", status_code=201)
    async def link(new: NewLink, rows: Rows = mine) -> dict[str, Any]:
        return {"to": books.one(rows, new.source_note_id, "body")["words"]}

    @routes.get("/links")
    async def links(rows: Rows = mine, note_id: uuid.UUID | None = None) -> list[str]:
        return [] if note_id is None else [books.one(rows, note_id, "query")["words"]]

    app.include_router(routes)
    return app


def found(*wrong: str) -> set[tuple[str, str]]:
    near, far = (Caller({"X-Key": side}, [side]) for side in ("near", "far"))
    return {(each.code, each.object) for each in leaks_of(built(*wrong), a=near, b=far)}


def test_what_is_sound_is_tried_whole() -> None:
    assert found() == set()


@pytest.mark.parametrize("wrong", LEAKS)
def test_what_is_wrong_is_found(wrong: str) -> None:
    assert found(wrong) == {LEAKS[wrong]}
