"""The database's own time, so that machines whose clocks differ agree; SQLite's is this machine's."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import DateTime, func

from tenantry.session.core import TenantSession


def moment(session: TenantSession, seconds: float = 0.0) -> Any:
    """Returns the time so many seconds from now, as a value of a statement."""
    ahead = datetime.timedelta(seconds=seconds)
    if session.get_bind().dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) + ahead
    return datetime.datetime.now(datetime.UTC) + ahead
