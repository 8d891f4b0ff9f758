"""Each repository has an awaited face with the same methods, and those that ask name all of theirs."""

from __future__ import annotations

import inspect

import pytest

from tenantry.access.permitted import Permitted
from tenantry.packs import documents
from tenantry.packs.documents import SecureDocumentRepository, SecureTopicRepository
from tenantry.packs.documents.seed_repositories import REPOSITORIES
from tenantry.repository import Repository

# What gives a query, or a value of the plain session's.
PLAIN = {"in_order", "kept", "matching", "versions"}
KINDS = {"read", "create", "update", "delete"}


def public(model: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(model, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.ledger("S2-042")
@pytest.mark.parametrize("face", REPOSITORIES.values(), ids=lambda face: face.__name__)
def test_awaited_faces_are_whole(face: type) -> None:
    twin = face.twin
    assert getattr(documents, face.__name__.removeprefix("Async")) is twin
    assert public(twin) - public(face) <= PLAIN
    for name in public(twin) - PLAIN - public(Repository):
        assert inspect.iscoroutinefunction(getattr(face, name))
        assert inspect.signature(getattr(face, name)) == inspect.signature(getattr(twin, name))


@pytest.mark.ledger("S2-053")
@pytest.mark.parametrize("secure", [SecureDocumentRepository, SecureTopicRepository])
def test_repositories_that_ask_name_each_method(secure: type[Permitted]) -> None:
    assert isinstance(secure.permissions, dict)
    assert secure.permissions.keys() >= KINDS
    assert public(secure) - public(Repository) <= secure.permissions.keys()
