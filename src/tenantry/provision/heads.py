"""The newest revision of the application's migrations, which homes made from its models stand at from the start."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tenantry.errors import ConfigurationError, MigrationsMissing, SeveralHeads, TenantryError

_REVISION: Final = "revision"
_BEFORE: Final = "down_revision"


class Scripts:
    """The migration scripts as they stood when this process began: they belong to its models, later ones do not.

    They are read, not imported: what a revision does is the fleet's affair.
    """

    def __init__(self, directory: str | None) -> None:
        self.look_in(directory)

    def look_in(self, directory: str | None) -> None:
        """Takes the scripts of *directory*, as they stand now, for the application's."""
        self._directory = directory
        self._newest: str | None = None
        with contextlib.suppress(TenantryError):
            self._newest = self._read()

    def head(self) -> str | None:
        """Returns the newest revision; None where the application has no migrations, or none yet.

        Raises: MigrationsMissing, SeveralHeads, ConfigurationError for a file that cannot be read.
        """
        if self._newest is None:
            self._newest = self._read()
        return self._newest

    def forget(self) -> None:
        """Has the scripts read again: this process has written some, from the models it holds."""
        self._newest = None

    def _read(self) -> str | None:
        return None if self._directory is None else head_of(Path(self._directory))


def head_of(directory: Path) -> str | None:
    """Returns the one revision in *directory*/versions that no other follows; None where there is no revision.

    Raises: MigrationsMissing, SeveralHeads, ConfigurationError for a file that cannot be read.
    """
    versions = directory / "versions"
    if not versions.is_dir():
        raise MigrationsMissing(where=f" in {directory}")
    before: dict[str, set[str]] = dict(_revisions(versions))
    heads = sorted(before.keys() - set[str]().union(*before.values()))
    if before and len(heads) != 1:
        raise SeveralHeads(scripts=directory, count=len(heads), heads=", ".join(heads))
    return heads[0] if heads else None


def _revisions(versions: Path) -> Iterator[tuple[str, set[str]]]:
    for path in sorted(versions.glob("*.py")):
        # What Alembic passes over too.
        if path.name.startswith((".#", "__init__")):
            continue
        said = _literals(path)
        if said.get(_REVISION) is not None:
            yield str(said[_REVISION]), set(_names(said.get(_BEFORE)))


def _literals(path: Path) -> dict[str, object]:
    """Returns what the file assigns to the names that place it in the history."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        return {name: ast.literal_eval(value) for name, value in _assignments(tree)}
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(
            what=f"{path} does not say its place in the history: {error}.",
            fix="Write revision and down_revision as plain strings (or a tuple of them), as Alembic does.",
        ) from error


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for target in targets:
            if isinstance(target, ast.Name) and target.id in (_REVISION, _BEFORE) and value is not None:
                yield target.id, value


def _names(value: object) -> list[str]:
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, list | tuple | set) else [str(value)]
