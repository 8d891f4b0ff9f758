"""Where archives lie: a directory, or a bucket of object storage."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from tenantry.archive.stores.base import Store
from tenantry.archive.stores.directory import DirectoryStore
from tenantry.archive.stores.naming import archive_name, check_name, parse_archive_name
from tenantry.archive.stores.objects import SCHEMES, ObjectStore
from tenantry.errors import ConfigurationError

__all__ = [
    "DirectoryStore",
    "ObjectStore",
    "Store",
    "archive_name",
    "check_name",
    "open_store",
    "parse_archive_name",
]


def open_store(place: str | os.PathLike[str], **options: Any) -> Store:
    """Returns the store at a path, ``file:///path``, ``s3://bucket/path``, ``gs://bucket/path`` or ``az://container/path``.

    Options are for object storage; see ``ObjectStore``. Nothing is opened yet.

    Raises: ConfigurationError for a URL of another kind.
    """
    text = os.fspath(place)
    scheme, colon, _ = text.partition("://")
    if scheme in SCHEMES and colon:
        return ObjectStore(text, **options)
    if options:
        raise ConfigurationError(what="A directory takes no options.", fix="Drop them, or give the URL of a bucket.")
    if not colon:
        return DirectoryStore(text)
    parts = urlsplit(text)
    if scheme != "file" or parts.netloc not in ("", "localhost") or len(parts.path) < 2:
        raise ConfigurationError(
            what=f"{scheme[:20]}://… is no store that archives can lie in.",
            fix="Use a path, file:///path, s3://bucket/path, gs://bucket/path or az://container/path.",
        )
    return DirectoryStore(unquote(parts.path))
