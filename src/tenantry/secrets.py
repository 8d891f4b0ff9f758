"""References to secrets: ``env:NAME``, ``file:/path`` and what plug-ins read; each is read when it is needed, anew.

A reference may be stored, logged and archived. What it leads to is none of it: it stays in the hands of who asked.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

from tenantry.errors import ConfigurationError, SecretRefused, SecretUnreadable

# Gets the whole reference, "arn:aws:secretsmanager:…", and returns the secret.
Resolver = Callable[[str], str]

PLUGINS: Final = "tenantry.secrets"
LONGEST: Final = 512
# Whose references may be stored before anything that reads them is installed.
SCHEMES: Final = ("env", "file", "arn")

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}")
_FORMS: Final = {
    "env": re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"file:[^\x00-\x1f\x7f]+"),
    "arn": re.compile(r"arn:[a-z0-9-]+:[a-z0-9-]+:[^\s\x00-\x1f\x7f]+"),
}
_OTHER_FORM: Final = re.compile(r"[^:]+:[^\s\x00-\x1f\x7f]+")


class Secret:
    """A secret that is read each time it is revealed; its repr is the reference, and it is neither copied nor kept."""

    __slots__ = ("_read", "reference")

    def __init__(self, reference: str, read: Callable[[], str]) -> None:
        self.reference = reference
        self._read = read

    def __repr__(self) -> str:
        return f"<Secret in {self.reference}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not pickled; hand its reference on.")

    def reveal(self) -> str:
        """Returns what the reference leads to now.

        Raises: SecretUnreadable.
        """
        return self._read()

    def hidden_in(self, text: str) -> str:
        """Returns a text with ``…`` in place of the secret, as it is or as it stands in a URL."""
        try:
            found = self.reveal()
        except SecretUnreadable:
            return text
        return text.replace(found, "…").replace(quote(found, safe=""), "…")


class Secrets:
    """Reads references; *resolvers* read schemes of their own, as do plug-ins of the group ``tenantry.secrets``.

    Raises: ConfigurationError for a resolver of a scheme that is none, or that is read here already.
    """

    def __init__(
        self, resolvers: Mapping[str, Resolver] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._environ = environ
        self._resolvers = dict(resolvers or {})
        for scheme in self._resolvers:
            if not _SCHEME.fullmatch(scheme) or scheme in ("env", "file"):
                raise ConfigurationError(
                    what=f"{scheme[:32]!a} cannot be a plug-in's kind of reference.",
                    fix="Use a lower-case word other than env and file, such as 'vault'.",
                )

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self.schemes)})"

    @property
    def schemes(self) -> tuple[str, ...]:
        """The kinds of references there are, whether or not something is installed that reads them."""
        return tuple(dict.fromkeys((*SCHEMES, *self._resolvers, *_plugins())))

    def get(self, reference: str, *, whose: str = "What was given") -> Secret:
        """Returns the secret behind a reference, unread.

        Raises: SecretRefused for what is no reference.
        """
        checked = check_reference(reference, schemes=self.schemes, whose=whose)
        return Secret(checked, functools.partial(self._revealed, checked, whose))

    def read(self, reference: str, *, whose: str = "What was given") -> str:
        """Returns what a reference leads to now.

        Raises: SecretRefused, SecretUnreadable.
        """
        return self.get(reference, whose=whose).reveal()

    def _revealed(self, reference: str, whose: str) -> str:
        try:
            found = self._resolver(reference.partition(":")[0])(reference)
        except _Unread as error:
            raise SecretUnreadable(whose=whose, reference=reference, reason=str(error)) from None
        except Exception as error:  # a plug-in raises what it likes
            reason = f"what reads it raised {type(error).__name__}."
            raise SecretUnreadable(whose=whose, reference=reference, reason=reason) from error
        if not isinstance(found, str) or not found:
            raise SecretUnreadable(whose=whose, reference=reference, reason="it is empty.")
        return found

    def _resolver(self, scheme: str) -> Resolver:
        if scheme == "env":
            return self._from_environment
        if scheme == "file":
            return _from_file
        if scheme in self._resolvers:
            return self._resolvers[scheme]
        if scheme in _plugins():
            found: Resolver = _plugins()[scheme].load()
            return found
        raise _Unread(f"nothing is installed that reads {scheme}: references.")

    def _from_environment(self, reference: str) -> str:
        environ: Mapping[str, str] = os.environ if self._environ is None else self._environ
        name = reference.partition(":")[2]
        if name not in environ:
            raise _Unread("the variable is not set.")
        return environ[name]


class _Unread(Exception):
    """Why a reference could not be read; the message holds nothing of the secret."""


def is_reference(text: str, *, schemes: tuple[str, ...] = SCHEMES) -> bool:
    """Whether a text has the form of a reference to a secret."""
    scheme = text.partition(":")[0]
    form = _FORMS.get(scheme, _OTHER_FORM)
    return scheme in schemes and len(text) <= LONGEST and form.fullmatch(text) is not None


def check_reference(text: Any, *, schemes: tuple[str, ...] = SCHEMES, whose: str = "What was given") -> str:
    """Returns a text that is a reference.

    Raises: SecretRefused for any other, which the message does not show: it may be the secret itself.
    """
    if not isinstance(text, str) or not is_reference(text, schemes=schemes):
        raise SecretRefused(whose=whose, known=", ".join(f"{scheme}:" for scheme in schemes))
    return text


def _from_file(reference: str) -> str:
    try:
        text = Path(reference.partition(":")[2]).read_text(encoding="utf-8")
    except OSError as error:
        raise _Unread(f"{error.strerror or type(error).__name__}.") from None
    except ValueError:
        raise _Unread("the file holds no text.") from None
    # What writes a file ends its last line.
    return text.removesuffix("\n").removesuffix("\r")


@functools.cache
def _plugins() -> Mapping[str, importlib.metadata.EntryPoint]:
    found = importlib.metadata.entry_points(group=PLUGINS)
    return {plugin.name: plugin for plugin in found if _SCHEME.fullmatch(plugin.name)}
