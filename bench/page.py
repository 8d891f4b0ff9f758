"""docs/benchmarks.md: what the last run of each part printed, with its day, its machine, and how much it tried."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy

PAGE: Final = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD: Final = """# Benchmarks

`make bench` writes this page: each part stands here as its last run printed it. The contestants take turns in one run,
and the ratio is that of their medians, with its 95 % interval where it is given. Times are one machine's, and a busy
one's where it says so; ratios travel better. `make bench ARGS="--only files"` runs one part, `--quick` prints a first
look and writes nothing.
"""
_PART: Final = re.compile(r"<!-- (?P<name>\w+) -->\n.*?<!-- end of (?P=name) -->\n", re.DOTALL)
_TITLE: Final = re.compile(r"(?m)^#{2,3} ")


class Copy(io.TextIOBase):
    """Standard output, of which a copy is kept."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self.kept = io.StringIO()

    def write(self, text: str) -> int:
        """Prints and keeps."""
        self.kept.write(text)
        return self._out.write(text)

    def flush(self) -> None:
        """Flushes what was printed."""
        self._out.flush()


def recorded(name: str, part: Callable[[], None], *, tried: str) -> str:
    """Runs a part and returns its section of the page."""
    copy, said = Copy(), _circumstances(tried)
    with contextlib.redirect_stdout(copy):
        part()
    body = _TITLE.sub("### ", copy.kept.getvalue()).strip()
    return f"<!-- {name} -->\n\n## {name.capitalize()}\n\n{said}\n\n{body}\n\n<!-- end of {name} -->\n"


def write(name: str, section: str, order: Iterable[str]) -> None:
    """Puts a section into the page, in the place of what stood there of this part."""
    there = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    sections = {found["name"]: found[0] for found in _PART.finditer(there)} | {name: section}
    PAGE.write_text("\n".join([HEAD, *(sections[part] for part in order if part in sections)]), encoding="utf-8")


def versions() -> str:
    """Returns what the numbers depend on."""
    return f"Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, psycopg {psycopg.__version__}"


def _circumstances(tried: str) -> str:
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    cores = os.cpu_count()
    busy = f"load {os.getloadavg()[0]:.1f} as it began" if hasattr(os, "getloadavg") else "load unknown"
    return f"{day}: {platform.system()} on {_processor()}, {cores} cores, {busy}; {versions()}; {tried}."


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2].strip()
    return platform.machine()
