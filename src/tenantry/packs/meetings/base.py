"""What the tables of the meetings have in common: one declarative base, and their workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKeyConstraint, event, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, RelationshipProperty, Session, declared_attr, relationship
from sqlalchemy.orm.attributes import instance_dict, set_attribute
from sqlalchemy.orm.interfaces import RelationshipDirection

from tenantry.models import SoftDelete, TenantOwned, Timestamps
from tenantry.session.core import TenantSession

if TYPE_CHECKING:
    from tenantry.packs.meetings.models import Tenant


class MeetingsBase(DeclarativeBase):
    """The declarative base of the meetings: ``Tenancy(url, models=MeetingsBase)``."""


def to_workspace() -> ForeignKeyConstraint:
    """Returns the key by which a row goes with its workspace."""
    return ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], ondelete="CASCADE")


class OfWorkspace(SoftDelete, TenantOwned, Timestamps):
    """Rows of one workspace, stamped instead of deleted."""

    if TYPE_CHECKING:
        __tablename__: str

    @declared_attr
    @classmethod
    def tenant(cls) -> Mapped[Tenant]:
        """The workspace that the row belongs to."""
        return relationship("Tenant", back_populates=cls.__tablename__)


@event.listens_for(TenantSession, "after_attach")
def _join_parents(session: Session, row: object) -> None:
    """Puts a new row into the collections of those it names by their ids, as far as the session holds them."""
    if isinstance(row, OfWorkspace) and not inspect(row).has_identity:
        for relation in inspect(row).mapper.relationships:
            if relation.direction is RelationshipDirection.MANYTOONE and relation.key not in instance_dict(row):
                _join(session, row, relation)


def _join(session: Session, row: Any, relation: RelationshipProperty[Any]) -> None:
    mapper = inspect(row).mapper
    named = {far: getattr(row, mapper.get_property_by_column(own).key) for own, far in relation.local_remote_pairs}
    # A key to the workspace compares the tenant alone, which is its id as well.
    tenant = row.tenant_id
    key = tuple(named.get(column, tenant) for column in relation.mapper.primary_key)
    parent = None if None in key else session.identity_map.get(relation.mapper.identity_key_from_primary_key(key))
    if parent is not None:
        set_attribute(row, relation.key, parent)
