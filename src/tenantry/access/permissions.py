"""Permissions: ``resource:action``, either of which may be ``*``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Self

from tenantry.errors import ConfigurationError

ALL: Final = "*"

_PART: Final = r"[a-z][a-z0-9_.-]{0,62}"
_FORM: Final = re.compile(rf"(?P<resource>{_PART}|\*):(?P<action>{_PART}|\*)")


class Permission(str):
    """The text of a permission that is one: ``documents:create``, ``documents:*``, ``*:read``, or ``*`` for all.

    Raises: ConfigurationError for any other text.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        whole = f"{ALL}:{ALL}" if text == ALL else text
        if not isinstance(whole, str) or not _FORM.fullmatch(whole):
            raise ConfigurationError(
                what=f"{text!r} is no permission.",
                fix="Write resource:action in lower case, such as documents:create; either may be *.",
            )
        return super().__new__(cls, whole)

    @property
    def resource(self) -> str:
        """What is acted on."""
        return self.partition(":")[0]

    @property
    def action(self) -> str:
        """What is done to it."""
        return self.partition(":")[2]

    @property
    def exact(self) -> bool:
        """Whether it is one permission and not a family of them."""
        return ALL not in (self.resource, self.action)


def permissions(texts: Iterable[str]) -> frozenset[Permission]:
    """Returns the permissions that *texts* spell.

    Raises: ConfigurationError for a text that is none, and for one text where several are meant.
    """
    if isinstance(texts, str):
        raise ConfigurationError(what=f"{texts!r} is one text, not several.", fix=f"Write [{texts!r}].")
    return frozenset(Permission(text) for text in texts)


def exactly(text: str) -> Permission:
    """Returns the one permission that *text* spells.

    Raises: ConfigurationError for a text that is none, or has a ``*``: nobody acts on everything at once.
    """
    permission = Permission(text)
    if not permission.exact:
        raise ConfigurationError(
            what=f"{text!r} was asked for, and holds a *.", fix="Ask for one resource and one action."
        )
    return permission


def permits(granted: Iterable[str], wanted: str) -> bool:
    """Returns whether what was *granted* includes the one permission that is *wanted*.

    Raises: ConfigurationError for a wanted permission that is none, or holds a ``*``.
    """
    permission = exactly(wanted)
    families = (permission, f"{permission.resource}:{ALL}", f"{ALL}:{permission.action}", f"{ALL}:{ALL}")
    return not permissions(granted).isdisjoint(families)


def covers(granted: Iterable[str], others: Iterable[str]) -> bool:
    """Returns whether each of the *others*, families included, lies within what was *granted*."""
    given = permissions(granted)
    return all(_covered(given, other) for other in permissions(others))


def _covered(granted: frozenset[Permission], other: Permission) -> bool:
    return any(has.resource in (ALL, other.resource) and has.action in (ALL, other.action) for has in granted)
