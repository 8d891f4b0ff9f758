"""The seed documents' code blocks, verbatim in ``blocks/<seed>/<line>.<language>``, and how one is run."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AS_PRINTED = "as printed"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; *line* is where its first line stands in the document."""

    seed: str
    line: int
    language: str
    text: str


def _read(path: Path) -> Block:
    return Block(path.parent.name, int(path.stem), path.suffix[1:], path.read_text(encoding="utf-8"))


BLOCKS: dict[str, dict[int, Block]] = {
    folder.name: {block.line: block for block in map(_read, sorted(folder.glob("[0-9]*.*")))}
    for folder in sorted((HERE / "blocks").iterdir())
}


def outcomes(seed: str) -> dict[int, str]:
    """Returns how each block of a seed runs: as printed, or the ids of its deviations; from ``outcomes.toml``."""
    path = HERE / "blocks" / seed / "outcomes.toml"
    return {int(line): said for line, said in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def replaced(text: str, roots: Mapping[str, str]) -> str:
    """Returns *text* with nothing but the import roots replaced: ``{"core": "tenantry.packs.helpdesk"}``.

    Whatever module below the root a block imports from, it gets the names of the pack's top level.
    """
    for root, target in roots.items():
        text = re.sub(rf"\bfrom {re.escape(root)}(\.[\w.]+)? import\b", f"from {target} import", text)
        text = re.sub(rf"\bimport {re.escape(root)}(\.[\w.]+)?\b", f"import {target}", text)
    return text


def run_block(seed: str, line: int, *, roots: Mapping[str, str], names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs a Python block and returns the names it leaves; *names* are those it finds, top-level ``await`` works."""
    text = textwrap.dedent(replaced(BLOCKS[seed][line].text, roots))
    found: dict[str, Any] = {"__name__": f"seed_{seed}_{line}", **(names or {})}
    # Without this file's own __future__: annotations are what is printed, and not its text.
    code = compile(text, f"seed {seed}, line {line}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, found)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return found
