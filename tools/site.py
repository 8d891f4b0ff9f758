"""What MkDocs asks before it makes a page: a fence that names its file, as the tests type it, gets it as a title."""

from __future__ import annotations

import re
from typing import Final

_NAMED: Final = re.compile(r"(?m)^```(?P<kind>\w+) (?P<name>[\w./-]+)(?P<more> \+)?$")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Returns a page whose fences are said in MkDocs' words."""
    return _NAMED.sub(_titled, markdown)


def _titled(fence: re.Match[str]) -> str:
    more = ", added at its end" if fence["more"] else ""
    return f'```{fence["kind"]} title="{fence["name"]}{more}"'
