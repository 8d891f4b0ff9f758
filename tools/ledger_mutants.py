"""Puts stubs in the place of functions that the ledger names, one at a time: a test that carries a number has to fail.

``python tools/ledger_mutants.py [--count 60] [--seed N]`` draws them at random, and fails where too many live on.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from ledger import ROOT, requirements
from stubbed import STUB

T = TypeVar("T")

PACKS: Final = ("helpdesk", "meetings", "documents", "assistant", "incidents")
# So many of sixty may live on.
ALLOWED: Final = 0.05
JOBS: Final = 2
SECONDS: Final = 600
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Stub:
    """One function of a pack."""

    pack: str
    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def candidates() -> list[Stub]:
    """Returns every public function of a pack whose name stands in the ledger."""
    named = set(re.findall(r"\w+", " ".join(f"{row.names} {row.requirement}" for row in requirements())))
    return [stub for pack in PACKS for stub in _functions(pack) if stub.name.rpartition(".")[2] in named]


def lives(stub: Stub | None, pack: str) -> bool:
    """Returns whether all tests of a pack that carry numbers pass, with a stub or without."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tools"), str(ROOT / "src")])}
    if stub is not None:
        environment[STUB] = str(stub)
    places = [f"tests/packs/{pack}", f"tests/seeds/test_{pack}.py"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "stubbed", "-m", "ledger and not soak", *places]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS, check=False, preexec_fn=_as_usual
    )
    return done.returncode == 0


def main() -> None:
    """Draws, tries, and prints what lived on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    # Drawn, not kept secret.
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311
    found = candidates()
    chosen = random.Random(seed).sample(found, min(options.count, len(found)))  # noqa: S311
    with ThreadPoolExecutor(JOBS) as pool:
        fine = dict(zip(PACKS, pool.map(lambda pack: lives(None, pack), PACKS), strict=True))
        if not all(fine.values()):
            sys.exit(f"Without a stub already, tests that carry numbers fail: {[*_false(fine)]}.")
        alive = dict(zip(chosen, pool.map(_told, chosen), strict=True))
    dead = list(_false(alive))
    print(f"{len(dead)} of {len(chosen)} stubs made a marked test fail; {len(found)} to draw from, seed {seed}.")
    sys.exit(len(chosen) - len(dead) > ALLOWED * len(chosen))


def _told(stub: Stub) -> bool:
    alive = lives(stub, stub.pack)
    print(f"{'LIVES' if alive else 'dies '}  {stub}", flush=True)
    return alive


def _false(found: Mapping[T, bool]) -> Iterator[T]:
    return (key for key, value in found.items() if not value)


def _functions(pack: str) -> Iterator[Stub]:
    folder = ROOT / "src" / "tenantry" / "packs" / pack
    for path in sorted(folder.rglob("*.py")):
        if "migrations" not in path.parts:
            module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
            for name in _names(ast.parse(path.read_text(encoding="utf-8")), ""):
                yield Stub(pack, module, name)


def _names(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _names(node, f"{prefix}{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_") and not _is_nothing(node):
            yield f"{prefix}{node.name}"


def _is_nothing(node: Function) -> bool:
    """Whether there is no body that a stub could replace: an overload, a protocol's method."""
    body = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    return not body


def _as_usual() -> None:
    # Started from a shell's background, an interrupt would be ignored, and tests of interrupts would hang.
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    main()
