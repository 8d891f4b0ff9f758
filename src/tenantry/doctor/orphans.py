"""Whether rows refer to rows that are not there: a foreign key's word for it is worth no more than who validated it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import URL

from tenantry.doctor.connecting import reading
from tenantry.doctor.scene import Scene
from tenantry.isolation.orphans import count_orphans
from tenantry.isolation.postgres import OPERATOR
from tenantry.types import Finding

_LOGINS = "Give the owner's or the operator's login (TENANTRY_OWNER_URL, TENANTRY_OPERATOR_URL)."


def judge(scene: Scene, url: URL | None) -> Iterator[Finding]:
    """Yields the orphans of one database; *url* is of a login that may take the operator's role, if there is one.

    Raises: NoAnswer.
    """
    schemas = sorted({relation.schema for relation in scene.walled.values()})
    if url is None:
        if schemas:
            message = "Rows that refer to none were not counted, which takes one who sees every tenant's rows."
            yield Finding("U405", scene.title(scene.snapshot.database), message, _LOGINS)
        return
    with reading(url.set(database=scene.snapshot.database)) as connection:
        for schema in schemas:
            counted = count_orphans(connection, schema, walled=scene.walled_names, operator=scene.config.role(OPERATOR))
            if isinstance(counted, str):
                yield Finding("U405", scene.title(schema), f"Orphans were not counted: {counted}.", _LOGINS)
                continue
            for key, count in counted.items():
                fix = "Mend or delete them in tenancy.operator(reason); the key's own word for it is not true."
                message = f"{count} row(s) refer to rows that are not there."
                yield Finding("D405", scene.title(f"{schema}.{key}"), message, fix)
