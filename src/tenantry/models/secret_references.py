"""A column that holds where a secret is, never the secret."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator

from tenantry.errors import SecretRefused
from tenantry.secrets import LONGEST, SCHEMES, check_reference


class _Refused(SecretRefused, DontWrapMixin):
    # SQLAlchemy would wrap it with the parameters of the statement, and the secret is one of them.
    __doc__ = SecretRefused.__doc__


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
        try:
            return (
                None if value is None else check_reference(value, schemes=self.schemes, whose="The value of a column")
            )
        except SecretRefused as error:
            raise _Refused(**error.fields) from None
