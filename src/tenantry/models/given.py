"""What an application gives as its models, and as the record of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import MetaData

from tenantry.errors import ConfigurationError
from tenantry.models.mixins import ownership_of
from tenantry.models.ownership import Ownership


def metadata_of(models: Any) -> MetaData:
    """Returns the MetaData of a declarative base, or the one that was given.

    Raises: ConfigurationError.
    """
    metadata = models if isinstance(models, MetaData) else getattr(models, "metadata", None)
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(
            what=f"models={models!r} is neither a declarative base nor a MetaData.",
            fix="Pass your DeclarativeBase class, SQLModel, or its metadata.",
        )
    return metadata


def record_instance(models: Any, record: object) -> object:
    """Returns *record*, or the one TenantRecord model made from it where it is a mapping.

    Raises: ConfigurationError when the models have no TenantRecord, or several.
    """
    if not isinstance(record, Mapping):
        return record
    mappers = [mapper for mapper in models.registry.mappers if ownership_of(mapper.class_) is Ownership.RECORD]
    if len(mappers) != 1:
        raise ConfigurationError(
            what=f"record= is a mapping, but the models have {len(mappers)} TenantRecord classes.",
            fix="Pass an instance of the class that is meant.",
        )
    return mappers[0].class_(**record)
