"""What a planted fault is: one layer of defence taken out of the library, and the tests that must then fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

# How pytest calls the first server of TENANTRY_TEST_URLS.
SERVER = "server0"
Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, as a sentence; the patch that makes it; and where it must show, in the leak suite or in another room."""

    name: str
    fault: str
    plant: Plant
    places: tuple[str, ...]
    routes: tuple[str, ...]

    @property
    def tests(self) -> list[str]:
        """The tests that this fault has to turn red, as pytest names them on one server."""
        named = [(route if "/" in route else f"leak/{route}").partition("::") for route in self.routes]
        return [f"tests/{file}.py::{test}[{_on_one_server(place)}]" for place in self.places for file, _, test in named]


def _on_one_server(place: str) -> str:
    return place if SERVER in place else f"{SERVER}-{place}"


MUTANTS: dict[str, Mutant] = {}


def mutant(fault: str, *, places: str, routes: str) -> Callable[[Plant], Plant]:
    """Registers a planted fault under its function's name; *places* and *routes* are separated by blanks.

    A route is ``module::test`` of the leak suite, or ``room/module::test``.
    """

    def register(plant: Plant) -> Plant:
        MUTANTS[plant.__name__] = Mutant(plant.__name__, fault, plant, tuple(places.split()), tuple(routes.split()))
        return plant

    return register


def wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Has *change* see, and replace, what a function or method gives back."""
    original = getattr(owner, name)

    def changed(*args: Any, **kwargs: Any) -> Any:
        return change(original(*args, **kwargs))

    patch.setattr(owner, name, changed)


def replace(patch: pytest.MonkeyPatch, owner: Any, name: str, old: str, new: str) -> None:
    """Replaces *old* in the text, or in each of the texts, that a function or method gives back."""

    def change(given: Any) -> Any:
        return given.replace(old, new) if isinstance(given, str) else [line.replace(old, new) for line in given]

    wrap(patch, owner, name, change)


def silence(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Makes a function or method do nothing."""
    patch.setattr(owner, name, lambda *args, **kwargs: None)
