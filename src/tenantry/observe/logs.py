"""Logs that say whose they are: a logger for one session, and lines of JSON for machines."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import MutableMapping
from typing import Any, Final

from sqlalchemy.orm import Session

from tenantry.types import Tenant

# What ``session.info`` says about a request.
ABOUT: Final = ("correlation_id", "actor", "impersonator")


class SessionLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose every record carries the tenant of a session, and what is known of its request."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        given = dict(kwargs.get("extra") or {})
        whose = {**given.pop("tenantry", {}), **(self.extra or {})}
        return msg, {**kwargs, "extra": {**given, "tenantry": whose}}


def logger_of(session: Any, logger: logging.Logger | str) -> SessionLogger:
    """Returns a logger that writes for one session, of either door, and says so in every record."""
    found = logging.getLogger(logger) if isinstance(logger, str) else logger
    return SessionLogger(found, facts_of(session))


def facts_of(session: Session | Any) -> dict[str, str]:
    """Returns whose a session is, as logs say it."""
    info = session.info
    tenant = info.get("tenant")
    whose = {"tenant": tenant.slug, "tenant_id": str(tenant.id)} if isinstance(tenant, Tenant) else {}
    return whose | {name: str(info[name]) for name in ABOUT if info.get(name)}


class JSONLines(logging.Formatter):
    """Writes each record as one line of JSON, with the tenant and what else a record carries about its session."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "tenantry", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
