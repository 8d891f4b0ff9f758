"""What a repository may do away with: append-only rows never, stamped rows for good once they are old enough."""

from __future__ import annotations

import datetime
from typing import Any, Final

from sqlalchemy import Select, Table, select
from sqlalchemy.orm import class_mapper

from tenantry.errors import AppendOnlyViolation, ConfigurationError
from tenantry.models import SoftDelete, is_append_only
from tenantry.models.columns import utc_now

_BATCH: Final = 500


def check_deletable(model: type[Any]) -> None:
    """Lets a class pass whose rows may be deleted.

    Raises: AppendOnlyViolation.
    """
    for table in class_mapper(model).tables:
        if isinstance(table, Table) and is_append_only(table):
            raise AppendOnlyViolation(table=table.name, action="DELETE")


def check_soft(model: type[Any]) -> type[SoftDelete]:
    """Returns a class whose rows are stamped when they go.

    Raises: ConfigurationError for any other.
    """
    if not issubclass(model, SoftDelete):
        raise ConfigurationError(
            what=f"{model.__name__} has no SoftDelete, so nothing of it is hidden.",
            fix="Give it the mixin: class X(SoftDelete, TenantOwned, Base).",
        )
    return model


def purgeable(model: type[Any], older_than: datetime.datetime | datetime.timedelta) -> Select[Any]:
    """Returns the statement that reads some of the rows that were stamped before a time, or so long ago.

    Raises: ConfigurationError for a class without SoftDelete.
    """
    soft = check_soft(model)
    end = older_than if isinstance(older_than, datetime.datetime) else utc_now() - older_than
    return select(soft).where(soft.deleted_at < end).limit(_BATCH)
