"""How names, dependencies, dates and planners are written in a Sqitch plan, as patterns."""

from __future__ import annotations

import re
from typing import Final

# Punctuation without the underscore, escaped for a character class.
PUNCTUATION: Final = re.escape(r"""-!"#$%&'()*+,./:;<=>?@[\]^`{|}~""")
# A plan is read as Unicode, where more than space and tab is a blank.
BLANK: Final = r" \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"

# A name neither begins nor ends with punctuation, and does not end in what would read as an offset (name~2).
NAME: Final = rf"(?![{PUNCTUATION}])(?:(?![~/=%^]\d+(?:$|[{BLANK}]))[^{BLANK}:@\#\\])+(?<![{PUNCTUATION}])\b"
NAME_RULE: Final = (
    "A name neither begins with punctuation nor ends with it or with digits after it, "
    "and holds no blank, '@', ':', '#' or backslash."
)

WHOLE_NAME: Final = re.compile(rf"{NAME}\Z")
RESERVED: Final = frozenset({"ROOT", "HEAD"})
LIKE_ID: Final = re.compile(r"[0-9a-f]{40}")

PRAGMA: Final = re.compile(
    rf"[{BLANK}]*%[{BLANK}]*(?P<name>[^{PUNCTUATION}](?:[^{BLANK}=]*?[^{PUNCTUATION}{BLANK}])?)"
    rf"(?:[{BLANK}]*=[{BLANK}]*(?P<value>.+))?\Z"
)

DATE: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z"
ANY_DATE: Final = re.compile(DATE)
LINE: Final = re.compile(
    rf"[{BLANK}]*(?:(?P<at>@)|[{BLANK}]*[+-][{BLANK}]*)?(?P<name>{NAME})[{BLANK}]*"
    rf"(?:\[(?P<dependencies>[^\]]+)\][{BLANK}]*)?"
    rf"(?:(?P<date>{DATE})[{BLANK}]*)?"
    rf"(?:(?P<planner_name>[^<]+)[{BLANK}]+<(?P<planner_email>[^>]+)>)?\Z"
)

DEPENDENCY: Final = re.compile(
    rf"(?P<conflicts>!?)(?:(?P<project>{NAME}):)?"
    rf"(?:(?P<id>[0-9a-f]{{40}})|(?P<change>{NAME})(?:@(?P<tag>{NAME}))?|@(?P<lone_tag>{NAME}))\Z"
)
