"""The extensions that an installation makes: there, where every search path finds them, and new enough."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.doctor import versions
from tenantry.doctor.scene import Scene
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, quote
from tenantry.types import Finding


def judge(scene: Scene) -> Iterator[Finding]:
    """Yields what is wrong with the extensions of one database."""
    for name in scene.config.extensions:
        found, title = scene.snapshot.extensions.get(name), scene.title(f"extension {name}")
        if found is None:
            message = "It is missing, so what is built on its types and operators cannot be read."
            fix = f"CREATE EXTENSION {quote(name)} SCHEMA {EXTENSIONS_SCHEMA};"
            yield Finding("D508", title, message, fix)
            continue
        if found.schema != EXTENSIONS_SCHEMA:
            message = f"It stands in {found.schema}, where no tenant's search_path finds its types and operators."
            fix = f"ALTER EXTENSION {quote(name)} SET SCHEMA {EXTENSIONS_SCHEMA};"
            yield Finding("D508", title, message, fix)
        yield from versions.judge_extension(name, found.version, where=title)
