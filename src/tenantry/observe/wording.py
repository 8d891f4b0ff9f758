"""Statements as they may be shown: without the values that somebody wrote into them, and not too long."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 500
# In one pass, so that a quote in a comment begins no literal; what is cut off in the middle of one ends with the text.
_TOKEN: Final = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?(?:\*/|$))
    | (?P<name>"(?:[^"]|"")*(?:"|$))
    | (?P<literal>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|$)
        | (?:\b[a-zA-Z]&?)?'(?:[^']|'')*(?:'|$)
        | \$(?P<tag>[a-zA-Z_]\w*|)\$.*?(?:\$(?P=tag)\$|$)
        | (?<![\w$.%:])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\w))
    """,
    re.DOTALL | re.VERBOSE,
)
_VALUE: Final = r"(?:\?|%\(\w+\)s(?:::\w+)?|\$\d+(?:::\w+)?)"
_LIST: Final = re.compile(rf"\(\s*({_VALUE})(?:\s*,\s*{_VALUE}){{3,}}\s*\)")


def shown(statement: str) -> str:
    """Returns a statement in one line, its literals as ``?``, its comments gone, long lists shortened."""
    bare = _TOKEN.sub(lambda found: {"comment": " ", "literal": "?"}.get(found.lastgroup or "", found[0]), statement)
    line = " ".join(_LIST.sub(r"(\1, ...)", bare).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
