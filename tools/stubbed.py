"""A pytest plugin: the function that TENANTRY_STUB names, as ``module:Class.name``, does nothing and returns None."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, Final

STUB: Final = "TENANTRY_STUB"


class _Loader(SourceFileLoader):
    """Reads the source with one function's body gone."""

    def __init__(self, name: str, path: str, wanted: str) -> None:
        super().__init__(name, path)
        self._wanted = wanted.split(".")

    def get_code(self, fullname: str) -> CodeType:
        """Returns the module's code, never one that was compiled before."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        found = _find(tree, self._wanted)
        found.body = [ast.copy_location(ast.Return(ast.Constant(None)), found.body[0])]
        return compile(ast.fix_missing_locations(tree), path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, module: str, wanted: str) -> None:
        self._module = module
        self._wanted = wanted

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Finds the one module, and leaves all others to those who come after."""
        found = PathFinder.find_spec(name, path, target) if name == self._module else None
        if found is not None and found.origin is not None:
            found.loader = _Loader(name, found.origin, self._wanted)
        return found


def _find(tree: ast.Module, names: Sequence[str]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    where: Any = tree
    for name in names:
        where = next(node for node in where.body if getattr(node, "name", None) == name)
    return where  # type: ignore[no-any-return]  # whoever wrote the variable had found a function there


if os.environ.get(STUB):
    sys.meta_path.insert(0, _Finder(*os.environ[STUB].split(":")))
