"""The options that the archive's commands share, and from what was typed to the program's archive."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from tenantry.archive import Archive, Archived
from tenantry.cli.applying import object_at, setting, tenancy_of
from tenantry.errors import ConfigurationError

_HOW: Final = (
    "Use --store, TENANTRY_ARCHIVE, or archive = under [tool.tenantry]: a directory, file:///path, s3://bucket/path, "
    "gs://…, az://…, or module:name of an Archive of yours."
)
# No path and no URL looks like this.
_OBJECT: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIZES: Final = ("bytes", "kB", "MB", "GB", "TB")

StoreName = Annotated[
    str | None,
    typer.Option("--store", metavar="PLACE", envvar="TENANTRY_ARCHIVE", help="Where the archives lie: path or URL."),
]
Encrypt = Annotated[
    bool,
    typer.Option("--encrypt", envvar="TENANTRY_ARCHIVE_ENCRYPT", help="Seal archives by a key of the tenant's own."),
]
KeepOption = Annotated[
    str | None, typer.Option("--keep", metavar="LIST", help="What stays: last=7,daily=7,weekly=4,monthly=12.")
]


def archive_of(context: typer.Context, store: str | None, *, encrypt: bool = False) -> Archive:
    """Returns the archive of the program: at the store that is named, or the program's own object.

    Raises: ConfigurationError.
    """
    named = store or setting("archive")
    if named is None:
        raise ConfigurationError(what="No store was named, so there is nowhere to keep archives.", fix=_HOW)
    if _OBJECT.fullmatch(named) is None:
        return Archive(tenancy_of(context), named, encrypt=encrypt)
    found = object_at(named, option="--store", fix=_HOW)
    if not isinstance(found, Archive):
        raise ConfigurationError(what=f"{named} is a {type(found).__name__}, not an Archive.", fix=_HOW)
    # Its tenancy is lent what the program does without, as every other command's is.
    tenancy_of(context)
    return found


def span(text: str, *, option: str) -> timedelta:
    """Returns the time that ``24h``, ``90min``, ``30s`` or ``7d`` means.

    Raises: ConfigurationError.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(what=f"{option} {text!r} is no span of time.", fix=f"Write {option} 24h, 90min or 7d.")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def spelt_span(time: timedelta) -> str:
    """Returns a span of time in the largest unit that says it whole."""
    seconds = round(time.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def spelt_size(size: float) -> str:
    """Returns a number of bytes for people."""
    unit = 0
    while size >= 1000 and unit < len(_SIZES) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_SIZES[unit]}" if unit == 0 else f"{size:.1f} {_SIZES[unit]}"


def spelt_time(moment: Any) -> str:
    """Returns a moment to the second, in UTC; nothing where there was none."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z" if moment else ""


def archived_as_data(archived: Archived) -> dict[str, Any]:
    """Returns an archive as what JSON can hold."""
    names = ("name", "store", "taken_at", "size", "rows", "revision", "state", "verified_at", "error", "pinned")
    facts = {name: getattr(archived, name) for name in names}
    return {**facts, "tenant": archived.tenant_id, "key": archived.key_id, "detail": dict(archived.detail)}
