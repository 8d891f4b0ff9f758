"""The helpdesk's vectors in collections of the library's own: each within the walls of the company it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped

from tenantry import Tenancy
from tenantry.errors import ConfigurationError, TenantNotFound
from tenantry.models import TenantOwned
from tenantry.packs.helpdesk import InVectors
from tenantry.vectors import Vectors


class Base(DeclarativeBase):
    pass


class Note(TenantOwned, Base):
    __tablename__ = "notes"

    text: Mapped[str]


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    made = Vectors(tenancy, "documents", dimensions=2)
    tenancy.install(create_tables=True)
    for slug in ("wedosoft-freshdesk", "rival-freshdesk"):
        tenancy.tenants.create(slug)
    yield made
    tenancy.close()


def item(number: str, tenant: str, *vector: float) -> dict[str, Any]:
    return {"id": number, "vector": list(vector), "metadata": {"tenant_id": tenant, "platform": "freshdesk"}}


@pytest.mark.ledger("S0-086")
def test_each_vector_is_kept_within_its_company(vectors: Vectors) -> None:
    tenants = vectors.tenancy.tenants
    kept = InVectors({"documents": vectors}, find=lambda name, platform: tenants.get(f"{name}-{platform}"))
    items = [item("t-1", "wedosoft", 1, 0), item("t-2", "wedosoft", 0, 1), item("t-3", "rival", 1, 0)]
    asyncio.run(kept.insert_vectors("documents", items))
    # The same again changes nothing.
    asyncio.run(kept.insert_vectors("documents", items[:1]))
    with vectors.tenancy.session("wedosoft-freshdesk") as session:
        hits = vectors.search(session, [1, 0])
    assert [hit.key for hit in hits] == ["t-1", "t-2"]
    assert hits[0].metadata["platform"] == "freshdesk"
    with vectors.tenancy.session("rival-freshdesk") as session:
        assert [hit.key for hit in vectors.search(session, [1, 0])] == ["t-3"]
    with pytest.raises(TenantNotFound):
        asyncio.run(kept.insert_vectors("documents", [item("t-4", "nobody", 1, 0)]))
    with pytest.raises(ConfigurationError, match="Choose from documents"):
        asyncio.run(kept.insert_vectors("articles", items))
