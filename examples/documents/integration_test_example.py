"""Ways of testing against a real database: run by ``pytest integration_test_example.py``."""

import asyncio

import pytest
from sqlalchemy import select

from tenantry.errors import CrossTenant, TenantRequired
from tenantry.packs.documents import (
    DocumentRepository,
    GraphRelationshipRepository,
    Organization,
    RepositoryFactory,
    User,
)


def test_what_a_test_commits_is_gone_after_it(axai_db_session):
    axai_db_session.add(Organization(name="Test"))
    axai_db_session.commit()
    axai_db_session.add(User(email="ann@example.com"))
    axai_db_session.commit()
    assert axai_db_session.scalars(select(User.email)).all() == ["ann@example.com"]


def test_there_is_nothing_of_the_test_before(axai_db_manager):
    assert "test" not in [tenant.slug for tenant in axai_db_manager.tenancy.tenants.list()]


def test_documents_and_their_relations(axai_db_session):
    axai_db_session.add(Organization(name="Acme"))
    axai_db_session.flush()
    owner = User(email="ann@acme.example")
    axai_db_session.add(owner)
    axai_db_session.flush()
    documents = DocumentRepository(axai_db_session)
    charter = documents.create(title="Charter", content="Why", owner_id=owner.id)
    budget = documents.create(title="Budget", owner_id=owner.id)
    GraphRelationshipRepository(axai_db_session).connect_documents(budget, charter, "requires")
    assert documents.find_related(charter.id) == [budget]
    documents.create_version(charter.id, content="Why, and how", change_summary="Said how")
    assert [version.version_number for version in documents.get_versions(charter.id)] == [2, 1]


def test_a_session_belongs_to_one_organisation(axai_db_manager, axai_clean_db_session):
    axai_db_manager.tenancy.tenants.create("near", record={"name": "Near"})
    axai_db_manager.tenancy.tenants.create("far", record={"name": "Far"})
    with axai_db_manager.session_scope("far") as session:
        theirs = User(email="bob@far.example")
        session.add(theirs)
    with axai_db_manager.session_scope("near") as session:
        assert session.scalars(select(User)).all() == []
        with pytest.raises(CrossTenant):
            session.add(theirs)
    with pytest.raises(TenantRequired):
        axai_clean_db_session.scalars(select(User)).all()


def test_repositories_awaited(axai_db_manager):
    users = RepositoryFactory(axai_db_manager).get_repository(User, "near")

    async def work():
        made = await users.create(email="Cora@near.example")
        found = await users.get_by_email("cora@NEAR.example")
        await axai_db_manager.tenancy.aio.close()
        return made.id == found.id

    assert asyncio.run(work())


def test_a_new_database(axai_reset_db, axai_db_config):
    assert axai_reset_db.get_connection_config() == axai_db_config
    assert axai_reset_db.get_database_manager().tenancy.tenants.list() == []
