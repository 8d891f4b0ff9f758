"""Writes ``tenantry/repository/aio.py``, the awaited face of ``tenantry/repository/core.py``; ``--check`` compares.

A method that reaches the database becomes one forwarding line; one that only builds is taken over as it is. Names of
types change as RENAMED says. Streaming differs by nature, so its awaited form stands here in full.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Final

ROOM: Final = Path(__file__).parent.parent / "src" / "tenantry" / "repository"
SOURCE: Final = ROOM / "core.py"
TARGET: Final = ROOM / "aio.py"
WIDTH: Final = 120

RENAMED: Final = {
    "Iterator": "AsyncIterator",
    "Query": "AsyncQuery",
    "ReadRepository": "AsyncReadRepository",
    "Repository": "AsyncRepository",
    "Session": "AsyncSession",
}
# What a method returns that sends nothing itself.
BUILT: Final = ("Query[M]", "Iterator[M]")

HEADER: Final = '''\
"""The awaited face of the repositories, written by ``tools/write_aio.py`` from ``core.py``: change that file instead.

A method runs its synchronous twin inside ``run_sync``; streaming is awaited row by row.
"""

from __future__ import annotations

import builtins
import datetime
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnExpressionArgument
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from tenantry.errors import ExtraMissing
from tenantry.repository import building
from tenantry.repository.building import OrderBy, Selection
from tenantry.repository.core import Key, Query, ReadRepository, Repository
from tenantry.repository.modelled import Modelled
from tenantry.repository.pages import Page, Slice, in_batches
from tenantry.repository.refining import Refining

try:
    from sqlalchemy.ext.asyncio import AsyncSession
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

M = TypeVar("M")
'''

NATIVE: Final = {
    "Query.stream": """\
        result = await self._session.stream_scalars(building.rows(self._selection), execution_options=in_batches(batch))
        try:
            async for row in result:
                yield row
        finally:
            await result.close()
""",
}
# The synchronous twin of an awaited object, made where the session is at hand.
TWINS: Final = {
    "Query": "Query(session, self._selection)",
    "ReadRepository": "ReadRepository(session, model=self.model, options=self.options)",
    "Repository": "Repository(session, model=self.model, options=self.options)",
}


def main(arguments: list[str]) -> int:
    """Writes the file, or with ``--check`` returns 1 if it is not what it should be."""
    text = render(SOURCE.read_text())
    if arguments == ["--check"]:
        same = TARGET.exists() and TARGET.read_text() == text
        print(f"{TARGET.name} is {'as' if same else 'not what'} tools/write_aio.py writes it.")
        return 0 if same else 1
    TARGET.write_text(text)
    return 0


def render(source: str) -> str:
    """Returns the whole text of the awaited module."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return "\n\n".join([HEADER, *(render_class(node, source) for node in classes)])


def render_class(node: ast.ClassDef, source: str) -> str:
    """Returns one class's awaited face."""
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    parts = [render_method(node, method, source) for method in methods]
    twin = f"    def _on(self, session: Session) -> {node.name}[M]:\n        return {TWINS[node.name]}\n"
    head = f"class {renamed(node.name)}({renamed(bases)}):\n{docstring(node, 4)}"
    return "\n".join([head, *(part for part in parts if part), twin])


def render_method(owner: ast.ClassDef, method: ast.FunctionDef, source: str) -> str | None:
    """Returns one method's awaited form, or None for a private one that the twin keeps to itself."""
    returned = ast.unparse(method.returns) if method.returns else "None"
    native = NATIVE.get(f"{owner.name}.{method.name}")
    if native:
        return signature(method, renamed(returned), awaited=True) + docstring(method, 8) + native
    if method.name == "__init__" or returned in BUILT:
        return signature(method, renamed(returned), awaited=False) + docstring(method, 8) + body(method, source)
    if method.name.startswith("_"):
        return None
    session = "self._session" if owner.name == "Query" else "self.session"
    return signature(method, returned, awaited=True) + docstring(method, 8) + forward(method, returned, session)


def signature(method: ast.FunctionDef, returned: str, *, awaited: bool) -> str:
    """Returns the line or lines up to the colon, broken as the formatter breaks them."""
    start = f"    {'async ' if awaited else ''}def {method.name}("
    end = f") -> {returned}:\n"
    given = [renamed(one) if method.name == "__init__" else one for one in parameters(method.args)]
    together = ", ".join(given)
    if len(start + together + end) <= WIDTH + 1:
        return start + together + end
    if len(together) + 8 <= WIDTH:
        return f"{start}\n        {together}\n    {end}"
    lines = "".join(f"        {one},\n" for one in given)
    return f"{start}\n{lines}    {end}"


def parameters(given: ast.arguments) -> list[str]:
    """Returns each parameter as it is written, and the marks between them."""
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    written = [parameter(one, default) for one, default in zip(positional, defaults, strict=True)]
    if given.posonlyargs:
        written.insert(len(given.posonlyargs), "/")
    if given.vararg or given.kwonlyargs:
        written.append(f"*{ast.unparse(given.vararg) if given.vararg else ''}")
    written += [parameter(one, default) for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return [*written, f"**{ast.unparse(given.kwarg)}"] if given.kwarg else written


def parameter(given: ast.arg, default: ast.expr | None) -> str:
    """Returns one parameter as it is written."""
    return ast.unparse(given) if default is None else f"{ast.unparse(given)} = {ast.unparse(default)}"


def forward(method: ast.FunctionDef, returned: str, session: str) -> str:
    """Returns the line that runs the twin's method."""
    start = "        " if returned == "None" else "        return "
    call = f"lambda session: self._on(session).{method.name}({passed(method.args)})"
    line = f"{start}await {session}.run_sync({call})\n"
    return line if len(line) <= WIDTH + 1 else f"{start}await {session}.run_sync(\n            {call}\n        )\n"


def passed(given: ast.arguments) -> str:
    """Returns the arguments with which a method passes on its own parameters."""
    plain = [argument.arg for argument in [*given.posonlyargs, *given.args] if argument.arg != "self"]
    rest = [f"*{given.vararg.arg}"] if given.vararg else []
    named = [f"{argument.arg}={argument.arg}" for argument in given.kwonlyargs]
    more = [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join([*plain, *rest, *named, *more])


def docstring(node: ast.ClassDef | ast.FunctionDef, indent: int) -> str:
    """Returns a docstring as it is written, with the names of types changed."""
    if ast.get_docstring(node) is None:
        return ""
    margin = " " * indent
    lines = str(ast.get_docstring(node)).splitlines()
    text = "\n".join(f"{margin}{line}" if line else "" for line in lines).strip()
    end = f"\n{margin}" if len(lines) > 1 else ""
    return f'{margin}"""{renamed(text) if isinstance(node, ast.ClassDef) else text}{end}"""\n'


def body(method: ast.FunctionDef, source: str) -> str:
    """Returns the statements of a method that sends nothing, with the names of types changed."""
    first = 1 if ast.get_docstring(method) else 0
    lines = source.splitlines()[method.body[first].lineno - 1 : method.end_lineno]
    return renamed("\n".join(lines)) + "\n"


def renamed(text: str) -> str:
    """Returns *text* with the names of types changed."""
    return re.sub(rf"\b({'|'.join(RENAMED)})\b", lambda found: RENAMED[found[0]], text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
