"""The ids of changes and tags: SHA-1 over a text that says all about one, its forerunner's id included."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tenantry.fleet.sqitch.plan import Dependency

_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9.+-]*(?=:)")
_ESCAPED: Final = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.!~*'()-]")
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'();/?:@&=+$,%#")
_PORTS: Final = {"http": 80, "https": 443, "ftp": 21, "ssh": 22, "sftp": 22, "rsync": 873}
# Schemes with rules of their own for what the same address is; none of them names a project on the web.
_SPECIAL: Final = frozenset({"data", "file", "ldap", "ldapi", "ldaps", "mailto", "news", "nntp", "sip", "sips", "urn"})


@dataclass(frozen=True, slots=True)
class Owner:
    """The project that a change or a tag belongs to; *uri* is the canonical one."""

    project: str
    uri: str | None

    def lines(self) -> list[str]:
        """Returns what every id of the project begins with."""
        return [f"project {self.project}", *([f"uri {self.uri}"] if self.uri else ())]


@dataclass(frozen=True, slots=True)
class Written:
    """What a plan's line says of a change or a tag, beside its dependencies."""

    name: str
    date: str
    planner_name: str
    planner_email: str
    note: str

    def lines(self) -> list[str]:
        """Returns who wrote it, and when, as ids hold it."""
        return [f"planner {self.planner_name} <{self.planner_email}>", f"date {self.date}"]


def change_id(
    owner: Owner,
    written: Written,
    *,
    parent: str | None,
    requires: Sequence[Dependency] = (),
    conflicts: Sequence[Dependency] = (),
) -> str:
    """Returns the id of a change."""
    lines = [
        *owner.lines(),
        f"change {written.name}",
        *([f"parent {parent}"] if parent else ()),
        *written.lines(),
        *_listed("requires", "+", requires, owner.project),
        *_listed("conflicts", "-", conflicts, owner.project),
    ]
    return _digest("change", lines, written.note)


def tag_id(owner: Owner, written: Written, *, change: str) -> str:
    """Returns the id of a tag on the change of that id."""
    return _digest("tag", [*owner.lines(), f"tag @{written.name}", f"change {change}", *written.lines()], written.note)


def _listed(title: str, mark: str, named: Sequence[Dependency], project: str) -> Iterator[str]:
    if named:
        yield title
        yield from (f"  {mark} {dependency.text(project)}" for dependency in named)


def _digest(kind: str, lines: list[str], note: str) -> str:
    # Perl takes a note of "0" for none.
    text = "\n".join([*lines, *(["", note] if note not in ("", "0") else ())]).encode()
    return hashlib.sha1(f"{kind} {len(text)}\0".encode() + text, usedforsecurity=False).hexdigest()


def escape_uri(text: str) -> str:
    """Returns a project's URI as registries hold it: what cannot stand in one written as %XX.

    Raises: ValueError for a kind of URI whose ids cannot be computed here.
    """
    scheme = _SCHEME.match(text)
    host = urlsplit(text).netloc
    if (scheme and scheme[0].lower() in _SPECIAL) or not host.isascii() or "[" in host:
        raise ValueError("This kind of URI is not read here; use one such as https://example.com/project/.")
    return "".join(_escape(character) for character in text)


def canonical_uri(text: str) -> str:
    """Returns the form in which a URI enters ids: small letters, no default port, no needless escapes."""
    text = _ESCAPED.sub(_normal_escape, text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text
    name = scheme[0].lower()
    text = name + text[scheme.end() :]
    if name not in _PORTS or not text.startswith(f"{name}://"):
        return text
    parts = urlsplit(text)
    path = parts.path
    if name in ("http", "https") and not parts.path and "?" not in text:
        path = "/"
    return urlunsplit(parts._replace(netloc=_authority(parts.netloc, _PORTS[name]), path=path))


def _authority(written: str, default_port: int) -> str:
    user, at, host = written.rpartition("@")
    host, colon, port = host.lower().partition(":")
    kept = f":{port}" if colon and port not in ("", str(default_port)) else ""
    return f"{user}{at}{host}{kept}"


def _escape(character: str) -> str:
    return character if character in _PLAIN else "".join(f"%{byte:02X}" for byte in character.encode())


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()
