"""Reading sqitch.conf: sections, subsections in quotes, values with escapes, as Git writes its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from tenantry.errors import PlanInvalid

_SKIPPED: Final = re.compile(r"\s+|[#;][^\n]*")
_SECTION: Final = re.compile(r'\[([^\s\[\]"]+)(?:[\t ]*"((?:[^"\\\n]|\\["\\])*)")?\]')
_ALONE: Final = re.compile(r"([^\[=\n][^=\n]*?)[\t ]*(?:[#;].*)?$", re.MULTILINE)
_KEY: Final = re.compile(r"([^\[=\n][^=\n]*?)[\t ]*=[\t ]*")
_PART: Final = re.compile(
    r"""(?P<end>[\t ]*(?:[#;].*)?$)
      | (?P<blank>[\t ]+)
      | (?P<continued>\\\r?\n)
      | \\(?P<escape>[\\'"ntb])
      | "(?P<quoted>[^"\\]*(?:\\[\ntbn"\\][^"\\]*)*)"
      | (?P<plain>[^\t \\\n"]+)""",
    re.MULTILINE | re.VERBOSE,
)
# Within quotes `sqitch` leaves the backslash before a quote where it is.
_ESCAPES: Final = {"n": "\n", "t": "\t", "b": "\b"}
_QUOTED_ESCAPES: Final = {**_ESCAPES, "\n": "", '"': '\\"'}
_QUOTED_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_TRUE: Final = re.compile(r"true|yes|on|-?0*1", re.IGNORECASE)


@dataclass(frozen=True)
class Conf:
    """The settings of one sqitch.conf, by ``section.subsection.key``; the newest value of a key counts."""

    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, *keys: str) -> str | None:
        """Returns the value of the first of *keys* that has one."""
        return next((self.values[key] for key in keys if self.values.get(key)), None)

    def is_on(self, key: str) -> bool:
        """Whether a switch is set."""
        return _TRUE.fullmatch(self.values.get(key, "")) is not None

    def section(self, *names: str) -> dict[str, str]:
        """Returns the keys of sections as they are written, a later section before an earlier one."""
        merged: dict[str, str] = {}
        for name in names:
            for key, value in self.values.items():
                section, _, own = key.rpartition(".")
                if section == name:
                    merged[own] = value
        return merged


def read_conf(file: Path) -> Conf:
    """Returns what *file* holds; a missing one holds nothing.

    Raises: PlanInvalid with the line.
    """
    if not file.exists():
        return Conf()
    return Conf(dict(_pairs(file.read_text(encoding="utf-8"), file)))


def _pairs(text: str, file: Path) -> Iterator[tuple[str, str]]:
    place, section = 0, ""
    while place < len(text):
        if match := _SKIPPED.match(text, place):
            place = match.end()
        elif match := _SECTION.match(text, place):
            section, place = _section(match), match.end()
        elif not section:
            _refuse(text, place, file)
        elif match := _KEY.match(text, place):
            value, place = _value(text, match.end(), file)
            yield _key(section, match[1]), value
        elif match := _ALONE.match(text, place):
            place = match.end()
            yield _key(section, match[1]), "true"
        else:
            _refuse(text, place, file)


def _section(match: re.Match[str]) -> str:
    if match[2] is None:
        return match[1].lower()
    return match[1].lower() + "." + _QUOTED_ESCAPE.sub(r"\1", match[2])


def _key(section: str, name: str) -> str:
    # Names of variables keep their case; all others are found whatever their case is.
    return f"{section}.{name if section.endswith('.variables') else name.lower()}"


def _value(text: str, place: int, file: Path) -> tuple[str, int]:
    parts: list[str] = []
    while True:
        match = _PART.match(text, place)
        if match is None:
            _refuse(text, place, file)
        place = match.end()
        if match["end"] is not None:
            return "".join(parts), place
        parts.append(_read(match))


def _read(match: re.Match[str]) -> str:
    if match["blank"]:
        return " "
    if match["escape"]:
        return _ESCAPES.get(match["escape"], match["escape"])
    if match["quoted"] is not None:
        return _QUOTED_ESCAPE.sub(lambda escape: _QUOTED_ESCAPES.get(escape[1], escape[1]), match["quoted"])
    return match["plain"] or ""


def _refuse(text: str, place: int, file: Path) -> NoReturn:
    line = text.count("\n", 0, place) + 1
    raise PlanInvalid(file=file, line=line, reason="This is neither a [section] nor a key = value of one.")
