"""What the fleet is at, while it is at it: a bar and a table in a terminal, plain lines or JSON lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from tenantry.events import Step, listen
from tenantry.fleet.outcomes import WorkState

_FLEET: Final = "fleet"
_RECORD: Final = "record"
_REFRESHES: Final = 8
_ROWS: Final = 8
_FAILURES: Final = 5
_TENTHS: Final = 10


@dataclass
class Tally:
    """How far a run has come, by the counts that its steps carry."""

    done: int = 0
    failed: int = 0
    left: int = 0
    settled_before: int | None = None
    began: float = field(default_factory=time.monotonic)

    def take(self, facts: dict[str, Any]) -> None:
        """Takes over the counts of one step, if it carries any."""
        if "left" not in facts:
            return
        self.done, self.failed, self.left = facts.get("done", 0), facts.get("failed", 0), facts["left"]
        # What begins a run does not say what was done before.
        if self.settled_before is None and "done" in facts:
            self.settled_before = self.settled

    @property
    def settled(self) -> int:
        """How many homes are done or failed."""
        return self.done + self.failed

    @property
    def whole(self) -> int:
        """How many homes there are."""
        return self.settled + self.left

    @property
    def rate(self) -> float:
        """Homes settled in a second, since we look."""
        return (self.settled - (self.settled_before or 0)) / max(time.monotonic() - self.began, 0.001)

    def __str__(self) -> str:
        rate = self.rate
        pace = f", {rate:.1f}/s, about {_clock(self.left / rate)} to go" if rate and self.left else ""
        return f"{self.done} done, {self.failed} failed, {self.left} left{pace}"


class Display(Protocol):
    """Shows the steps it is given; steps come from many threads, one at a time."""

    def take(self, step: Step) -> None:
        """Shows one step."""
        ...


class Lines:
    """A line of JSON for each turn of the run, and for what became of each home."""

    def take(self, step: Step) -> None:
        """Prints the step, unless it is a small one."""
        if step.name == _RECORD or (step.name != "claim" and "home" not in step.facts):
            print_line({"event": step.name, **step.facts})


class Plain:
    """A sentence for each failure, each tenth of the way, and each turn of the run."""

    def __init__(self, console: Console, doing: str) -> None:
        self._console = console
        self._doing = doing
        self._tally = Tally()
        self._tenth = 0

    def take(self, step: Step) -> None:
        """Prints what there is to say of the step."""
        self._tally.take(step.facts)
        if step.facts.get("state") == WorkState.FAILED and step.name == _RECORD:
            self._print(f"{step.facts['home']} failed: {step.facts['error']}")
        elif step.name == "health":
            self._print(f"asking whether the canaries are well: {step.facts['canaries']}")
        tenth = _TENTHS * self._tally.settled // max(self._tally.whole, 1)
        if tenth > self._tenth:
            self._tenth = tenth
            self._print(str(self._tally))

    def _print(self, sentence: str) -> None:
        self._console.print(escape(f"{self._doing}: {sentence}"), soft_wrap=True)


class Moving:
    """A bar with counts, rate and time to go, the homes in hand, and the newest failures."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._tally = Tally()
        self._in_hand: dict[str, tuple[str, float]] = {}
        self._failures: deque[str] = deque(maxlen=_FAILURES)
        self._turn = ""
        self._lock = threading.Lock()

    def take(self, step: Step) -> None:
        """Takes the step into what is shown next."""
        with self._lock:
            self._tally.take(step.facts)
            home = step.facts.get("home")
            if home is None:
                self._turn = "" if step.name == "claim" else step.name
            elif step.name == _RECORD:
                self._in_hand.pop(str(home), None)
                self._note_failure(step.facts)
            else:
                begun = self._in_hand.get(str(home), ("", time.monotonic()))[1]
                self._in_hand[str(home)] = (step.name, begun)

    def __rich__(self) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [self._bar(), self._table()]
            return Group(*parts, *(f"[red]{escape(failure)}[/red]" for failure in self._failures))

    def _note_failure(self, facts: dict[str, Any]) -> None:
        if facts.get("state") == WorkState.FAILED:
            self._failures.append(f"{facts['home']}: {facts['error']}")

    def _bar(self) -> Table:
        bar = Table.grid(padding=(0, 1))
        whole = self._tally.whole or None
        line = ProgressBar(total=whole, completed=self._tally.settled, width=30, pulse=whole is None)
        turn = f" ({self._turn})" if self._turn else ""
        bar.add_row(f"{escape(self._doing)}{escape(turn)}", line, escape(str(self._tally)))
        return bar

    def _table(self) -> Table:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2))
        for home, (name, begun) in list(self._in_hand.items())[:_ROWS]:
            table.add_row(" ", escape(home), escape(name), f"{now - begun:.0f} s")
        return table


@contextlib.contextmanager
def shown(doing: str, *, as_json: bool) -> Iterator[None]:
    """Shows what the fleet does inside the ``with`` block, on the error channel unless machines read."""
    console = Console(stderr=True, highlight=False)
    moving = Moving(doing)
    live = console.is_terminal and not as_json
    display: Display = Lines() if as_json else moving if live else Plain(console, doing)
    lock = threading.Lock()

    def take(step: Step) -> None:
        if step.operation == _FLEET:
            with lock:
                display.take(step)

    forget = listen(take)
    try:
        with Live(moving, console=console, refresh_per_second=_REFRESHES, transient=True) if live else _nothing():
            yield
    finally:
        forget()


def print_line(data: dict[str, Any]) -> None:
    """Prints data as one line of JSON."""
    typer.echo(json.dumps(data, ensure_ascii=False, default=str))


def _nothing() -> contextlib.nullcontext[None]:
    return contextlib.nullcontext()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
