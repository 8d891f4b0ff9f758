"""A page typed through as printed: its files written, its commands run in one shell, their output compared.

In a page, a fence says what it holds: "python shop.py" is the file shop.py, with "+" behind the name what is added to
its end. In one of kind "console" a line that begins with "$ " is typed, and the lines below are what it prints, in its
essentials: each stands somewhere in the output, in this order, and "…" is whatever stands there. The rest is to read.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<says>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 240


@dataclass(frozen=True)
class File:
    """A file to write, or to add to."""

    name: str
    text: str
    more: bool


@dataclass(frozen=True)
class Command:
    """A command to type, and what it is said to print."""

    line: str
    printed: tuple[str, ...]


def steps(page: Path) -> Iterator[File | Command]:
    """Yields what a reader does, from top to bottom."""
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        kind, _, name = fence["says"].partition(" ")
        if kind == "console":
            yield from commands_of(fence["text"])
        elif name:
            yield File(name.removesuffix(" +"), fence["text"], name.endswith(" +"))


def commands_of(text: str) -> Iterator[Command]:
    """Yields the commands of one block; a line that ends with a backslash goes on in the next."""
    typed = ""
    printed: list[str] = []
    for line in text.splitlines():
        if typed.endswith("\\"):
            typed = f"{typed}\n{line.removeprefix('> ')}"
        elif line.startswith("$ "):
            if typed:
                yield Command(typed, tuple(printed))
            typed, printed = line.removeprefix("$ "), []
        elif line.strip():
            printed.append(line)
    yield Command(typed, tuple(printed))


class Shell:
    """One bash in a directory; what it prints on either channel comes back as one."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, line: str) -> str:
        """Returns what a line prints.

        Raises: AssertionError where it ends the shell or does not come back.
        """
        end = f"end-of-{secrets.token_hex(8)}"
        assert self._process.stdin
        assert self._process.stdout
        alarm = threading.Timer(SECONDS, self._process.kill)
        alarm.start()
        try:
            # What is typed must not read what comes after it; `$?` stays what it was.
            self._process.stdin.write(f"{{ {line}\n}} < /dev/null; status=$?; echo {end}; (exit $status)\n")
            self._process.stdin.flush()
            printed = []
            for said in self._process.stdout:
                if said.rstrip("\n").endswith(end):
                    return "".join([*printed, said.rstrip("\n").removesuffix(end)])
                printed.append(said)
        finally:
            alarm.cancel()
        raise AssertionError(f"the shell ended in: {line}\n{''.join(printed)}")

    def close(self) -> None:
        """Ends the shell."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=30)
        assert self._process.stdout
        self._process.stdout.close()


def missing(command: Command, said: str) -> str | None:
    """Returns the first line that was promised and did not come, or None."""
    rest = plain(said)
    for line in command.printed:
        pattern = ".*?".join(re.escape(plain(part)) for part in line.split("…"))
        found = re.search(pattern, rest)
        if found is None:
            return line
        rest = rest[found.end() :]
    return None


def plain(text: str) -> str:
    """Returns the words of a text, with one space between them."""
    return " ".join(text.split())


def type_through(page: Path, directory: Path, environment: dict[str, str]) -> int:
    """Does what the page says in *directory* and returns how many commands that were.

    Raises: AssertionError at the first that prints something else.
    """
    shell, count = Shell(directory, environment), 0
    try:
        for step in steps(page):
            if isinstance(step, File):
                write(directory, step)
                continue
            said, count = shell.type(step.line), count + 1
            line = missing(step, said)
            assert line is None, f"$ {step.line}\nis to print\n{line}\nand printed\n{said}"
            assert "Traceback" not in said, f"$ {step.line}\n{said}"
    finally:
        shell.close()
    return count


def write(directory: Path, file: File) -> None:
    """Writes a file of the page."""
    path = directory / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if file.more else ""
    path.write_text(before + file.text, encoding="utf-8")
