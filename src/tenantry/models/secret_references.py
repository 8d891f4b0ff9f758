"""A column that holds where a secret is, never the secret."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from tenantry.secrets import LONGEST, SCHEMES, check_reference


class SecretReference(TypeDecorator[str]):
    """A text that leads to a secret, ``env:NAME``, ``file:/path`` or ``arn:…``, or to one of *schemes*; no other."""

    impl = String(LONGEST)
    cache_ok = True

    def __init__(self, *schemes: str) -> None:
        super().__init__()
        self.schemes = (*SCHEMES, *schemes)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Returns the reference.

        Raises: SecretRefused for what is none.
        """
        return None if value is None else check_reference(value, schemes=self.schemes, whose="The value of a column")
